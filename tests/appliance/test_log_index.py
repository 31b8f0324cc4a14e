"""The log's index answers as a walk through the log does, and never believed when it is wrong."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.errors import IntegrityError, UsageError
from appliance.evidence import making
from appliance.evidence import verify_evidence as checked
from appliance.evidence.entries import Act, decode
from appliance.evidence.index import asked, fits
from appliance.evidence.log import EvidenceLog
from appliance.evidence.views import LogFilter
from appliance.views import LogRow
from tests.appliance.test_log_segments import in_year

KEY, OTHER = b"k" * 32, b"o" * 32
ROLES, ACTS = ("officer", "operator", "auditor", "system"), ("log.view", "log.export", "audit.run", "a.b.c")
OUTCOMES, THINGS = ("begins", "done", "refused"), ("", "log", "workspace", "policy")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few entries, so that a small log has many."""
    monkeypatch.setattr(making, "PIECE", 20)


def grow(log: EvidenceLog, steps: int, seed: int = 0) -> None:
    """Random steps of one to seven random entries."""
    chance = random.Random(seed)
    handles = [log.identifier(str(number)) for number in range(5)]
    actors = [*ROLES, *(f"officer:{handle}" for handle in handles[:2])]
    for _ in range(steps):
        log.append_all(
            [
                Act(
                    chance.choice(ACTS), chance.choice([*handles, *THINGS]), chance.choice(OUTCOMES),
                    chance.choice(actors),
                )
                for _ in range(chance.randint(1, 7))
            ]
        )  # fmt: skip


def opened(directory: Path, year: int = 2026, key: bytes = KEY) -> EvidenceLog:
    """The log with whoever has the key."""
    log = EvidenceLog.open(directory, clock=in_year(year))
    log.entrust(key)
    return log


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of three years, with its index."""
    directory = tmp_path_factory.mktemp("indexed") / "log"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "PIECE", 20)
        for year, steps in ((2024, 12), (2025, 25), (2026, 30)):
            grow(opened(directory, year), steps, year)
        opened(directory).verify()
    return directory


@pytest.fixture
def directory(grown: Path, tmp_path: Path) -> Path:
    """A copy of a test's own."""
    return Path(shutil.copytree(grown, tmp_path / "log"))


def walked(log: EvidenceLog) -> list[LogRow]:
    """Every entry as the journals hold it, past all of our reading."""
    data = b""
    rows = []
    for folder in [*checked.closed_segments(log.directory), log.directory]:
        data = (folder / "journal").read_bytes()
        place = len(checked.read_start((folder / "journal").open("rb"), log._signer.key, "").header)
        while place < len(data):
            length = int.from_bytes(data[place : place + 4], "big")
            entry = decode(data[place + 4 : place + 4 + length])
            rows.append(
                LogRow(entry.index, entry.claimed_utc, entry.actor, entry.act, entry.object, entry.outcome)
            )
            place += 4 + length
    return rows


def numbers(log: EvidenceLog, wanted: LogFilter) -> list[int]:
    """Of the entries that a filter lets through."""
    return [row.index for row in log.find(wanted, 0, 9999, newest_first=False).rows]


def filters(log: EvidenceLog) -> Iterator[LogFilter]:
    """Random ones, and some that are nothing or everything."""
    chance = random.Random(3)
    handle = log.identifier("1")
    yield from (
        LogFilter(),
        LogFilter(object="0"),
        LogFilter(object="+0"),
        LogFilter(object=handle[:3].upper()),
        LogFilter(text="0000"),
        LogFilter(act="z"),
        LogFilter(since="2025", until="2025-07"),
        LogFilter(until="2024"),
    )
    for _ in range(60):
        yield LogFilter(
            chance.choice(["", "", "l", "log.", "audit.run", "a"]),
            chance.choice(["", "", "done", "re"]),
            chance.choice(["", "", "officer", "officer:", "o", f"officer:{handle[:3]}"]),
            chance.choice(["", "", "", "log", handle[:2], handle, "w", "p"]),
            chance.choice(["", "", "", "a", "re", handle[:1]]),
            chance.choice(["", "", "2025", "2026-07-01T00:00:00"]),
            chance.choice(["", "", "2025-07-01", "2026"]),
            chance.choice([None, None, 0, 17, 150]),
        )


