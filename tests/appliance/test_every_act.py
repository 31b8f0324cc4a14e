"""Every act of the appliance really done by every role that may, and refused to every role that may not.

The table says who may; only doing it shows that the keys of the role reach as far as the table promises.
"""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from appliance import permissions, policy_file
from appliance.api import Appliance
from appliance.claims.views import Budget, ClaimKind, ClaimRequest
from appliance.cohorts import CohortRequest
from appliance.designs.making import DesignRequest
from appliance.designs.revealing import RevealRequest
from appliance.errors import NotPermitted, UsageError
from appliance.evidence import witness_log
from appliance.evidence.views import LogFilter
from appliance.receiver import spool
from appliance.runs import launching
from appliance.schedule_views import Schedule
from tests.appliance import small_site, ward
from tests.appliance.designs import design_site
from tests.appliance.test_permissions import EXPECTED, USERS
from tests.audit_core import engine_models as tiny

STUDIES = Path(__file__).resolve().parents[2] / "appliance" / "demo" / "assets" / "studies"
PASSPHRASE = ward.PASSPHRASE
assert {small_site.PASSPHRASE, design_site.PASSPHRASE} == {PASSPHRASE}
LETTERS = {name: letter for letter, name in USERS.items()}
TYPED = {"second": "officer", "operator": "operator", "auditor": "auditor"}


@dataclass
class Visit:
    """One role's day: where it works, what it knows, and what it has come across.

    Attributes:
        room: a folder of its own, with the things that were brought to the site.
        name: whose.
        secrets: of everybody, by name.
        known: from one act to the next.
    """

    room: Path
    name: str
    secrets: dict[str, str]
    known: dict[str, Any] = field(default_factory=dict)

    @property
    def policy(self) -> str:
        """A policy that is quickly done with."""
        return str(self.room / "quick.toml")

    def keep(self, name: str, value: Any) -> Any:
        """The value, for a later act."""
        self.known[name] = value
        return value


class Stopped(Exception):
    """Somebody pressed a key."""


def _no(*_: object) -> None:
    return None


def _stop(*_: object) -> None:
    raise Stopped


def _cut_off(site: Appliance, visit: Visit) -> None:
    with pytest.raises(Stopped):
        site.run_audit("tiny", "spring", visit.policy, _stop)
    visit.keep("audit", site.audits()[0].audit_id)


def _with_spool(site: Appliance, visit: Visit) -> Appliance:
    """Where this role may not make the spool, another one has."""
    root = site._workspace.root / spool.FOLDER
    if not root.exists():
        spool.create(root, site._receivers_address())
    return site


def _retried(site: Appliance, visit: Visit) -> None:
    _with_spool(site, visit).retry_received()


def _gone_on(site: Appliance, visit: Visit) -> None:
    if visit.name == "scanner":  # to the end: the officer has run one before
        site.resume_audit(visit.known["audit"], _no)
        return
    with pytest.raises(Stopped):
        site.resume_audit(visit.known["audit"], _stop)


