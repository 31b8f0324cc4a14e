"""Whole commands killed at random moments; then the workspace is verified, and the command given again.

    python benchmarks/soak/command_kill.py [--count 200] [--seed 0]

Ingest, models add, cohort create, audit run, evidence pack, backup, users add, a change of keys and a lock:
each is killed with -9, alone or with its workers. Then `workspace verify` must find nothing, all that stood
before must stand, the signed log must hold what it had held a moment before the kill, and the same
command given again (of an audit, `audit resume`) must end in the state of an undisturbed run. The mutants: a
program that replaces files by writing into them, and a disk on which the catalogue of before lies again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import working_site as site
from log_states import MEMORY, checked

from appliance.api import Appliance
from appliance.errors import ApplianceError

_LONGEST_S = 600.0
_AGAIN = 2  # tries of the command given again

COMMANDS: dict[str, tuple[str, ...]] = {
    "ingest": ("ingest", "{site}/inbox", "--workers", "1"),
    "model": ("models", "add", "again", "{site}/model"),
    "cohort": (
        "cohort", "create", "autumn", "--members", "Modality=CR", "--controls", "Modality=DX",
        "--targets", "Modality=CT", "--references", "L1",
    ),
    "audit": ("audit", "run", "--model", "tiny", "--cohort", "spring", "--policy", "{site}/quick.toml"),
    "pack": ("evidence", "pack", "{audit}", "-o", "{out}/pack.zip"),
    "user": ("users", "add", "b.meyer", "--role", "operator", "--new-fd", "{secret}"),
    "keys": ("users", "rotate", "--evidence"),
    "backup": ("backup", "{out}/backup.tar"),
    "lock": ("lock",),
}  # fmt: skip
TURNS = (*(("cohort", "pack", "user", "keys", "backup", "lock") * 3), "ingest", "ingest", "model", "audit")


@dataclass(slots=True)
class Before:
    """A workspace that commands start from, and what an undisturbed run of each makes of it.

    Attributes:
        made: folder of the site: models, inbox, policy.
        root: the workspace, with one finished audit.
        audit_id: of that audit.
        state: what it holds.
        after: name of a command -> what the workspace holds after it.
        takes_s: name of a command -> seconds.
    """

    made: Path
    root: Path
    audit_id: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    after: dict[str, dict[str, Any]] = field(default_factory=dict)
    takes_s: dict[str, float] = field(default_factory=dict)

    @property
    def secret(self) -> Path:
        """The file with the passphrase."""
        return self.made / "passphrase"


@dataclass(slots=True)
class Outcome:
    """What one kill brought.

    Attributes:
        killed: False where the command had ended before.
        lost: what had stood before, or had been acknowledged, and does not any more.
        alarms: what a workspace was accused of that nobody damaged.
        unlike: the command given again did not end where an undisturbed one does.
    """

    killed: bool = True
    lost: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)


def run(
    count: int = 22, seed: int = 0, *, mutants: bool = True, only: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Kill `count` commands; counts of what came of it.

    Args:
        seed: of which commands, when, and whether the workers die with them.
        mutants: also the two that must be found out.
        only: these commands.
    """
    rng = random.Random(seed)
    turns = [name for name in TURNS if not only or name in only]
    rng.shuffle(turns)
    kinds: Counter[str] = Counter()
    outcomes: list[tuple[str, Outcome]] = []
    missed: list[str] = []
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        before = prepared(folder)
        for number in range(count):
            kind = turns[number % len(turns)]
            outcome = one_kill(before, kind, folder / "case", rng)
            kinds[kind] += outcome.killed
            outcomes.append((kind, outcome))
        if mutants:
            missed += [
                title for title, caught in MUTANTS.items() if not caught(before, folder / "mutant", rng)
            ]
    said = [f"{kind}: {what}" for kind, one in outcomes for what in (*one.lost, *one.alarms, *one.unlike)]
    return {
        "tried": sum(kinds.values()), "ended_before": count - sum(kinds.values()),
        "lost": sum(len(one.lost) for _, one in outcomes),
        "false_alarms": sum(len(one.alarms) for _, one in outcomes),
        "failures": sum(len(one.unlike) for _, one in outcomes),
        "mutants": len(MUTANTS) if mutants else 0, "missed_mutants": len(missed), "missed": missed,
        "kinds": dict(kinds), "said": said[:5],
    }  # fmt: skip