def test_every_filter_finds_what_a_walk_finds(directory: Path) -> None:
    """Random filters over a log of three years: same entries, same number, both orders, any page."""
    log = opened(directory)
    assert log._rederived is None  # it stands on its index
    everything = walked(log)
    assert len(everything) == log.size > 200
    found_some = 0
    for wanted in filters(log):
        slow = [
            row
            for row in everything
            if fits(row, wanted) and (wanted.below is None or row.index < wanted.below)
        ]
        found_some += bool(slow)
        page = log.find(wanted, 3, 10, newest_first=False)
        assert (page.total, list(page.rows)) == (len(slow), slow[3:13]), wanted
        assert list(log.find(wanted, 3, 10, newest_first=True).rows) == slow[::-1][3:13], wanted
    assert found_some > 20


def test_objects_acts_and_the_newest_are_those_of_a_walk(directory: Path) -> None:
    """What lock-out, packs and roots ask is answered as without an index."""
    log = opened(directory)
    everything = walked(log)
    for thing in (log.identifier("1"), "log", "", "0" * 32):
        assert [row.index for row in everything if row.object == thing] == [
            one.index for one in log.about(thing)
        ]
    for act in ("log.view", "log", "audit.run"):
        told = [row.index for row in everything if row.act == act]
        assert told == [one.index for one in log.acts(act)]
        for below in (log.size, 130, 5):
            before = [number for number in told[::-1] if number < below]
            assert before[:9] == [one.index for one in log.newest(act, below, 9)]


def test_proofs_and_roots_are_those_of_the_whole_tree(directory: Path) -> None:
    """Standing on the index, every proof verifies under the same root as after a walk from the beginning."""
    log, whole = opened(directory), EvidenceLog.open(directory, clock=in_year(2026))
    whole._index.forget()
    whole.rederive()
    assert log.root == whole.root
    for index in range(0, log.size, 7):
        leaf = checked.leaf_hash(log.raw(index))
        path = log.prove_entry(index, log.size)
        assert checked.root_by_inclusion(index, log.size, leaf, path) == bytes.fromhex(whole.root)
        assert log.root_at(index + 1) == whole._subtree(0, index + 1)


def test_a_log_that_goes_on_keeps_its_index_up(directory: Path) -> None:
    """Appending makes pieces of what is enough; another start stands on them and finds the same."""
    log = opened(directory)
    before = len(log._index.pieces)
    grow(log, 40, 9)
    assert len(log._index.pieces) > before
    again = opened(directory)
    assert again._rederived is None
    assert (log.size, log.root) == (again.size, again.root)
    assert log.find(LogFilter(act="log."), 0, 999, False) == again.find(LogFilter(act="log."), 0, 999, False)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 1
    path.write_bytes(data)


