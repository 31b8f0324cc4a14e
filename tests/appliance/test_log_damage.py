"""Whatever is done to a log's files: it is seen, and the file and place are named."""

from __future__ import annotations

import io
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.errors import IntegrityError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.log import EvidenceLog
from tests.appliance.evidence_case import small_log

PATTERNS: dict[str, Callable[[int], int]] = {
    "lowest bit": lambda byte: byte ^ 1,
    "highest bit": lambda byte: byte ^ 0x80,
    "case": lambda byte: byte ^ 0x20,
    "all bits": lambda byte: byte ^ 0xFF,
    "zero": lambda byte: 0,
    "digit": lambda byte: 0x39 if byte != 0x39 else 0x38,
    "padding": lambda byte: ord("=") if byte != ord("=") else ord("A"),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("damage") / "log"
    small_log(directory, singles=3, batches=(3, 1))
    return directory


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "log"))


def problem_of(directory: Path) -> str:
    """What the verifier finds; "" when it finds nothing."""
    try:
        checked.check_log(directory)
    except checked.Broken as broken:
        return str(broken)
    return ""


def test_the_undamaged_log_is_intact(copy: Path) -> None:
    """The control of this file: without damage nothing is reported."""
    assert problem_of(copy) == ""


def changed(clean: bytes, patterns: list[str]) -> Iterator[tuple[int, bytes]]:
    for place, pattern in itertools.product(range(len(clean)), patterns):
        data = bytearray(clean)
        data[place] = PATTERNS[pattern](data[place])
        if data != clean:
            yield place, bytes(data)


@pytest.mark.parametrize("name", ["journal", "checkpoints"])
def test_every_changed_byte_of_the_long_files_is_seen(original: Path, name: str) -> None:
    """Every byte × six patterns: reported, with the file's own name first."""
    files = {file: (original / file).read_bytes() for file in ("journal", "checkpoints")}
    _, head = checked.read_head(original)  # the signature is the same all the time
    seen = set()
    for place, data in changed(files[name], list(PATTERNS)):
        streams = {**files, name: data}
        with pytest.raises(checked.Broken, match=f"^{name}, "):
            checked.Walk().advance(io.BytesIO(streams["journal"]), io.BytesIO(streams["checkpoints"]), head)
        seen.add(place)
    assert seen == set(range(len(files[name])))


@pytest.mark.parametrize("name", ["checkpoint", "verifier-key", "signing.key"])
def test_every_changed_byte_of_the_short_files_is_seen(copy: Path, name: str) -> None:
    """Every byte × three patterns is reported, under the file's name or that of a note it no longer fits."""
    for place, data in changed((copy / name).read_bytes(), ["lowest bit", "digit", "padding"]):
        (copy / name).write_bytes(data)
        problem = problem_of(copy)
        assert problem.startswith(("checkpoint", name)), f"byte {place}: {problem!r}"


def test_a_changed_entry_is_named(copy: Path) -> None:
    """A well-formed lie is traced to its entry where it was written alone, else to its batch."""
    journal = copy / "journal"
    clean = journal.read_bytes()
    log = EvidenceLog.open(copy)
    for index, expected in ((2, "entry 2 "), (5, "entries 4 to 6 ")):
        honest = log.raw(index)
        journal.write_bytes(clean.replace(honest, honest.replace(b'"boot":"5', b'"boot":"6')))
        assert problem_of(copy).startswith(f"journal, {expected}")


@pytest.mark.parametrize("name", ["journal", "checkpoint", "checkpoints", "verifier-key", "signing.key"])
def test_every_cut_is_seen(copy: Path, name: str) -> None:
    """Each file cut at each length, or gone, is reported."""
    clean = (copy / name).read_bytes()
    step = 7 if name in ("journal", "checkpoint") else 1
    for length in range(0, len(clean), step):
        (copy / name).write_bytes(clean[:length])
        assert problem_of(copy), f"{name} cut to {length} bytes"
    if name != "signing.key":
        (copy / name).unlink()
        assert problem_of(copy) == f"{name}: missing"


def frames_of(directory: Path) -> list[bytes]:
    data = (directory / "journal").read_bytes()[len(checked.JOURNAL_MAGIC) :]
    frames = []
    while data:
        length = 4 + int.from_bytes(data[:4], "big")
        frames.append(data[:length])
        data = data[length:]
    return frames


@pytest.mark.parametrize("change", ["delete", "swap", "repeat", "replace"])
def test_entries_cannot_be_moved(copy: Path, change: str) -> None:
    """An entry deleted, swapped with the next, repeated, or replaced by another is seen at its place."""
    frames = frames_of(copy)
    for index in range(len(frames) - 1):
        moved = list(frames)
        if change == "delete":
            del moved[index]
        elif change == "swap":
            moved[index], moved[index + 1] = moved[index + 1], moved[index]
        elif change == "repeat":
            moved.insert(index, moved[index])
        else:
            moved[index] = moved[index + 1]
        (copy / "journal").write_bytes(checked.JOURNAL_MAGIC + b"".join(moved))
        assert problem_of(copy).startswith("journal, entr")


def test_opening_refuses_and_repairs_nothing(copy: Path) -> None:
    """A damaged log does not open, and the damaged bytes are left as they are."""
    journal = copy / "journal"
    damaged = bytearray(journal.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    journal.write_bytes(damaged)
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    with pytest.raises(IntegrityError, match="journal, entr"):
        EvidenceLog.open(copy)
    assert before == {path.name: path.read_bytes() for path in copy.iterdir()}


def test_an_open_log_sees_damage_at_the_next_append(copy: Path) -> None:
    """A log cut under a running program is an alarm at the next entry, and at each one after."""
    log = EvidenceLog.open(copy)
    journal = copy / "journal"
    journal.write_bytes(journal.read_bytes()[:-1])
    for _ in range(2):
        with pytest.raises(IntegrityError, match="journal"):
            log.append("a.b")
    assert not log.verify().intact


def test_an_older_checkpoint_put_back_is_seen(copy: Path) -> None:
    """Two entries cannot be passed off as a torn tail by putting back the checkpoint from before them."""
    older = (copy / "checkpoint").read_bytes()
    log = EvidenceLog.open(copy)
    log.append("a.one")
    log.append("a.two")
    (copy / "checkpoint").write_bytes(older)
    assert "put back" in problem_of(copy)
    with pytest.raises(IntegrityError, match="put back"):
        EvidenceLog.open(copy)
    with pytest.raises(IntegrityError, match="older"):
        log.append("a.three")


def test_a_foreign_key_is_seen(copy: Path, tmp_path: Path) -> None:
    """A whole log of somebody else under our secret, or our log under another secret, does not open."""
    EvidenceLog.open(tmp_path / "other")
    (copy / "signing.key").write_bytes((tmp_path / "other" / "signing.key").read_bytes())
    with pytest.raises(IntegrityError, match="verifier-key"):
        EvidenceLog.open(copy)