def prepared(folder: Path) -> Before:
    """The site, audited once."""
    (folder / "site").mkdir()
    before = Before(folder / "site", site.build(folder / "site"))
    _undisturbed(before, "audit", before.root, folder)
    with Appliance.unlock(before.root, site.PASSPHRASE, "officer") as appliance:
        before.audit_id = appliance.audits()[0].audit_id
    before.state = before.after.pop("audit")
    before.after["audit"] = before.state | {"audits": before.state["audits"] * 2}
    return before


def _undisturbed(before: Before, kind: str, root: Path, folder: Path) -> None:
    """Run a command to its end once: how long it takes and what it leaves."""
    began = time.monotonic()
    ran = given(before, kind, root, folder)
    ran.wait(_LONGEST_S)
    before.takes_s[kind] = time.monotonic() - began
    if not _fine(kind, ran.code):
        raise RuntimeError(f"{kind}: {ran.code}: {ran.said.read_text(encoding='utf-8')[-400:]}")
    before.after[kind] = site.state(root)


def _fine(kind: str, code: int | None) -> bool:
    return code in ((0, 10, 11, 12, 13) if kind == "audit" else (0,))


def given(
    before: Before, kind: str, root: Path, out: Path, first: Callable[[], None] = lambda: None
) -> site.Running:
    """Start one of COMMANDS."""
    reading, writing = os.pipe()
    os.write(writing, b"a further passphrase\n")
    os.close(writing)
    places = {"site": before.made, "audit": before.audit_id, "out": out, "secret": reading}
    try:
        words = [word.format(**places) for word in COMMANDS[kind]]
        return site.start(words, root, before.secret, out / "said", first)
    finally:
        os.close(reading)


def one_kill(before: Before, kind: str, case: Path, rng: random.Random) -> Outcome:
    """A copy of the workspace, a command, a kill, and what is found afterwards."""
    if kind not in before.after:
        _in_a_copy(before, case, lambda root: _undisturbed(before, kind, root, case))
    return _in_a_copy(before, case, lambda root: _killed(before, kind, root, case, rng))


def _in_a_copy(before: Before, case: Path, act: Callable[[Path], Any]) -> Any:
    root = Path(shutil.copytree(before.root, case / "workspace"))
    try:
        return act(root)
    finally:
        shutil.rmtree(case)


def _killed(before: Before, kind: str, root: Path, case: Path, rng: random.Random) -> Outcome:
    outcome = Outcome()
    ran = given(before, kind, root, case)
    ended = ran.wait(rng.random() * before.takes_s[kind])
    if ended:
        outcome.killed = False
    else:
        promised = checked.read_head(root / "log")[1]
        if not ran.kill(whole=rng.random() < 0.5):
            outcome.unlike.append("workers lived on")
        _log_kept(root, promised, outcome)
    _whole(root, outcome)
    if outcome.alarms:
        return outcome
    after = site.state(root)
    outcome.lost += missing(before.state, after)
    if ended and _fine(kind, ran.code):
        outcome.lost += missing(before.after[kind], after)
    _outside(case, outcome)
    _again(before, kind, root, case, outcome)
    return outcome


def _log_kept(root: Path, promised: Any, outcome: Outcome) -> None:
    """The log still holds the state that was signed before the kill."""
    try:
        report = checked.check_log(root / "log")
    except checked.Broken as broken:
        outcome.alarms.append(str(broken))
        return
    if report.checkpoint.size < promised.size:
        outcome.lost.append(f"log entries {report.checkpoint.size} to {promised.size}")


def _whole(root: Path, outcome: Outcome) -> None:
    """Everything opens, and nothing is called damaged."""
    try:
        with Appliance.unlock(root, site.PASSPHRASE, "officer") as appliance:
            outcome.alarms += [repr(damage) for damage in appliance.verify_workspace().damages]
            health = appliance.log_verify()
            outcome.alarms += [health.problem] if health.problem else []
    except ApplianceError as alarm:
        outcome.alarms.append(str(alarm))