def _hide(path: Path) -> None:
    """Let entries of one act look like those of another, with digests that fit, and no key to vouch with."""
    line, mac, body = path.read_bytes().split(b"\n", 2)
    path.write_bytes(line.replace(b'"log.view"', b'"log.virw"') + b"\n" + mac + b"\n" + body)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _take(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("which", [0, 3, -1])
@pytest.mark.parametrize("damage", [_flip, _hide, _cut, _take])
def test_a_changed_index_is_made_anew(directory: Path, damage: Callable[[Path], None], which: int) -> None:
    """A piece that is damaged, forged, short or gone hides no entry: the answer is the log's."""
    files = sorted(path for path in (directory / "index").iterdir() if path.name.isdecimal())
    whole = files[which].read_bytes()
    damage(files[which])
    log = opened(directory)
    told = [row.index for row in walked(log) if row.act == "log.view"]
    assert told == numbers(log, LogFilter(act="log.view"))
    assert told == [entry.index for entry in log.acts("log.view")]
    assert log.verify().intact
    assert files[which].read_bytes() == whole


def test_a_piece_changed_while_it_is_open_is_noticed(directory: Path) -> None:
    """Damage between opening and the first question is found by the column's digest."""
    log = opened(directory)
    piece = log._index.pieces[1]
    size = piece.path.stat().st_size
    with piece.path.open("r+b") as file:  # the same file that is mapped
        file.seek(size - 3)
        file.write(b"\x07\x07\x07")
    told = [row.index for row in walked(log) if row.outcome == "refused"]
    assert told == numbers(log, LogFilter(outcome="refused"))


def test_a_key_of_somebody_else_vouches_for_nothing(directory: Path) -> None:
    """Whoever has the disk and no key can write pieces; they are made anew under the key that counts."""
    forged = opened(directory, key=OTHER)
    assert forged._rederived is not None  # the pieces of before were not taken
    log = opened(directory)
    assert log._rederived is not None
    assert opened(directory)._rederived is None


@pytest.mark.parametrize("year", ["2024", ""])
def test_an_altered_entry_is_never_shown(directory: Path, year: str) -> None:
    """A start on the index does not read old entries; whoever asks for the altered one is told."""
    journal = directory / "segments" / year / "journal" if year else directory / "journal"
    data = bytearray(journal.read_bytes())
    place = data.index(b'"log.view"', 600)
    data[place + 1 : place + 9] = b"log.viem"
    journal.write_bytes(data)
    log = opened(directory)
    assert log._rederived is None
    with pytest.raises(IntegrityError, match="not what was signed"):
        log.entries(0, log.size)
    with pytest.raises(IntegrityError, match="not what was signed"):
        log.acts("log.view")
    assert log.verify().problem.startswith(f"segments/{year}/journal" if year else "journal")


def test_an_altered_history_is_found_at_the_next_start(directory: Path) -> None:
    """What came after the last piece is re-derived, as all of a short log is."""
    data = bytearray((directory / "journal").read_bytes())
    data[-20] ^= 1
    (directory / "journal").write_bytes(data)
    with pytest.raises(IntegrityError, match="altered"):
        EvidenceLog.open(directory, clock=in_year(2026))


def test_another_log_under_the_same_index_is_told(directory: Path, tmp_path: Path) -> None:
    """An index of another history does not lead to the signed checkpoint, and is dropped."""
    other = tmp_path / "other"
    grow(opened(other), 60, 77)
    shutil.rmtree(other / "index")
    shutil.copytree(directory / "index", other / "index")
    log = opened(other)
    assert [row.index for row in walked(log)] == [
        row.index for row in log.find(LogFilter(), 0, 999, False).rows
    ]
    told = [row.index for row in walked(log) if row.act == "log.export"]
    assert told == [entry.index for entry in log.acts("log.export")]


def test_pruning_takes_the_index_of_the_year_along(directory: Path) -> None:
    """After a year was removed no column of it is left, and the rest answers as before."""
    log = opened(directory)
    grow(log, 1)
    gone = log.entries(0, 1)[0]
    log.remove_oldest_year()
    again = opened(directory)
    assert again.origin > gone.index
    assert min(int(path.name) for path in (directory / "index").glob("[0-9]*")) == again.origin
    assert [row.index for row in walked(again)] == [
        r.index for r in again.find(LogFilter(), 0, 999, False).rows
    ]
    assert again.health().intact


def test_killed_between_the_entry_and_its_index(directory: Path) -> None:
    """A process that dies before the piece is written, or with half of it, costs nothing but the piece."""
    code = (
        "import os, pathlib, sys\n"
        "from appliance.evidence import making\n"
        "from appliance.evidence.entries import Act\n"
        "from appliance.evidence.index import Index\n"
        "from appliance.evidence.log import EvidenceLog\n"
        "making.PIECE = 20\n"
        "log = EvidenceLog.open(pathlib.Path(sys.argv[1])); log.entrust(b'k' * 32)\n"
        "def half(self, name, data):\n"
        "    (self._folder / name).write_bytes(data[: len(data) // 2]); os._exit(9)\n"
        "Index._write = half\n"
        "log.append_all([Act('a.b')] * 90)\n"
    )
    size = opened(directory).size
    assert subprocess.run([sys.executable, "-c", code, str(directory)], check=False).returncode == 9
    log = opened(directory, 2027)
    assert [entry.index for entry in log.acts("a.b")] == list(range(size, log.size))[-90:]
    assert log.verify().intact


def test_two_who_append_find_the_same(directory: Path) -> None:
    """Each makes pieces of what both wrote, byte for byte the same; both answers are those of a walk."""
    one, two = opened(directory), opened(directory)
    for turn in range(12):
        grow(one if turn % 2 else two, 3, turn)
    one.refresh(), two.refresh()
    told = [row.index for row in walked(one) if row.outcome == "refused"]
    for log in (one, two, opened(directory)):
        assert told == numbers(log, LogFilter(outcome="refused"))
        assert log.verify().intact


def test_a_full_disk_for_the_index_stops_no_entry(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no piece can be written the log goes on, and answers."""
    log = opened(directory)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("appliance.evidence.index.Index._write", full)
    before = log.size
    grow(log, 30, 5)
    assert log.size > before
    assert [row.index for row in walked(log)] == [
        row.index for row in log.find(LogFilter(), 0, 9999, False).rows
    ]


def test_what_is_said_of_a_log_that_was_not_read_again(directory: Path) -> None:
    """Health says up to where and when all was re-derived; without a record, that nobody knows."""
    log = opened(directory)
    said = log.health()
    assert (said.intact, said.entries, said.verified_entries) == (True, log.size, log.size)
    assert said.verified_utc.startswith("2026-07-01")
    grow(log, 2)
    assert log.health().verified_entries < log.health().entries
    (directory / "index" / "verified").unlink()
    assert ("", 0) == (opened(directory).health().verified_utc, opened(directory).health().verified_entries)


def test_a_log_that_was_put_back_before_its_verification_is_told(directory: Path, tmp_path: Path) -> None:
    """A record under our key of more entries than there are speaks against the log."""
    before = shutil.copytree(directory, tmp_path / "before")
    log = opened(directory)
    grow(log, 3)
    assert log.verify().intact
    shutil.copy(directory / "index" / "verified", before / "index" / "verified")
    said = opened(before).health()
    assert not said.intact
    assert said.problem.startswith("checkpoint: of ")


def test_short_logs_are_re_derived_at_every_start(tmp_path: Path) -> None:
    """Where an index spares little there is none: every byte is checked."""
    log = opened(tmp_path / "log")
    log.append_all([Act("a.b")] * 15)
    again = opened(tmp_path / "log")
    assert not (tmp_path / "log" / "index").exists()
    assert again._rederived == (checked.Checkpoint(16, bytes.fromhex(log.root)), again._rederived[1])  # type: ignore[index]


def test_progress_is_told_and_may_stop(directory: Path) -> None:
    """Whoever watches a verification hears how far it is, and can end it."""
    log, heard = opened(directory), list[tuple[int, int]]()
    assert log.verify(lambda done, total: heard.append((done, total))).intact
    assert heard == sorted(heard)
    assert {total for _, total in heard} == {log.size}

    def stop(done: int, total: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        log.verify(stop)


@pytest.mark.parametrize("text", ["yesterday", "2026-7-1", "2026-07-01 ", "2026-07-01x", "[/x]"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """A time is an ISO time or its beginning; nothing else is guessed."""
    with pytest.raises(UsageError, match="not a time"):
        asked(LogFilter(since=text))