def _unstarted(act: Callable[..., Any], *given: str) -> Any:
    """An act around the queue; the process that works through it is for tests of its own."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(launching, "start", _no)
        return act(*given)


def _queued(site: Appliance, visit: Visit) -> None:
    visit.keep("run", _unstarted(site.queue_audit, "tiny", "spring", visit.policy).run_id)


def _signed(site: Appliance, visit: Visit) -> Any:
    request = visit.keep("request", site.witness_request("stick"))
    return site.accept_witness(witness_log.sign(request, visit.room / "stick").data())


def _claimed(site: Appliance) -> Any:
    budget = Budget(3.0, 1e-5)  # without parameters there is nothing to start a child for
    return site.add_claim(ClaimRequest("tiny", ClaimKind.PRIVATE, "contract", budget=budget))


def _a_claim(site: Appliance) -> str:
    """One that stands."""
    return site.claims()[0].claim_id


def _erased(site: Appliance, visit: Visit) -> Any:
    plan = site.erasure_plan(ward.ERASED_ONE)
    return visit.keep("erased", site.erase_patient(ward.ERASED_ONE, confirmed=plan.patient))


def _wish(visit: Visit) -> Path:
    """What a vendor asks for."""
    file = visit.room / "vendor.toml"
    file.write_text("[decision]\nmust_detect = 0.2\n")
    return file


def _proposal(visit: Visit, version: str) -> Path:
    file = visit.room / f"{version}.toml"
    text = (policy_file.FOLDER / "default.toml").read_text()
    file.write_text(text.replace('version = "shipped-2"', f'version = "{version}"'))
    return file


def _rejected(site: Appliance, visit: Visit) -> None:
    row = site.propose_policy(_proposal(visit, "3"))
    site.reject_policy(row.reference, "too much of it")


def _changed(site: Appliance, visit: Visit) -> None:
    site.change_passphrase(visit.secrets[visit.name], "words of mine, other ones")
    visit.secrets[visit.name] = "words of mine, other ones"


Act = Callable[[Appliance, Visit], Any]
REQUEST = CohortRequest(
    "autumn", {"target": "Modality=CT", "control": "Modality=DX"}, "random", "L5", 0.45, 0
)
WEEKLY = Schedule("weekly", "0 2 * * 0", "UTC", "tiny", "spring", "default")

# In this order, so that what one act leaves is there for the next; what ends a session comes last.
ON_THE_WARD: dict[str, Act] = {
    "remember": lambda site, visit: site.remember(),
    "auto_lock_minutes": lambda site, visit: site.auto_lock_minutes(),
    "users": lambda site, visit: site.users(),
    "may": lambda site, visit: _same(
        site.may(), {name for name, who in EXPECTED.items() if LETTERS[visit.name] in who}
    ),
    "quorum": lambda site, visit: _same(site.quorum(), 1),
    "expect_permission": lambda site, visit: site.expect_permission("users"),
    "setup": lambda site, visit: site.setup(),
    "set_intake": lambda site, visit: site.set_intake(str(visit.room), "NORTHSIDE"),
    "choose_policy": lambda site, visit: site.choose_policy("default"),
    "leave_setup": lambda site, visit: site.leave_setup("policy"),
    "verify_workspace": lambda site, visit: _nothing(site.verify_workspace().damages),
    "backup": lambda site, visit: site.backup(visit.room / "backup", _no),
    "doctor": lambda site, visit: site.doctor(),
    "studies": lambda site, visit: visit.keep("studies", site.studies()),
    "study": lambda site, visit: site.study(visit.known["studies"][0].study),
    "reports": lambda site, visit: visit.keep("reports", site.reports()),
    "report": lambda site, visit: site.report(visit.known["reports"][0].digest),
    "pairs": lambda site, visit: visit.keep("pairs", site.pairs()),
    "pair": lambda site, visit: site.pair(visit.known["pairs"][0].pair_id),
    "unpaired": lambda site, visit: site.unpaired(),
    "pairing": lambda site, visit: site.pairing(),
    "ingest": lambda site, visit: site.ingest([visit.room / "studies"], _no),
    "set_up_receiver": lambda site, visit: site.set_up_receiver(),
    "take_received": lambda site, visit: site.take_received(),
    "retry_received": _retried,
    "received": lambda site, visit: _with_spool(site, visit).received(),
    "try_ingest": lambda site, visit: site.try_ingest([visit.room / "studies"], _no),
    "quarantine": lambda site, visit: site.quarantine(),
    "export_studies": lambda site, visit: site.export_studies(
        [visit.room / "studies"], visit.room / "export", _no
    ),
    "audits": lambda site, visit: site.audits(),
    "audit": lambda site, visit: site.audit(ward.AUDIT),
    "audit_series": lambda site, visit: _same(len(site.audit_series(ward.AUDIT).points), 1),
    "abandon_audit": lambda site, visit: site.abandon_audit(ward.CUT_OFF),
    "findings_need": lambda site, visit: site.findings_need(),
    "open_findings": lambda site, visit: site.open_findings(),
    "findings_page": lambda site, visit: site.findings_page(ward.AUDIT),
    "findings": lambda site, visit: visit.keep("findings", site.findings(ward.AUDIT)),
    "finding": lambda site, visit: site.finding(ward.AUDIT, visit.known["findings"][0].patient),
    "reveal_finding": lambda site, visit: site.reveal_finding(
        ward.AUDIT, visit.known["findings"][0].patient, "an access request"
    ),
    "reveal_images": lambda site, visit: site.reveal_images(
        ward.AUDIT, visit.known["findings"][0].patient, "an access request"
    ),
    "reveals": lambda site, visit: site.reveals(),
    "cases": lambda site, visit: _same([row.audit_id for row in site.cases()], [ward.AUDIT]),
    "case": lambda site, visit: site.case(ward.AUDIT),
    "assign_case": lambda site, visit: site.assign_case(ward.AUDIT, "operator"),
    "decide_case": lambda site, visit: site.decide_case(ward.AUDIT, "closed", "nothing to tell anybody"),
    "reopen_case": lambda site, visit: site.reopen_case(ward.AUDIT, "the vendor has answered"),
    "erasure_plan": lambda site, visit: site.erasure_plan(ward.ERASED_ONE),
    "erase_patient": _erased,
    "readmit_patient": lambda site, visit: site.readmit_patient(ward.ERASED_ONE, "WARD"),
    "erasures": lambda site, visit: site.erasures(),
    "write_certificate": lambda site, visit: site.write_certificate(
        site.erasures()[0]["erasure"], visit.room
    ),
    "overview": lambda site, visit: site.overview(),
    "log_count": lambda site, visit: site.log_count(),
    "log_entries": lambda site, visit: site.log_entries(0, 5),
    "log_verify": lambda site, visit: visit.keep("health", site.log_verify()),
    "log_health": lambda site, visit: site.log_health(),
    "log_find": lambda site, visit: site.log_find(LogFilter(act="log."), 0, 5),
    "log_needs": lambda site, visit: site.log_needs(visit.known["health"]),
    "log_state": lambda site, visit: visit.keep("state", site.log_state()),
    "compare_log_state": lambda site, visit: site.compare_log_state(
        visit.known["state"].entries, visit.known["state"].state_words
    ),
    "export_log": lambda site, visit: site.export_log(visit.room / "log.jsonl", "jsonl", None, None),
    "review_log": lambda site, visit: site.review_log(0, 3, f"nothing, says {visit.name}"),
    "log_reviews": lambda site, visit: _same(
        [one.found for one in site.log_reviews()], ["all is well", f"nothing, says {visit.name}"]
    ),
    "last_log_review": lambda site, visit: site.last_log_review(),
    "witnesses": lambda site, visit: site.witnesses(),
    "witness_request": lambda site, visit: site.witness_request("stick"),
    "accept_witness": _signed,
    "trust_witness": lambda site, visit: site.trust_witness(
        "other", (visit.room / "other" / witness_log.KEY_FILE).read_bytes()
    ),
    "hold_log": lambda site, visit: site.hold_log(False),
    "prune_log": lambda site, visit: site.prune_log(2100, 6),
    "join": lambda site, visit: site.join("second", visit.secrets["second"]),
    "add_user": lambda site, visit: site.add_user("new", "operator", "words of somebody new"),
    "reset_passphrase": lambda site, visit: site.reset_passphrase("new", "other words of somebody"),
    "change_passphrase": _changed,
    "add_machine": lambda site, visit: site.add_machine("night"),
    "add_recovery": lambda site, visit: site.add_recovery("sheet"),
    "remove_user": lambda site, visit: site.remove_user("new"),
    "rotate_keys": lambda site, visit: (site.rotate_keys(), site.rotate_keys(evidence=True)),
    "set_auto_lock": lambda site, visit: site.set_auto_lock(5),
    "set_quorum": lambda site, visit: site.set_quorum(2),
    "lock": lambda site, visit: site.lock(),
    "close": lambda site, visit: site.close(),
}
WITH_A_MODEL: dict[str, Act] = {
    "models": lambda site, visit: site.models(),
    "model": lambda site, visit: site.model("tiny"),
    "verify_model": lambda site, visit: _nothing(site.verify_model("tiny").different),
    "add_model": lambda site, visit: site.add_model("another", visit.room / "model"),
    "compare_models": lambda site, visit: site.compare_models("tiny", "other"),
    "watch_models": lambda site, visit: _same(site.watch_models(["other"])[0].state, "unchanged"),
    "watched": lambda site, visit: _same([row.line for row in site.watched()], ["other"]),
    "announce_change": lambda site, visit: site.announce_change("tiny", "the vendor has written"),
    "announcements": lambda site, visit: site.announcements("tiny"),
    "model_changes": lambda site, visit: _same([row.model for row in site.model_changes()], ["other@2"]),
    "model_change": lambda site, visit: site.model_change("other@2"),
    "answer_change": lambda site, visit: site.answer_change("other@2", "a new picture size"),
    "lineage": lambda site, visit: site.lineage(),
    "add_claim": lambda site, visit: _claimed(site),
    "claims": lambda site, visit: site.claims("tiny"),
    "claim": lambda site, visit: site.claim(_a_claim(site)),
    "recompute_claim": lambda site, visit: site.recompute_claim(_a_claim(site)),
    "withdraw_claim": lambda site, visit: site.withdraw_claim(_a_claim(site), "the vendor took it back"),
    "policies": lambda site, visit: site.policies(),
    "policy_versions": lambda site, visit: site.policy_versions(),
    "policy": lambda site, visit: site.policy("default"),
    "diff_policies": lambda site, visit: site.diff_policies("default", "hipaa"),
    "dry_run_policy": lambda site, visit: site.dry_run_policy("hipaa"),
    "propose_policy": lambda site, visit: site.propose_policy(_proposal(visit, "2")),
    "approval_need": lambda site, visit: site.approval_need(),
    "approve_policy": lambda site, visit: site.approve_policy("default@2"),
    "tighten_policy": lambda site, visit: site.tighten_policy("default", _wish(visit)),
    "reject_policy": _rejected,
    "cohorts": lambda site, visit: site.cohorts(),
    "cohort": lambda site, visit: site.cohort("spring"),
    "try_cohort": lambda site, visit: site.try_cohort(REQUEST),
    "create_cohort": lambda site, visit: site.create_cohort(REQUEST),
    "duplicates": lambda site, visit: site.duplicates(_no),
    "audit_price": lambda site, visit: site.audit_price("tiny", "spring", visit.policy),
    "schedules": lambda site, visit: _same(site.schedules(), ()),
    "add_schedule": lambda site, visit: site.add_schedule(WEEKLY),
    "coming_runs": lambda site, visit: site.coming_runs(),
    "begin_service": lambda site, visit: site.begin_service(),
    "run_due": lambda site, visit: _same(site.run_due(), ()),
    "service": lambda site, visit: _same(site.service().alive, visit.name != "auditor"),
    "end_service": lambda site, visit: site.end_service(),
    "remove_schedule": lambda site, visit: site.remove_schedule("weekly"),
    "export_pack": lambda site, visit: site.export_pack(site.audits()[-1].audit_id, visit.room / "pack.zip"),
    "packs": lambda site, visit: _same(site.packs()[0].audit_id, site.audits()[-1].audit_id),
    "verify_pack": lambda site, visit: site.verify_pack(visit.room / "pack.zip"),
    "not_made": lambda site, visit: site.not_made(),
    "answer_auditor": lambda site, visit: _same(
        bool(site.answer_auditor("tiny", "2026-01-01", "2099-12-31", visit.room / "answer.zip", _no).audits),
        True,
    ),
    "run_audit": _cut_off,
    "resume_audit": _gone_on,
    "queue_audit": _queued,
    "runs": lambda site, visit: site.runs(),
    "pause_run": lambda site, visit: site.pause_run(visit.known.get("run", "")),
    "resume_run": lambda site, visit: _unstarted(site.resume_run, visit.known.get("run", "")),
    "first_run": lambda site, visit: _unstarted(site.first_run, visit.known.get("run", "")),
    "cancel_run": lambda site, visit: site.cancel_run(visit.known.get("run", "")),
}
WITH_A_DESIGN: dict[str, Act] = {
    "new_design": lambda site, visit: site.new_design(
        DesignRequest("summer", "StudyDate>=2024-06-01", 0, "0.5"), visit.room / "design", _no
    ),
    "designs": lambda site, visit: site.designs(),
    "design": lambda site, visit: site.design("spring"),
    "release_list": lambda site, visit: site.release_list("spring"),
    "reveal_design": lambda site, visit: site.reveal_design(RevealRequest("spring", "unknown", "demo"), _no),
}
SITES = {"ward": ON_THE_WARD, "model": WITH_A_MODEL, "design": WITH_A_DESIGN}
# Past every key: the design was opened and the model is not there; no year of this log is old enough.
USAGE = {"reveal_design": "no model", "prune_log": "are kept for|30 days"}
CUT_OFF = {"audit.run", "audit.resume"}


def _nothing(found: object) -> None:
    assert not found


def _same(found: object, expected: object) -> None:
    assert found == expected


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, str]]]:
    """Three sites with a user of each role and what acts need there, and what is brought to them."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "room" / "studies").mkdir(parents=True)
    for study in sorted(STUDIES.rglob("*.dcm"))[:2]:
        shutil.copy(study, folder / "room" / "studies")
    tiny.write_llava(folder / "room" / "model", seed=2)
    text = (policy_file.FOLDER / "demo.toml").read_text().replace('name = "demo"', 'name = "quick"')
    for key, value in {"bootstrap": 100, "simulations": 50, "permutations": 5}.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
    (folder / "room" / "quick.toml").write_text(text)
    for name in ("stick", "other"):
        witness_log.init(folder / "room" / name)
    for name in SITES:
        (folder / name).mkdir()
    ward.build(folder / "ward" / "workspace", cut_off=False)
    small_site.build(folder / "model")
    design_site.create(folder / "design", patients=120)
    return folder, {name: _furnished(name, folder / name, folder / "room") for name in SITES}


