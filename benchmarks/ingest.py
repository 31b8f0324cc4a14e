"""How fast, how flat and how safe is ingest? Against plain pydicom, on the real corpus and on copies of it.

    python benchmarks/ingest.py [--quick] [--files 10000] [--workers 2] [--json FILE] [--data FOLDER]

Four questions, one run, printed as Markdown:

1. Speed by kind of file, one process: `pydicom.dcmread` + `pixel_array` against read + transform + seal.
   pydicom decodes every frame of an instance and keeps none; ours decodes the frame that stands for it.
2. Speed over `--files` copies with identities of their own: the same two, and the whole ingest with workers.
3. Memory of parent and parsers, sampled along those copies; files that are known are not read again.
4. kill -9 in the middle, several times over: what the next ingest still has to do, and that nothing doubles.

Copies differ from their originals in the UIDs of instance, series and study, so nothing is a duplicate; and
the vault is told to seal a frame again that it knows, since their pixels are the same.
Files that plain pydicom cannot decode are left out of all comparisons and counted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from corpus_files import can_be_copied, copies, corpus

from appliance.api import Appliance
from appliance.frames import FRAME, packed
from appliance.views import Progress
from appliance.workspace.keys import KeptKeys, RunKeys, SecretKey
from appliance.workspace.subjects import SubjectKeys
from appliance.workspace.vault import Arriving, Vault, create_objects

PASSPHRASE = "four random words"
BATCH = 200


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds on the wall, and of processors, those of child processes among them."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Rate:
    """Seconds for one pass over some files, ours and pydicom's.

    Attributes:
        bytes: of the files as they lie on disk.
        pydicom_s: None where there is nothing to compare with.
    """

    kind: str
    files: int
    bytes: int
    pydicom_s: float | None
    ours_s: float

    @property
    def ratio(self) -> float | None:
        """Our files per second over pydicom's."""
        return None if self.pydicom_s is None else self.pydicom_s / self.ours_s


@dataclass(frozen=True, slots=True)
class Whole:
    """Many files three ways, and once more.

    Attributes:
        second_added: images that the second ingest of the same files took in.
        memory_mib: files done, parent, parsers together.
    """

    files: int
    bytes: int
    workers: int
    pydicom: Spent
    single: Spent
    ingest: Spent
    second: Spent
    second_added: int
    memory_mib: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Killed:
    """What a workspace holds after kill -9, and at last after an ingest that was left alone.

    Attributes:
        tenths: of the files that were done when it was killed; None when it was left alone.
        stored: images whose rows are there; some of their frames were opened.
        missing: files that are not there yet.
        strange: rows that belong to no file.
    """

    tenths: int | None
    stored: int
    missing: int
    strange: int


def _seal_all() -> None:
    """Every frame counts as new."""
    Vault.exists = _never  # type: ignore[method-assign, assignment]


def _never(vault: Vault, object_id: str) -> bool:
    return False


# -- one process ---------------------------------------------------------------------------------------------


class Stopwatch:
    """Wall and processor seconds from its making on."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _processor_seconds()

    def read(self) -> Spent:
        """Spent so far; of children, those that have ended."""
        return Spent(time.perf_counter() - self._wall, _processor_seconds() - self._cpu)


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def plain_pydicom(paths: Sequence[Path]) -> Spent:
    """`dcmread` and `pixel_array` of each."""
    from pydicom import dcmread

    warnings.simplefilter("ignore")  # on odd but valid files
    watch = Stopwatch()
    for path in paths:
        _ = dcmread(path).pixel_array
    return watch.read()


def read_and_seal(paths: Sequence[Path], folder: Path) -> Spent:
    """Read, transform and seal each in this process, stored in batches."""
    from medio.ingest import read_content
    from medio.sources import read_bytes

    with _vault(folder) as vault:
        arrivals: list[Arriving] = []
        watch = Stopwatch()
        for number, path in enumerate(paths, start=1):
            found = read_content(read_bytes(path), path.suffix.lower())
            if found.frame is not None:
                arrivals.append(vault.bring(FRAME, packed(found.frame.pixels)))
            arrivals += [vault.bring("report-text", report.text.encode()) for report in found.reports]
            if number % BATCH == 0 or number == len(paths):
                vault.settle(arrivals)
                arrivals.clear()
        return watch.read()


@contextmanager
def _vault(folder: Path) -> Iterator[Vault]:
    """An empty vault; without it the second pass would find everything stored."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        objects = Path(name) / "objects"
        create_objects(objects)
        keys = RunKeys(SecretKey.random(), KeptKeys.random())
        yield Vault(objects, keys, b"w" * 16, SubjectKeys(_NoCatalogue(), keys, b"w" * 16))


