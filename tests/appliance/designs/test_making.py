"""A new design: committed whole, told to nobody, and nothing or everything after a kill."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.designs import shelf
from appliance.designs.assignment import Arm, commitment
from appliance.designs.outgoing import RELEASE_LIST
from appliance.errors import UsageError
from medio.ingest import read_file
from tests import warm
from tests.appliance.designs.design_site import PATIENTS, REQUEST, create, silent, unlocked


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace, and a design's output beside it."""
    folder = tmp_path_factory.mktemp("design")
    create(folder)
    with unlocked(folder / "workspace") as opened:
        opened.new_design(REQUEST, folder / "out", silent)
    return folder


def _design(folder: Path) -> shelf.Design:
    with unlocked(folder / "workspace") as opened:
        (found,) = shelf.designs(opened._workspace, opened._log)
    return found


def test_everybody_has_one_coin_and_all_pairs_go_with_it(made: Path) -> None:
    """Every patient of the selection is in one arm with all pairs; both arms and all canaries are there."""
    found = _design(made).assignment
    assert len(found.patients) == PATIENTS
    assert sorted(pair for one in found.patients for pair in one.pairs) == [
        f"{number + 2000:064x}" for number in range(PATIENTS + 1)
    ]
    assert {one.arm for one in found.patients} == set(Arm)
    assert len(found.canaries) == 8


def test_the_log_holds_the_commitment_and_no_secret(made: Path) -> None:
    """One entry with the commitment between begin and done; neither seed nor digest nor name stands there."""
    design = _design(made)
    with unlocked(made / "workspace") as opened:
        entries = opened._log.about(opened._log.identifier("spring"))
    assert [(one.act, one.outcome) for one in entries[:3]] == [
        ("design.new", "begins"), ("design.commit", "done"), ("design.new", "done"),
    ]  # fmt: skip
    assert entries[1].detail_digest == design.assignment.commitment
    journal = (made / "workspace" / "log" / "journal").read_bytes()
    for secret in (design.assignment.seed, design.assignment.digest, "spring"):
        assert secret.encode() not in journal
    assert design.assignment.commitment.encode() in journal


def test_the_seed_and_the_arms_lie_nowhere_in_the_clear(made: Path) -> None:
    """No byte of seed, held-back pseudonym or never-planted canary is in workspace or output."""
    found = _design(made).assignment
    held = [one.patient for one in found.patients if one.arm is Arm.HELD_BACK]
    never = [one.patient for one in found.canaries if not one.copies]
    secrets = [bytes.fromhex(found.seed), found.seed.encode(), *(name.encode() for name in (*held, *never))]
    files = [path for path in made.rglob("*") if path.is_file()]
    assert any(b"P-" in path.read_bytes() for path in files)  # the search does find the release list
    assert [] == [path for path in files for secret in secrets if secret in path.read_bytes()]


def test_the_output_names_whoever_may_leave_and_tells_no_canary_apart(made: Path) -> None:
    """The list holds released patients and planted canaries in one order; file names are digests."""
    found = _design(made).assignment
    lines = (made / "out" / RELEASE_LIST).read_text().splitlines()
    released = {one.patient for one in found.patients if one.arm is Arm.RELEASED}
    planted = {one.patient for one in found.canaries if one.copies}
    assert (lines[0], lines[1:]) == ("pseudonym", sorted(released | planted))
    studies = [read_file(path) for path in sorted((made / "out" / "studies").iterdir())]
    images = [one.instance.StudyInstanceUID for one in studies if one.frame is not None and one.instance]
    assert sorted(images) == sorted(study for one in found.canaries for study in one.studies)
    for path in (made / "out").rglob("*.dcm"):
        assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()[:32]
        assert b"anary" not in path.read_bytes()
    marks = {one.instance.PatientID[:3] for one in studies if one.instance}
    assert marks == ({"MRN"} if planted else set())  # each canary is in by its own coin: once in 256, none is