def _furnished(name: str, folder: Path, room: Path) -> dict[str, str]:
    """One user of each role more, whose secrets these are; and what there is before anybody comes."""
    with Appliance.unlock(folder / "workspace", PASSPHRASE) as site:
        if name == "ward":
            site.trust_witness("stick", (room / "stick" / witness_log.KEY_FILE).read_bytes())
            site.review_log(0, 1, "all is well")
            other = site.erasure_plan(ward.PATIENTS[3])
            site.erase_patient(ward.PATIENTS[3], confirmed=other.patient)
            ward.audited(site._workspace, site._cohort(ward.COHORT), ward.CUT_OFF, "interrupted")
        elif name == "model":
            other = shutil.copytree(folder / "base", folder / "other")
            site.add_model("other", other)
            (other / "README.md").write_text("A new picture of it.")
            site._quiet_s = 0.0
            site.watch_models(["other"])
            _claimed(site)
            site.run_audit("tiny", "spring", str(room / "quick.toml"), _no)
        else:
            site.new_design(DesignRequest("spring", "StudyDate<=2024-05-31", 0, "0.5"), folder / "out", _no)
        for user, role in TYPED.items():
            site.add_user(user, role, f"the words of {user}")
        secrets = {user: f"the words of {user}" for user in TYPED} | {"officer": PASSPHRASE}
        return secrets | {"scanner": site.add_machine("scanner").split()[1], "paper": site.add_recovery()}