def missing(stood: dict[str, Any], stands: dict[str, Any]) -> list[str]:
    """What stood and stands no more, or not as it was."""
    gone = []
    for part, content in stood.items():
        if isinstance(content, dict):
            gone += [f"{part} {name}" for name, value in content.items() if stands[part].get(name) != value]
        else:
            gone += [f"one of {part}" for one in content if one not in stands[part]]
    return gone


def _outside(case: Path, outcome: Outcome) -> None:
    """A file with its own name is whole, or is not there."""
    pack, backup = case / "pack.zip", case / "backup.tar"
    try:
        if pack.exists():
            checked.check_pack(pack.read_bytes())
        if backup.exists():
            Appliance.verify_backup(backup, lambda done, total: None)
    except (checked.Broken, ApplianceError, OSError, ValueError) as half:
        outcome.lost.append(f"half a file has its name: {half}")
    for path in (pack, backup):
        path.unlink(missing_ok=True)


def _again(before: Before, kind: str, root: Path, case: Path, outcome: Outcome) -> None:
    """Give the command again, unless all of it is there; then all must be as without a kill."""
    code: int | None = None
    for _ in range(_AGAIN):
        cut_off = site.interrupted(root)
        leaves_more = kind in ("ingest", "model", "cohort", "audit", "user")
        if leaves_more and not cut_off and site.state(root) == before.after[kind]:
            return
        words = ["audit", "resume", cut_off[0]] if cut_off else []
        ran = (
            site.start(words, root, before.secret, case / "said")
            if words
            else given(before, kind, root, case)
        )
        ran.wait(_LONGEST_S)
        code = ran.code
        if _fine(kind, code):
            break
    told = (case / "said").read_text(encoding="utf-8")[-200:]
    if not _fine(kind, code):
        outcome.unlike.append(f"given again it ended with {code}: {told}")
        return
    now = site.state(root)
    unlike = [part for part, value in before.after[kind].items() if now[part] != value]
    if unlike:
        outcome.unlike.append(f"given again, {', '.join(unlike)} differ")
    _whole(root, outcome)


# -- mutants ---------------------------------------------------------------------------------------------


def _in_place(before: Before, case: Path, rng: random.Random) -> bool:
    """A program that replaces files by writing into them: a kill in between is seen."""

    def torn(source: Any, target: Any, **_: Any) -> None:
        data = Path(source).read_bytes()
        with open(target, "wb"):  # noqa: PTH123 - cut to nothing, as a careless program does
            time.sleep(0.2)
        Path(target).write_bytes(data)
        Path(source).unlink()

    def careless() -> None:
        os.rename = os.replace = torn

    def attempt(root: Path) -> bool:
        outcome = Outcome()
        ran = given(before, "user", root, case, careless)
        if not ran.wait(0.1 + rng.random()):
            ran.kill(whole=True)
        _whole(root, outcome)
        return bool(outcome.alarms)

    return any(_in_a_copy(before, case, attempt) for _ in range(12))


def _put_back(before: Before, case: Path, rng: random.Random) -> bool:
    """A disk that forgets a catalogue which was acknowledged."""

    def attempt(root: Path) -> bool:
        outcome = Outcome()
        given(before, "cohort", root, case).wait(_LONGEST_S)
        for name in ("catalogue.db", "catalogue.db-wal", "catalogue.db-shm"):
            (root / name).unlink(missing_ok=True)
            if (before.root / name).exists():
                shutil.copy(before.root / name, root / name)
        _whole(root, outcome)
        return bool(outcome.alarms) or bool(missing(before.after["cohort"], site.state(root)))

    return bool(_in_a_copy(before, case, attempt))


MUTANTS: dict[str, Callable[[Before, Path, random.Random], bool]] = {
    "files are written in place": _in_place,
    "the catalogue of before lies there again": _put_back,
}


def main() -> int:
    """Run at length and print one JSON object."""
    parser = argparse.ArgumentParser(description="Kill whole commands.")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = run(options.count, options.seed)
    print(json.dumps(found))
    return int(any(found[bad] for bad in ("lost", "false_alarms", "failures", "missed_mutants")))


if __name__ == "__main__":
    sys.exit(main())