def test_what_is_scored_is_what_was_planted(made: Path) -> None:
    """The sealed picture and words of a canary are those an ingest of its files gives."""
    found = _design(made).assignment
    texts = {
        report.StudyInstanceUID: hashlib.sha256(report.text.encode()).hexdigest()
        for path in (made / "out" / "studies").iterdir()
        for report in read_file(path).reports
    }
    assert {study: one.text for one in found.canaries for study in one.studies} == texts


def test_a_canary_that_comes_back_is_no_patient(made: Path, tmp_path: Path) -> None:
    """Its studies, ingested, give pairs that no selection sees."""
    with unlocked(create(tmp_path)) as opened:
        opened.new_design(replace(REQUEST, canaries=16), tmp_path / "out", silent)  # one is planted
        before = {pair.pair_id for pair in opened.pairs()}
        (design,) = shelf.designs(opened._workspace, opened._log)
        study = next(one for one in design.assignment.canaries if one.copies).studies[0]
        back = replace(opened._workspace.catalogue.pairs()[0], pair_id="ee" * 32, StudyInstanceUID=study)
        opened._workspace.catalogue.settle_pairs([*opened._workspace.catalogue.pairs(), back])
        assert {pair.pair_id for pair in opened.pairs()} == before


def test_patients_who_share_a_picture_get_no_coin(tmp_path: Path) -> None:
    """One of them released and the other held back would show the model what it must not know."""
    with unlocked(create(tmp_path, same_picture=(7, 9))) as opened:
        view = opened.new_design(REQUEST, tmp_path / "out", silent)
        (design,) = shelf.designs(opened._workspace, opened._log)
    assert view.shared_picture == 3
    assert not {f"P-{number:08x}" for number in (0, 7, 9)} & {
        one.patient for one in design.assignment.patients
    }
    assert view.released + view.held_back == PATIENTS - 3


def test_nothing_is_replaced(made: Path, tmp_path: Path) -> None:
    """A name that is committed, a folder with something in it, a folder in the workspace: refused."""
    before = _design(made)
    with unlocked(made / "workspace") as opened:
        with pytest.raises(UsageError, match="already committed"):
            opened.new_design(REQUEST, tmp_path / "fresh", silent)
        other = replace(REQUEST, name="autumn")
        for folder in (made / "out", made / "workspace" / "out", tmp_path / "no" / "parent"):
            with pytest.raises(UsageError):
                opened.new_design(other, folder, silent)
        assert [view.name for view in opened.designs()] == ["spring"]
    assert _design(made) == before


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"hold_back": "0"}, "share"),
        ({"hold_back": "0.1"}, "too few"),
        ({"canaries": 7}, "canaries"),
        ({"canaries": 5000}, "canaries"),
        ({"patients": "Modality=MR"}, "matches no pair"),
        ({"name": "a b"}, "name"),
    ],
    ids=["share", "small-half", "few-canaries", "many-canaries", "nobody", "name"],
)
def test_what_proves_nothing_is_refused(
    made: Path, tmp_path: Path, change: dict[str, object], word: str
) -> None:
    """Before a coin is thrown, with a hint; nothing is left behind."""
    asked = replace(REQUEST, **{"name": "autumn", **change})  # type: ignore[arg-type]
    with unlocked(made / "workspace") as opened:
        with pytest.raises(UsageError, match=word) as refused:
            opened.new_design(asked, tmp_path / "fresh", silent)
        assert refused.value.hint
        assert len(opened.designs()) == 1
    assert list(tmp_path.iterdir()) == []


def test_who_was_released_before_is_counted(tmp_path: Path) -> None:
    """A second design over the same patients says how many of them are out already."""
    with unlocked(create(tmp_path)) as opened:
        first = opened.new_design(REQUEST, tmp_path / "out", silent)
        again = replace(REQUEST, name="second", canaries=0)
        view = opened.new_design(again, tmp_path / "second", silent)
    assert view.earlier_design == first.released
    assert (view.canaries, view.guesses, view.outgoing) == (0, 0, 0)
    assert [path.name for path in (tmp_path / "second").rglob("*") if path.is_file()] == [RELEASE_LIST]


