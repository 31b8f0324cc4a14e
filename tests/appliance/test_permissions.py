"""Who may do what: every public method of the appliance, for every role."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import FunctionType

import pytest

from appliance import permissions
from appliance.acts import OpenWorkspace
from appliance.api import Appliance
from appliance.errors import NotPermitted
from tests.appliance import members_site as case

# O officer, P operator, A auditor, M machine, R recovery; written by hand, so that RULES can be wrong.
EXPECTED = {
    "remember": "OPAM", "lock": "OPAMR", "close": "OPAMR", "auto_lock_minutes": "OPAMR",
    "users": "OPAMR", "join": "OR", "change_passphrase": "OPA", "add_user": "OR", "add_machine": "O",
    "add_recovery": "O", "remove_user": "O", "reset_passphrase": "OR", "rotate_keys": "O", "set_quorum": "O",
    "set_auto_lock": "O",
    "quorum": "OPAMR", "may": "OPAMR", "expect_permission": "OPAMR",
    "setup": "OPAM", "leave_setup": "O", "set_intake": "OP", "choose_policy": "O",
    "ingest": "OPM", "try_ingest": "OPM", "try_cohort": "OP",
    "set_up_receiver": "OP", "take_received": "OPM", "retry_received": "OPM", "received": "OPM",
    "quarantine": "OPM", "export_studies": "O", "studies": "OP", "study": "OP",
    "reports": "OP", "report": "OP", "pairs": "OP", "pairing": "OPM", "unpaired": "OP", "pair": "OP",
    "duplicates": "OP",
    "add_model": "OP", "model": "OPAM", "models": "OPAM", "verify_model": "OPM", "compare_models": "OPA",
    "watch_models": "OPM", "watched": "OPAM", "announce_change": "OP", "announcements": "OPAM",
    "answer_change": "O", "model_changes": "OPAM", "model_change": "OPA", "lineage": "OPAM",
    "claims": "OPA", "claim": "OPA", "add_claim": "OP", "recompute_claim": "OP", "withdraw_claim": "OP",
    "create_cohort": "OP", "cohort": "OPAM", "cohorts": "OPAM", "policies": "OPAM",
    "policy_versions": "OPAM", "policy": "OPAM", "diff_policies": "OPAM", "dry_run_policy": "OPA",
    "propose_policy": "OP", "tighten_policy": "OP", "approval_need": "O",
    "approve_policy": "O", "reject_policy": "O",
    "audit_price": "OPAM", "run_audit": "OPM", "resume_audit": "OPM", "abandon_audit": "OP",
    "queue_audit": "OPM", "runs": "OPAM", "pause_run": "OP", "resume_run": "OPM", "first_run": "OP",
    "cancel_run": "OP",
    "audits": "OPAM", "audit": "OPAM", "audit_series": "OPAM", "export_pack": "OPA", "packs": "OPA",
    "verify_pack": "OPA", "answer_auditor": "OPA", "not_made": "OPA",
    "cases": "OPA", "case": "OPA", "assign_case": "O", "decide_case": "O", "reopen_case": "O",
    "new_design": "O", "designs": "OP", "design": "OP", "release_list": "O", "reveal_design": "O",
    "schedules": "OPAM", "coming_runs": "OPAM", "add_schedule": "OP", "remove_schedule": "OP",
    "run_due": "OPM", "service": "OPAM", "begin_service": "OPM", "end_service": "OPM",
    "findings_need": "O", "open_findings": "O", "findings": "O", "findings_page": "O",
    "finding": "O", "reveal_finding": "O", "reveal_images": "O", "reveals": "O",
    "erasure_plan": "O", "erase_patient": "O", "readmit_patient": "O", "erasures": "OPA",
    "write_certificate": "OPA",
    "verify_workspace": "OPM", "backup": "OPM", "doctor": "OPAM",
    "log_health": "OPAM", "log_find": "OPA", "log_needs": "OPAM", "log_state": "OPAM",
    "compare_log_state": "OPAM", "export_log": "OPA",
    "review_log": "OPA", "log_reviews": "OPA", "last_log_review": "OPAM", "trust_witness": "O",
    "witness_request": "OPA", "accept_witness": "OPA", "witnesses": "OPAM", "hold_log": "O", "prune_log": "O",
    "overview": "OPAM", "log_count": "OPAM", "log_entries": "OPA", "log_verify": "OPAM",
}  # fmt: skip
USERS = {"O": "officer", "P": "operator", "A": "auditor", "M": "scanner", "R": "paper"}
LASTING = {"lock", "close", "remember"}  # they end the session, or outlive the test


def public_methods() -> dict[str, FunctionType]:
    """Methods of an open workspace: what is static opens nothing, or asks for a passphrase itself."""
    return {
        name: method
        for name, method in inspect.getmembers(Appliance, inspect.isfunction)
        if not name.startswith("_") and isinstance(inspect.getattr_static(Appliance, name), FunctionType)
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    root = tmp_path_factory.mktemp("site") / "workspace"
    return root, case.build(root)


def test_every_method_is_in_the_table() -> None:
    """A new method of the appliance without a line here is a mistake."""
    assert set(EXPECTED) == set(public_methods())


@pytest.mark.parametrize("letter", USERS)
def test_every_method_for_every_role(site: tuple[Path, dict[str, str]], letter: str) -> None:
    """A method that a role may not use is refused before it does anything; the others are not refused."""
    root, secrets = site
    with case.opened(root, USERS[letter], secrets) as opened:
        for name, method in sorted(public_methods().items()):
            if name in LASTING:
                continue
            before = opened._log.size
            wanted = list(inspect.signature(method).parameters.values())[1:]
            arguments = [object() for one in wanted if one.default is one.empty]
            try:
                if letter in EXPECTED[name]:
                    opened._permit(permissions.RULES[name])
                else:
                    method(opened, *arguments)
            except NotPermitted:
                refused = True
            else:
                refused = False
            assert refused is (letter not in EXPECTED[name]), name
            if refused:
                (entry,) = opened._log.entries(before, 10)
                assert (entry.act, entry.outcome) == (permissions.RULES[name].act, "refused")
                assert entry.actor.startswith(str(opened._workspace.user.role) + ":")


def test_a_method_without_a_line_is_not_made() -> None:
    """A class with a public method that no role was thought of does not even exist."""
    with pytest.raises(TypeError, match=r"Careless\.read_everything has no line"):

        class Careless(OpenWorkspace):
            def read_everything(self) -> None:
                """Would be open to everybody."""


def test_the_guard_is_what_refuses(site: tuple[Path, dict[str, str]]) -> None:
    """Control: the same method past the guard does answer an auditor whose key suffices."""
    root, secrets = site
    with case.opened(root, "auditor", secrets) as opened:
        with pytest.raises(NotPermitted):
            opened.quarantine()
        assert Appliance.quarantine.__wrapped__(opened) == ()  # type: ignore[attr-defined]


def test_the_keys_refuse_as_well(site: tuple[Path, dict[str, str]]) -> None:
    """An auditor's keys do not open the vault, whatever the table says."""
    root, secrets = site
    with case.opened(root, "auditor", secrets) as opened, pytest.raises(NotPermitted):
        _ = opened._workspace.keys.vault


def test_refusals_carry_exit_code_and_hint(site: tuple[Path, dict[str, str]]) -> None:
    """Who may not is told so, with exit code 21 and who may."""
    root, secrets = site
    with case.opened(root, "operator", secrets) as opened:
        with pytest.raises(NotPermitted, match="not for the role operator") as raised:
            opened.set_quorum(2)
        assert (raised.value.exit_code, raised.value.hint) == (21, "Ask an officer.")
