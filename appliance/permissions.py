"""Which role may do what: one line for each act of the appliance, and none may be without a line.

The keys say what a role can open at all (`workspace.roles`); this says what it may do with what it opens.
Screens and commands ask nothing of their own: a refusal comes from here, and is an entry in the log.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final

from appliance.errors import NotPermitted
from appliance.workspace.roles import Role


@dataclass(frozen=True, slots=True)
class Rule:
    """One act.

    Attributes:
        act: its name in the log, where it is refused.
        roles: who may do it.
    """

    act: str
    roles: frozenset[Role]


_O, _P, _A, _M, _R = Role.OFFICER, Role.OPERATOR, Role.AUDITOR, Role.MACHINE, Role.RECOVERY
_EVERYBODY: Final = frozenset(Role)
_AT_WORK: Final = frozenset({_O, _P, _A, _M})  # the words on paper only make a new officer
_RUNNING: Final = frozenset({_O, _P, _M})
_COLLECTING: Final = frozenset({_O, _P})
_READING: Final = frozenset({_O, _P, _A})
_OFFICER: Final = frozenset({_O})
_KEYS: Final = frozenset({_O, _R})

RULES: Final[dict[str, Rule]] = {
    # the workspace itself
    "remember": Rule("workspace.remember", _AT_WORK),
    "lock": Rule("workspace.lock", _EVERYBODY),
    "close": Rule("workspace.close", _EVERYBODY),
    "auto_lock_minutes": Rule("workspace.show", _EVERYBODY),
    "may": Rule("users.show", _EVERYBODY),
    "expect_permission": Rule("users.show", _EVERYBODY),
    "setup": Rule("workspace.show", _AT_WORK),
    "leave_setup": Rule("workspace.setup", _OFFICER),
    "set_intake": Rule("workspace.intake", _COLLECTING),
    "choose_policy": Rule("policy.choose", _OFFICER),
    "verify_workspace": Rule("workspace.verify", _RUNNING),
    "doctor": Rule("machine.show", _AT_WORK),
    "backup": Rule("workspace.backup", _RUNNING),
    # users and keys
    "users": Rule("users.show", _EVERYBODY),
    "quorum": Rule("users.show", _EVERYBODY),
    "join": Rule("workspace.join", _KEYS),
    "change_passphrase": Rule("user.passphrase", _READING),
    "add_user": Rule("user.add", _KEYS),
    "add_machine": Rule("user.add", _OFFICER),
    "add_recovery": Rule("user.add", _OFFICER),
    "remove_user": Rule("user.remove", _OFFICER),
    "reset_passphrase": Rule("user.reset", _KEYS),
    "rotate_keys": Rule("keys.rotate", _OFFICER),
    "set_quorum": Rule("keys.quorum", _OFFICER),
    "set_auto_lock": Rule("workspace.autolock", _OFFICER),
    # studies, reports and pairs: patient data
    "ingest": Rule("studies.ingest", _RUNNING),
    "try_ingest": Rule("studies.try", _RUNNING),
    "quarantine": Rule("studies.quarantine", _RUNNING),
    "export_studies": Rule("studies.export", _OFFICER),
    "set_up_receiver": Rule("receiver.setup", _COLLECTING),
    "take_received": Rule("receiver.take", _RUNNING),
    "retry_received": Rule("receiver.retry", _RUNNING),
    "received": Rule("receiver.show", _RUNNING),
    "studies": Rule("studies.show", _COLLECTING),
    "study": Rule("studies.show", _COLLECTING),
    "reports": Rule("report.show", _COLLECTING),
    "report": Rule("report.show", _COLLECTING),
    "pairs": Rule("pairs.show", _COLLECTING),
    "pairing": Rule("pairs.count", _RUNNING),
    "unpaired": Rule("pairs.show", _COLLECTING),
    "pair": Rule("pairs.show", _COLLECTING),
    "duplicates": Rule("pairs.show", _COLLECTING),
    "erasure_plan": Rule("patient.show", _OFFICER),
    "erase_patient": Rule("patient.erase", _OFFICER),
    "readmit_patient": Rule("patient.readmit", _OFFICER),
    "erasures": Rule("erasures.show", _READING),
    "write_certificate": Rule("erasures.show", _READING),
    # models
    "add_model": Rule("model.add", _COLLECTING),
    "model": Rule("model.show", _AT_WORK),
    "models": Rule("model.show", _AT_WORK),
    "verify_model": Rule("model.verify", _RUNNING),
    "compare_models": Rule("model.show", _READING),
    "watch_models": Rule("model.watch", _RUNNING),
    "watched": Rule("model.show", _AT_WORK),
    "announce_change": Rule("model.announce", _COLLECTING),
    "announcements": Rule("model.show", _AT_WORK),
    "answer_change": Rule("model.answer", _OFFICER),
    "model_changes": Rule("model.show", _AT_WORK),
    "model_change": Rule("model.show", _READING),
    "lineage": Rule("model.show", _AT_WORK),
    # what vendors claim of their models
    "claims": Rule("claim.show", _READING),
    "claim": Rule("claim.show", _READING),
    "add_claim": Rule("claim.add", _COLLECTING),
    "recompute_claim": Rule("claim.account", _COLLECTING),
    "withdraw_claim": Rule("claim.withdraw", _COLLECTING),
    # cohorts and policies
    "try_cohort": Rule("cohort.try", _COLLECTING),
    "create_cohort": Rule("cohort.create", _COLLECTING),
    "cohort": Rule("cohort.show", _AT_WORK),
    "cohorts": Rule("cohort.show", _AT_WORK),
    "policies": Rule("policy.show", _AT_WORK),
    "policy_versions": Rule("policy.show", _AT_WORK),
    "policy": Rule("policy.show", _AT_WORK),
    "diff_policies": Rule("policy.show", _AT_WORK),
    "dry_run_policy": Rule("policy.try", _READING),
    "propose_policy": Rule("policy.propose", _COLLECTING),
    "tighten_policy": Rule("policy.propose", _COLLECTING),
    "approval_need": Rule("policy.approve", _OFFICER),
    "approve_policy": Rule("policy.approve", _OFFICER),
    "reject_policy": Rule("policy.reject", _OFFICER),
    # audits and evidence
    "audit_price": Rule("audit.price", _AT_WORK),
    "run_audit": Rule("audit.run", _RUNNING),
    "resume_audit": Rule("audit.resume", _RUNNING),
    "abandon_audit": Rule("audit.abandon", _COLLECTING),
    "queue_audit": Rule("audit.queue", _RUNNING),
    "runs": Rule("audit.show", _AT_WORK),
    "pause_run": Rule("audit.pause", _COLLECTING),
    "resume_run": Rule("audit.requeue", _RUNNING),
    "first_run": Rule("audit.first", _COLLECTING),
    "cancel_run": Rule("audit.cancel", _COLLECTING),
    "audits": Rule("audit.show", _AT_WORK),
    "audit": Rule("audit.show", _AT_WORK),
    "audit_series": Rule("audit.show", _AT_WORK),
    "export_pack": Rule("evidence.export", _READING),
    "answer_auditor": Rule("evidence.answer", _READING),
    "not_made": Rule("evidence.show", _READING),
    "packs": Rule("evidence.show", _READING),
    "verify_pack": Rule("evidence.verify", _READING),
    # cases: what became of a FAIL or REVIEW
    "cases": Rule("case.show", _READING),
    "case": Rule("case.show", _READING),
    "assign_case": Rule("case.assign", _OFFICER),
    "decide_case": Rule("case.decide", _OFFICER),
    "reopen_case": Rule("case.reopen", _OFFICER),
    # designs
    "new_design": Rule("design.new", _OFFICER),
    "designs": Rule("design.show", _COLLECTING),  # an auditor's key opens no assignment
    "design": Rule("design.show", _COLLECTING),
    "release_list": Rule("design.release", _OFFICER),
    "reveal_design": Rule("design.reveal", _OFFICER),
    # schedules: audits that are due by themselves
    "schedules": Rule("schedule.show", _AT_WORK),
    "coming_runs": Rule("schedule.show", _AT_WORK),
    "add_schedule": Rule("schedule.add", _COLLECTING),
    "remove_schedule": Rule("schedule.remove", _COLLECTING),
    "run_due": Rule("schedule.run", _RUNNING),
    "service": Rule("service.show", _AT_WORK),
    "begin_service": Rule("service.begin", _RUNNING),
    "end_service": Rule("service.end", _RUNNING),
    # findings: what an audit says of single patients
    "findings_need": Rule("findings.open", _OFFICER),
    "open_findings": Rule("findings.open", _OFFICER),
    "findings": Rule("findings.list", _OFFICER),
    "findings_page": Rule("findings.list", _OFFICER),
    "finding": Rule("findings.show", _OFFICER),
    "reveal_finding": Rule("findings.reveal", _OFFICER),
    "reveal_images": Rule("findings.reveal", _OFFICER),
    "reveals": Rule("findings.reveals", _OFFICER),
    # overview and log
    "overview": Rule("overview.show", _AT_WORK),
    "log_count": Rule("log.show", _AT_WORK),
    "log_entries": Rule("log.show", _READING),
    "log_verify": Rule("log.verify", _AT_WORK),
    "log_health": Rule("log.verify", _AT_WORK),
    "log_find": Rule("log.show", _READING),
    "log_needs": Rule("log.verify", _AT_WORK),
    "log_state": Rule("log.show", _AT_WORK),
    "compare_log_state": Rule("log.verify", _AT_WORK),
    "export_log": Rule("log.export", _READING),
    "review_log": Rule("log.review", _READING),
    "log_reviews": Rule("log.show", _READING),
    "last_log_review": Rule("log.show", _AT_WORK),
    "trust_witness": Rule("witness.trust", _OFFICER),
    "witness_request": Rule("log.show", _READING),
    "accept_witness": Rule("witness.accept", _READING),
    "witnesses": Rule("log.show", _AT_WORK),
    "hold_log": Rule("log.hold", _OFFICER),
    "prune_log": Rule("log.prune", _OFFICER),
}


def guard(cls: type) -> None:
    """Let every public method of a class ask first who may call it.

    Raises:
        TypeError: a method has no line in `RULES`.
    """
    for name, member in list(vars(cls).items()):
        if isinstance(member, FunctionType) and not name.startswith("_"):
            if name not in RULES:
                raise TypeError(f"{cls.__name__}.{name} has no line in permissions.RULES")
            setattr(cls, name, _asking(RULES[name], member))


def refusal(role: Role, rule: Rule) -> NotPermitted:
    """What somebody reads who may not do it."""
    may = " or ".join(sorted(role for role in rule.roles if role is not Role.RECOVERY))
    return NotPermitted(f"{rule.act} is not for the role {role}", f"Ask an {may}.")


def _asking(rule: Rule, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def asked(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._permit(rule)
        return method(self, *args, **kwargs)

    return asked