class _NoCatalogue:
    """Nothing of these objects belongs to a patient."""

    def subject_key(self, subject: str) -> str | None:
        return None

    def add_subject_keys(self, wrapped: dict[str, str]) -> None:
        raise AssertionError("no object here has a subject")


def decodable(paths: Sequence[Path]) -> list[Path]:
    """Those that plain pydicom decodes with the decoders installed here."""
    from pydicom import dcmread

    kept = []
    for path in paths:
        try:
            _ = dcmread(path).pixel_array
        except Exception:  # noqa: BLE001 - whatever pydicom raises, there is nothing to compare with
            continue
        kept.append(path)
    return kept


def by_kind(kinds: dict[str, list[Path]], folder: Path, passes: int) -> list[Rate]:
    """Best of `passes` for each kind, the two readers in turn; the first pass warms up and does not count."""
    rates = []
    for kind, paths in sorted(kinds.items()):
        size = sum(path.stat().st_size for path in paths)
        ours = [read_and_seal(paths, folder) for _ in range(passes + 1)][1:]
        theirs = [plain_pydicom(paths) for _ in range(passes)] if kind != "reports" else []
        best = min(spent.wall_s for spent in ours)
        rates.append(
            Rate(kind, len(paths), size, min((spent.wall_s for spent in theirs), default=None), best)
        )
    return rates


# -- many files ----------------------------------------------------------------------------------------------


