"""No log write, no act: every kind of act, with a log that takes nothing, leaves everything as it was."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance import policy_file
from appliance.api import Appliance
from appliance.cohorts import CohortRequest, pair_rows
from appliance.designs.making import DesignRequest
from appliance.errors import Locked, LogUnwritable
from appliance.evidence import files, witness_log
from appliance.library import Library
from appliance.workspace.workspace import Workspace
from tests.appliance import small_site, ward
from tests.audit_core import engine_models as tiny

STUDIES = Path(__file__).resolve().parents[2] / "appliance" / "demo" / "assets" / "studies"
PASSPHRASE = "four random words"
QUIET = ("log", "lock", "auditing", "run")  # what may change without an act


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with two studies, and things to bring to it."""
    folder = tmp_path_factory.mktemp("site")
    workspace = Workspace.create(folder / "workspace", PASSPHRASE, "Test", unsafe_fast_kdf=True)
    with Appliance(workspace) as appliance:
        appliance.ingest(sorted(STUDIES.rglob("*.dcm"))[:4], _no)
    tiny.write_llava(folder / "model", seed=0)
    witness_log.init(folder / "stick")
    return folder


@pytest.fixture(scope="module")
def ward_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with patients and a finished audit whose findings somebody has opened once."""
    folder = tmp_path_factory.mktemp("ward")
    ward.build(folder / "workspace")
    with Appliance.unlock(folder / "workspace", PASSPHRASE) as appliance:
        appliance.findings(ward.AUDIT)
    return folder


@pytest.fixture(scope="module")
def model_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a model, a cohort and a finished audit."""
    root = small_site.build(tmp_path_factory.mktemp("model"))
    text = (policy_file.FOLDER / "demo.toml").read_text().replace('name = "demo"', 'name = "quick"')
    for key, value in {"bootstrap": 100, "simulations": 50, "permutations": 5}.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
    (root.parent / "quick.toml").write_text(text)
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        appliance.run_audit("tiny", "spring", str(root.parent / "quick.toml"), _no)
    return root.parent


