"""How fast is what protects a workspace? Sealing, opening, unlocking, the log and the catalogue.

    OMP_NUM_THREADS=1 python benchmarks/vault.py [--json] [--folder DIR] [--quick] [--page FILE]

Everything runs on one core on files in DIR (a temporary folder unless given): its disk decides single appends
and bulk inserts. The plain SQLite beside the catalogue is the standard library's, with the same journal mode,
fsyncs and tables, in the same run. `--quick` does a small part of the work, to see that it runs;
`--page` puts the figures into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from soak.run import put
from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.schema import CreateIndex, CreateTable

from appliance.evidence import verify_evidence
from appliance.evidence.entries import Act
from appliance.evidence.log import EvidenceLog
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.database import open_engine, writing
from appliance.workspace.ga1 import Meaning, Unsealer, seal
from appliance.workspace.keys import SecretKey
from appliance.workspace.tables import INSTANCES
from appliance.workspace.workspace import Workspace

MARKS = "<!-- vault -->", "<!-- end of vault -->"
T = TypeVar("T")
GIB = 1 << 30
SLICE = 16 << 20
PASSPHRASE = "a passphrase of the benchmark"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `goal` is what it should reach, in words; empty where there is none."""

    name: str
    value: float
    unit: str
    goal: str = ""