NEW = """
import os, signal, sys
from pathlib import Path
from appliance.designs import outgoing, shelf
from appliance.evidence.log import EvidenceLog
from tests.appliance.designs.design_site import REQUEST, silent, unlocked

root, out, place = sys.argv[1:]

def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)

def dying_after(module, name):
    whole = getattr(module, name)
    def dying(*arguments, **named):
        whole(*arguments, **named)
        die()
    setattr(module, name, dying)

if place == "before sealing":
    shelf.keep = die
if place == "after sealing":
    dying_after(shelf, "keep")
if place == "in the middle of writing":
    whole, left = outgoing.write_new, [3]
    def write(*arguments, **named):
        left[0] -= 1
        die() if not left[0] else whole(*arguments, **named)
    outgoing.write_new = write
if place == "after writing":
    dying_after(outgoing, "write")
if place == "after the commitment":
    append = EvidenceLog.append
    def appending(log, act, *arguments, **named):
        entry = append(log, act, *arguments, **named)
        if act == shelf.COMMIT:
            die()
        return entry
    EvidenceLog.append = appending
with unlocked(Path(root)) as opened:
    opened.new_design(REQUEST, Path(out), silent)
"""
PLACES = (
    *("before sealing", "after sealing", "in the middle of writing"),
    *("after writing", "after the commitment"),
)


@pytest.mark.parametrize("place", PLACES)
def test_a_kill_leaves_nothing_or_everything(tmp_path: Path, place: str) -> None:
    """Uncommitted, the same command goes on with the same draw; committed, everything is there."""
    root, out = create(tmp_path, patients=24), tmp_path / "out"
    killed = warm.program(NEW, root, out, place)
    assert killed.returncode == -9, killed.stderr
    with unlocked(root) as opened:
        left = list(shelf.designs(opened._workspace, opened._log))
        states = [design.state for design in left]
        assert states == {"before sealing": [], "after the commitment": ["committed"]}.get(place, ["drawn"])
        assert out.exists() == (place in ("after writing", "after the commitment"))
        if place != "after the commitment":
            view = opened.new_design(REQUEST, out, silent)
            assert view.state == "committed"
        (design,) = shelf.designs(opened._workspace, opened._log)
        assert opened.log_verify().intact
    assert [one.assignment for one in left] in ([], [design.assignment])  # no coin is thrown twice
    found = design.assignment
    assert design.committed is not None
    assert design.committed.detail_digest == commitment(found.seed, found.digest)
    there = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()} == dict(
        found.files
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "workspace"]


def test_a_draw_that_was_cut_off_goes_on_for_the_same_patients_only(tmp_path: Path) -> None:
    """Other options are another design: the coins would no longer be those of the request."""
    root, out = create(tmp_path, patients=24), tmp_path / "out"
    assert warm.program(NEW, root, out, "after sealing").returncode == -9
    with unlocked(root) as opened:
        for change in ({"canaries": 9}, {"hold_back": "0.45"}, {"patients": "StudyDate>=2024-02"}):
            with pytest.raises(UsageError, match="cut off"):
                opened.new_design(replace(REQUEST, **change), out, silent)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="before it was committed"):
            opened.release_list("spring")
        assert not out.exists()


def test_the_release_list_with_handles_is_an_act(made: Path) -> None:
    """Handles of released patients and planted canaries, and an entry that somebody looked."""
    with unlocked(made / "workspace") as opened:
        rows = opened.release_list("spring")
        last = opened._log.entries(-1, 1)[0]
    names = (made / "out" / RELEASE_LIST).read_text().splitlines()[1:]
    assert [row.pseudonym for row in rows] == names
    assert all(row.patient_id.startswith("MRN") and row.accessions for row in rows)
    assert (last.act, last.outcome) == ("design.release", "allowed")