def picture(folder: Path) -> dict[str, str]:
    """Every file of the workspace, and every file that came out, by digest."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        quiet = name.parts[:1] == ("workspace",) and name.parts[1:2] in [(one,) for one in QUIET]
        quiet = quiet or name.parts == ("workspace", "evidence", "lock")
        if path.is_file() and not quiet and not path.name.endswith(("-wal", "-shm")):
            found[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _new_study() -> list[Path]:
    return sorted(STUDIES.rglob("*.dcm"))[4:6]


def _no(step: object) -> None:
    return None


ACTS: dict[str, Callable[[Appliance, Path], Any]] = {
    "ingest": lambda site, folder: site.ingest(_new_study(), _no),
    "export of studies": lambda site, folder: site.export_studies(_new_study(), folder / "out", _no),
    "model intake": lambda site, folder: site.add_model("second", folder / "model"),
    "studies listed": lambda site, folder: site.studies(),
    "study shown": lambda site, folder: site.study(Library(site._workspace).studies()[0].study),
    "reports listed": lambda site, folder: site.reports(),
    "report shown": lambda site, folder: site.report(Library(site._workspace).reports()[0].digest),
    "pairs listed": lambda site, folder: site.pairs(),
    "pair shown": lambda site, folder: site.pair(pair_rows(site._workspace)[0].pair_id),
    "unpaired listed": lambda site, folder: site.unpaired(),
    "duplicates listed": lambda site, folder: site.duplicates(_no),
    "user": lambda site, folder: site.add_user("second", "operator", "words of an operator"),
    "passphrase": lambda site, folder: site.change_passphrase(PASSPHRASE, "five other random words"),
    "rotation of keys": lambda site, folder: site.rotate_keys(),
    "auto-lock": lambda site, folder: (site.set_auto_lock(5), site.auto_lock_minutes()),
    "backup": lambda site, folder: site.backup(folder / "backup", lambda done, total: None),
    "log shown": lambda site, folder: site.log_entries(0, 10),
    "log export": lambda site, folder: site.export_log(folder / "log.jsonl", "jsonl", None, None),
    "review": lambda site, folder: site.review_log(0, 2, "nothing unusual"),
    "legal hold": lambda site, folder: site.hold_log(True),
    "witness trusted": lambda site, folder: site.trust_witness(
        "stick", (folder / "stick" / witness_log.KEY_FILE).read_bytes()
    ),
    "unlock": lambda site, folder: Appliance.unlock(folder / "workspace", PASSPHRASE).close(),
}  # fmt: skip
ON_THE_WARD: dict[str, Callable[[Appliance, Path], Any]] = {
    "findings listed": lambda site, folder: site.findings(ward.AUDIT),
    "finding shown": lambda site, folder: site.finding(ward.AUDIT, _somebody(site)),
    "reveal": lambda site, folder: site.reveal_finding(ward.AUDIT, _somebody(site), "a request of 3 May"),
    "reveals listed": lambda site, folder: site.reveals(),
    "erasure planned": lambda site, folder: site.erasure_plan(ward.ERASED_ONE),
    "erasure": lambda site, folder: site.erase_patient(ward.ERASED_ONE, confirmed=_erased_one(site)),
    "audit given up": lambda site, folder: site.abandon_audit(ward.CUT_OFF),
}  # fmt: skip
WITH_A_MODEL: dict[str, Callable[[Appliance, Path], Any]] = {
    "pack": lambda site, folder: site.export_pack(site.audits()[0].audit_id, folder / "pack.zip"),
    "audit": lambda site, folder: _begun(site),
    "cohort": lambda site, folder: site.create_cohort(
        CohortRequest("autumn", {"target": "Modality=CT", "control": "Modality=DX"}, "random", "L5", 0.45, 0)
    ),
    "design": lambda site, folder: site.new_design(
        DesignRequest("summer", "Modality=CT", 0, "0.5"), folder / "design", _no
    ),
}  # fmt: skip
PLACES = {"site": ACTS, "ward_site": ON_THE_WARD, "model_site": WITH_A_MODEL}


class Stopped(Exception):
    """Somebody pressed a key."""


def _stop(step: object) -> None:
    raise Stopped


def _begun(site: Appliance) -> Any:
    """An audit that is interrupted at its first step; its row is there."""
    with pytest.raises(Stopped):
        site.run_audit("tiny", "spring", "demo", _stop)
    return site.audits()[0]


def _somebody(site: Appliance) -> str:
    return site._workspace.catalogue.pairs()[0].patient


def _erased_one(site: Appliance) -> str:
    return site._plan(ward.ERASED_ONE, None, "").view.patient


def full(*given: object) -> None:
    """A disk that takes nothing."""
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("place", "name"), [(place, name) for place, acts in PLACES.items() for name in acts]
)
def test_no_write_no_act(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, name: str
) -> None:
    """With an unwritable log the act is refused and nothing has changed; else it takes effect."""
    act = PLACES[place][name]
    folder = Path(shutil.copytree(request.getfixturevalue(place), tmp_path / "copy"))
    workspace = Workspace.open(folder / "workspace", PASSPHRASE)
    with Appliance(workspace) as appliance:
        size, before = appliance._log.size, picture(folder)
        with monkeypatch.context() as patch:
            patch.setattr(files, "overwrite", full)
            with pytest.raises(LogUnwritable, match="nothing was done"):
                act(appliance, folder)
        after = picture(folder)
        assert {} == {path: digest for path, digest in after.items() if before.get(path) != digest}
        assert not (folder / "workspace/log/witness/stick").exists()
    with Appliance(Workspace.open(folder / "workspace", PASSPHRASE)) as appliance:
        assert appliance._log.verify().intact
        shown = act(appliance, folder)
        assert appliance._log.refresh() > size  # the control: the same act is logged and does something
        happened = picture(folder) != after or (folder / "workspace/log/witness/stick").exists()
        assert happened or shown is not None or name in ("unlock", "legal hold")


def test_locking_needs_no_log(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an unwritable log the keys are forgotten all the same, and the missing entry is said."""
    folder = Path(shutil.copytree(site, tmp_path / "copy"))
    opened = Appliance(Workspace.open(folder / "workspace", PASSPHRASE))
    opened.remember()
    Workspace.resume(folder / "workspace").close()  # the control: it is open
    with monkeypatch.context() as patch:
        patch.setattr(files, "overwrite", full)
        with pytest.raises(LogUnwritable):
            opened.lock()
    with pytest.raises(Locked):
        Workspace.resume(folder / "workspace")