def main(arguments: Sequence[str]) -> int:
    """Measure, print; exit 0 whatever the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where to write; else a temporary folder")
    parser.add_argument("--quick", action="store_true", help="a small part of the work")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the figures into docs/reliability.md")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=asked.folder, prefix="gradaudit-vault-") as scratch:
        rows = measured(Path(scratch), 64 if asked.quick else 1)
    if asked.json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}))
    else:
        for row in rows:
            print(f"{row.name:44} {row.value:12,.3f} {row.unit:10} {row.goal}")
    if asked.page is not None:
        put(asked.page, table(rows), MARKS)
    return 0


def table(rows: Sequence[Row]) -> str:
    """A Markdown table, one line a figure."""
    lines = ["| | | goal |", "| --- | ---: | --- |"]
    lines += [f"| {row.name} | {_rounded(row.value)} {row.unit} | {row.goal} |" for row in rows]
    return "\n".join(lines)


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def measured(scratch: Path, part: int) -> list[Row]:
    """All figures.

    Args:
        scratch: an empty folder.
        part: the work is divided by this.
    """
    steps = (sealing, unlocking, logging, cataloguing)
    rows: list[Row] = []
    for number, step in enumerate(steps, 1):
        print(f"{number}/{len(steps)} {step.__name__}", file=sys.stderr)
        folder = scratch / step.__name__
        folder.mkdir()
        rows += step(folder, part)
    return rows


def sealing(folder: Path, part: int) -> list[Row]:
    """One GA1 object of 512 MiB: sealed, opened whole, opened in ranges at random offsets."""
    size = (512 << 20) // part
    key, meaning = SecretKey.random(), Meaning(bytes(16), bytes(32), "benchmark")
    content = secrets.token_bytes(1 << 20) * (size >> 20)
    sealed, seal_s = timed(lambda: b"".join(seal(key, meaning, content)))

    def unsealer() -> Unsealer:
        return Unsealer(key, meaning, lambda at, n: sealed[at : at + n], len(sealed), "benchmark")

    opened, unseal_s = timed(lambda: unsealer().read(0, size))
    assert opened == content
    path = folder / "object.ga1"
    path.write_bytes(sealed)
    length = min(SLICE, size)
    slices = []
    with path.open("rb") as file:
        for _ in range(40):
            start = secrets.randbelow(size - length + 1)
            slices.append(timed(lambda at=start: _slice(file, key, meaning, len(sealed), at, length))[1])  # type: ignore[misc]
    return [
        Row("seal", size / GIB / seal_s, "GiB/s"),
        Row("unseal", size / GIB / unseal_s, "GiB/s", ">= 1"),
        Row("16 MiB at a random offset, median", 1000 * statistics.median(slices), "ms", "<= 20"),
        Row("16 MiB at a random offset, slowest of 40", 1000 * max(slices), "ms"),
    ]


def _slice(file: object, key: SecretKey, meaning: Meaning, sealed: int, start: int, length: int) -> bytes:
    def read_at(offset: int, count: int) -> bytes:
        file.seek(offset)  # type: ignore[attr-defined]
        return bytes(file.read(count))  # type: ignore[attr-defined]

    return Unsealer(key, meaning, read_at, sealed, "benchmark").read(start, length)


def unlocking(folder: Path, part: int) -> list[Row]:
    """A workspace from its passphrase to the first answer of the catalogue, at the real Argon2id cost."""
    Workspace.create(folder / "workspace", PASSPHRASE, "Benchmark").close()

    def unlock() -> None:
        with Workspace.open(folder / "workspace", PASSPHRASE) as opened:
            opened.catalogue.counts()

    times = [timed(unlock)[1] for _ in range(3)]
    return [Row("unlock, median of 3", statistics.median(times), "s", "<= 5")]


def logging(folder: Path, part: int) -> list[Row]:
    """Single and batched appends, and the verification of a long log by the stand-alone verifier."""
    log = EvidenceLog.open(folder / "log")
    singles = max(8, 200 // part)
    _, single_s = timed(lambda: [log.append("benchmark.single", "log", "ok") for _ in range(singles)])
    batches, size = max(2, 100 // part), 1000
    acts = [Act("benchmark.batch", "log", "ok")] * size
    _, batch_s = timed(lambda: [log.append_all(acts) for _ in range(batches)])
    report, verify_s = timed(lambda: verify_evidence.check_log(folder / "log"))
    entries = report.checkpoint.size
    return [
        Row("log appends, single", singles / single_s, "entries/s"),
        Row(f"log appends, batches of {size}", batches * size / batch_s, "entries/s"),
        Row(f"log verification of {entries} entries", entries / verify_s, "entries/s", ">= 300000"),
    ]


def cataloguing(folder: Path, part: int) -> list[Row]:
    """Instances into SQLCipher as the catalogue opens it, and into plain SQLite; then look-ups of both."""
    number = max(500, 40_000 // part)
    rows = [_instance(place) for place in range(number)]
    key = SecretKey.random()
    Catalogue.create(folder / "catalogue.db", key, {})
    figures: dict[str, tuple[float, float, float]] = {}
    for name, engine in (
        ("catalogue", open_engine(folder / "catalogue.db", key)),
        ("plain SQLite", _plain(folder / "plain.db")),
    ):
        figures[name] = _worked(engine, rows)
        engine.dispose()
    ours, plain = figures["catalogue"], figures["plain SQLite"]
    return [
        Row("catalogue bulk insert", number / ours[0], "rows/s"),
        Row("plain SQLite bulk insert", number / plain[0], "rows/s"),
        Row("catalogue bulk insert against plain SQLite", plain[0] / ours[0], "x", ">= 0.6"),
        Row("catalogue commits of one row", 1 / ours[1], "commits/s"),
        Row("plain SQLite commits of one row", 1 / plain[1], "commits/s"),
        Row("catalogue commits against plain SQLite", plain[1] / ours[1], "x"),
        Row("catalogue look-ups by study", 1 / ours[2], "queries/s"),
        Row("plain SQLite look-ups by study", 1 / plain[2], "queries/s"),
        Row("catalogue look-ups against plain SQLite", plain[2] / ours[2], "x"),
    ]


def _worked(engine: Engine, rows: Sequence[dict[str, object]]) -> tuple[float, float, float]:
    """Seconds of one bulk insert; of one commit of one row; of one look-up of a study."""
    bulk, singles = rows[:-50], rows[-50:]

    def bulk_insert() -> None:
        with engine.connect() as connection, writing(connection):
            for start in range(0, len(bulk), 1000):
                connection.execute(insert(INSTANCES), bulk[start : start + 1000])

    def commits() -> None:
        for row in singles:
            with engine.connect() as connection, writing(connection):
                connection.execute(insert(INSTANCES), [row])

    look_ups = 500

    def ask() -> None:
        with engine.connect() as connection, connection.begin():
            for number in range(look_ups):
                study = rows[number * 7919 % len(rows)]["StudyInstanceUID"]
                found = connection.execute(select(INSTANCES).where(INSTANCES.c.StudyInstanceUID == study))
                assert found.fetchall()

    return timed(bulk_insert)[1], timed(commits)[1] / len(singles), timed(ask)[1] / look_ups


def _plain(path: Path) -> Engine:
    """Plain SQLite with the catalogue's durability and table."""
    engine = create_engine("sqlite://", creator=lambda: _connected(path))

    @event.listens_for(engine, "begin")
    def begin(connection: object) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # type: ignore[attr-defined]

    with engine.connect() as connection, connection.begin():
        connection.execute(CreateTable(INSTANCES))
        for index in INSTANCES.indexes:
            connection.execute(CreateIndex(index))
    return engine


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "secure_delete = ON",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _instance(number: int) -> dict[str, object]:
    digest = f"{number:064x}"
    texts = {column.name: f"{column.name}-{number}" for column in INSTANCES.columns}
    return texts | {
        "content_digest": digest,
        "StudyInstanceUID": f"1.2.826.{number // 3}",
        "attributes": {"Rows": 512, "Columns": 512, "KVP": "120"},
        "frame_object": digest,
        "height": 512,
        "width": 512,
        "NumberOfFrames": 1,
        "identity": ("Canary^Adelheid", f"{number}"),
        "warnings": (),
    }


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What `work` gives, and its wall seconds."""
    began = time.perf_counter()
    return work(), time.perf_counter() - began


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