def memory_mib(pid: int) -> tuple[int, int]:
    """Resident memory of a process, and of its children together."""

    def resident(of: str) -> int:
        pages = int(Path(f"/proc/{of}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") >> 20

    children = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and _parent(entry) == pid:
                children += resident(entry.name)
        except OSError:
            continue  # it ended meanwhile
    return resident(str(pid)), children


def _parent(entry: Path) -> int:
    return int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def whole(paths: Sequence[Path], folder: Path, workers: int, theirs: Spent, single: Spent) -> Whole:
    """The ingest of what `theirs` and `single` were spent on, twice."""
    samples: list[tuple[int, int, int]] = []
    every = max(50, len(paths) // 10)

    def step(progress: Progress) -> None:
        if progress.done % every == 0:
            samples.append((progress.done, *memory_mib(os.getpid())))

    with Appliance.create(folder / "workspace", PASSPHRASE, site="benchmark") as appliance:
        files = folder / "files"
        watch = Stopwatch()
        first = appliance.ingest([files], step, workers=workers)
        first_spent, watch = watch.read(), Stopwatch()
        second = appliance.ingest([files], lambda progress: None, workers=workers)
    assert first.images == len(paths), f"{first.images} of {len(paths)}: {first.quarantined}"
    return Whole(
        files=len(paths),
        bytes=sum(path.stat().st_size for path in paths),
        workers=workers,
        pydicom=theirs,
        single=single,
        ingest=first_spent,
        second=watch.read(),
        second_added=second.images,
        memory_mib=tuple(samples),
    )


# -- kill -9 -------------------------------------------------------------------------------------------------


def killed(folder: Path, paths: Sequence[Path]) -> list[Killed]:
    """Kill ingests ever later, each going on in the workspace of the one before; the last one finishes."""
    root, secret = folder / "killed", folder / "passphrase"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    Appliance.create(root, PASSPHRASE, site="benchmark").close()
    expected = {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    outcomes = []
    for tenths in (3, 5, 7, 9, None):
        _ingest_up_to(root, folder / "files", secret, tenths)
        outcomes.append(_state(root, tenths, expected))
    return outcomes


def _ingest_up_to(root: Path, files: Path, secret: Path, tenths: int | None) -> None:
    """The command, killed when it says that so many tenths of the files are done."""
    command = [sys.executable, "-m", "appliance.cli", "--workspace", str(root), "ingest", str(files)]
    environment = {**os.environ, "GRADAUDIT_PASSPHRASE_FILE": str(secret)}
    child = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    for line in child.stderr:
        said = re.match(r"ingest: (\d+)/(\d+) ", line)
        if said and tenths is not None and int(said[1]) >= int(said[2]) * tenths / 10:
            child.send_signal(signal.SIGKILL)
            break
    child.wait()


def _state(root: Path, tenths: int | None, expected: set[str]) -> Killed:
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        rows = appliance._workspace.catalogue.instances()
        for row in rows[:: max(1, len(rows) // 50)]:
            appliance._workspace.vault.get("frame", row.frame_object)
    stored = {row.content_digest for row in rows}
    return Killed(tenths, len(rows), len(expected - stored), len(stored - expected))


# -- printing ------------------------------------------------------------------------------------------------


def markdown(rates: Sequence[Rate], many: Whole, kills: Sequence[Killed], left_out: int) -> str:
    """Three tables."""
    lines = [
        "| files | n | MB | pydicom files/s | MB/s | one process files/s | MB/s | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for rate in rates:
        megabytes = rate.bytes / 1e6
        theirs = "– | –"
        if rate.pydicom_s is not None:
            theirs = f"{rate.files / rate.pydicom_s:.0f} | {megabytes / rate.pydicom_s:.0f}"
        ratio = "–" if rate.ratio is None else f"{rate.ratio:.2f}"
        lines.append(
            f"| {rate.kind} | {rate.files} | {megabytes:.1f} | {theirs} | {rate.files / rate.ours_s:.0f} "
            f"| {megabytes / rate.ours_s:.0f} | {ratio} |"
        )
    lines += [f"\n{left_out} valid files that plain pydicom does not decode here are left out.\n"]
    lines += ["| way | files/s | MB/s | ratio | CPU ms/file |", "| --- | --- | --- | --- | --- |"]
    for way, spent, reference in (
        ("plain pydicom, one process", many.pydicom, many.pydicom),
        ("read + transform + seal, one process", many.single, many.pydicom),
        (f"whole ingest, {many.workers} workers", many.ingest, many.single),
        ("the same files again", many.second, many.single),
    ):
        lines.append(
            f"| {way} | {many.files / spent.wall_s:.0f} | {many.bytes / 1e6 / spent.wall_s:.0f} "
            f"| {reference.wall_s / spent.wall_s:.2f} | {1e3 * spent.cpu_s / many.files:.1f} |"
        )
    lines.append(f"\n{many.files} files; the second ingest added {many.second_added}.\n")
    lines += ["| files done | parent MiB | parsers MiB |", "| --- | --- | --- |"]
    lines += [f"| {done} | {parent} | {children} |" for done, parent, children in many.memory_mib]
    lines += ["", "| killed when done | stored | missing | strange |", "| --- | --- | --- | --- |"]
    for one in kills:
        when = "not killed" if one.tenths is None else f"{10 * one.tenths} %"
        lines.append(f"| {when} | {one.stored} | {one.missing} | {one.strange} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one pass, 500 files: under a minute")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    given = parser.parse_args()
    count, passes = (500, 1) if given.quick else (given.files, 3)
    kinds = corpus(given.data)
    folder = Path(tempfile.mkdtemp(prefix="gradaudit-ingest-"))
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _seal_all) as other:
            images = {
                kind: other.submit(decodable, paths).result()
                for kind, paths in kinds.items()
                if kind != "reports"
            }
            measured = {**images, "reports": kinds["reports"]}
            rates = other.submit(by_kind, measured, folder, passes).result()
            (folder / "files").mkdir()
            chosen = [path for paths in images.values() for path in paths if can_be_copied(path)]
            made = other.submit(copies, chosen, count, folder / "files").result()
            theirs = other.submit(plain_pydicom, made).result()
            single = other.submit(read_and_seal, made, folder).result()
        _seal_all()
        many = whole(made, folder, given.workers, theirs, single)
        kills = killed(folder, made)
    finally:
        shutil.rmtree(folder)
    left_out = sum(map(len, kinds.values())) - sum(map(len, measured.values()))
    sys.stdout.write(markdown(rates, many, kills, left_out) + "\n")
    if given.json:
        document = {"kinds": [*map(asdict, rates)], "whole": asdict(many), "kills": [*map(asdict, kills)]}
        given.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