def test_every_act_is_done_here() -> None:
    """A new act of the appliance needs a line in this file."""
    assert sorted(EXPECTED) == sorted(name for acts in SITES.values() for name in acts)


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("place", SITES)
@pytest.mark.parametrize("letter", USERS)
def test_every_act_by_every_role(
    home: tuple[Path, dict[str, dict[str, str]]], tmp_path: Path, letter: str, place: str
) -> None:
    """What a role may do it can do with its keys, to the end; what it may not is refused."""
    folder, secrets = home
    root = shutil.copytree(folder / place / "workspace", tmp_path / "workspace")
    shutil.copytree(folder / "room", tmp_path / "room")
    visit = Visit(tmp_path / "room", USERS[letter], dict(secrets[place]))
    site = _as(root, visit)
    for name, act in SITES[place].items():
        if letter not in EXPECTED[name]:
            with pytest.raises(NotPermitted, match=permissions.RULES[name].act):
                getattr(site, name)(*_anything(name))
        elif name in USAGE:
            with pytest.raises(UsageError, match=USAGE[name]):
                act(site, visit)
        else:
            act(site, visit)
        if name in ("lock", "close"):
            site = _as(root, visit)
    outcomes = {(row.act, row.outcome) for row in site._log.rows(0, site._log.size)}
    failed = {act for act, outcome in outcomes if outcome == "failed"}
    assert failed <= {permissions.RULES[name].act for name in USAGE} | CUT_OFF
    site.close()


def _as(root: Path, visit: Visit) -> Appliance:
    if visit.name == "paper":
        return Appliance.recover(root, visit.secrets["paper"])
    return Appliance.unlock(root, visit.secrets[visit.name], visit.name)


def _anything(name: str) -> list[object]:
    wanted = list(inspect.signature(getattr(Appliance, name)).parameters.values())[1:]
    return [object() for one in wanted if one.default is one.empty and one.kind is not one.KEYWORD_ONLY]
