"""How the site stood when an audit closed: who had looked at the log, who may do what, how things are sealed.

Gathered by the process that closes an audit, stored with it and committed to by the log (`records.json`).
Roles and pseudonyms only; no name of a person, no path, no word that somebody typed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from appliance.errors import PolicyError
from appliance.evidence import keeping, reviews
from appliance.evidence.entries import Entry, claimed_ms
from appliance.evidence.log import EvidenceLog, year_of
from appliance.evidence.verify_evidence import moment
from appliance.lockout import UNLOCK
from appliance.pack.records.sealing import encryption
from appliance.permissions import RULES, Rule
from appliance.policies import demands, shelf
from appliance.policy_file import LoadedPolicy
from appliance.workspace.roles import Role
from appliance.workspace.workspace import Workspace

_BACKUP: Final = "workspace.backup"
_PROBE: Final = "self-probe"


def gathered(
    workspace: Workspace, log: EvidenceLog, loaded: LoadedPolicy, layers: Mapping[str, str]
) -> dict[str, Any]:
    """The records of an audit that is about to close; strings, whole numbers, true and false.

    Args:
        workspace: unlocked.
        log: of the workspace.
        loaded: the policy that the audit ran under.
        layers: what the audit's worker said of its box.

    Raises:
        IntegrityError: what was done with a policy is not what was logged.
    """
    at_ms = log.clock.utc_ms()
    return {
        "log_entries": log.size,
        "utc": moment(at_ms // 1000),
        "log_review": _log_review(workspace, log, at_ms),
        "access": _access(workspace, log, loaded),
        "encryption": encryption(workspace),
        "egress": _egress(loaded, layers),
        "retention": _retention(workspace, log, loaded, at_ms),
    }


def _log_review(workspace: Workspace, log: EvidenceLog, at_ms: int) -> dict[str, Any]:
    """Who looked through which part of the log, and when; what they found stays in the catalogue."""
    done = reviews.done(log)
    rows = [_review(workspace, entry) for entry in done]
    seen = [row["last"] for row in rows if row["kept"]]
    return {
        "reviews": rows,
        "entries_since_window": log.size - 1 - max(seen) if seen else log.size - log.origin,
        "seconds_since": (at_ms - claimed_ms(done[-1])) // 1000 if done else None,
    }


def _review(workspace: Workspace, entry: Entry) -> dict[str, Any]:
    """One review; without its window where the record is gone or is not what was logged."""
    window = reviews.window(entry, workspace.catalogue.review(entry.detail_digest))
    return {
        "by": entry.actor,
        "entry": entry.index,
        "first": window[0] if window else None,
        "last": window[1] if window else None,
        "kept": window is not None,
        "record": entry.detail_digest,
        "utc": entry.claimed_utc,
    }


def _access(workspace: Workspace, log: EvidenceLog, loaded: LoadedPolicy) -> dict[str, Any]:
    """How many of each role there are, what it takes to open findings, who approved the policy."""
    keyring = workspace.keyring
    roles = Counter(user.role for user in keyring.users())
    deeds = (
        deed
        for one in shelf.read(workspace, log).versions
        if one.digest == loaded.digest
        for deed in one.approvals
    )
    return {
        "users_by_role": {str(role): roles[role] for role in Role},
        "findings_opened_together_by": keyring.quorum,
        "policy_asks_for": loaded.governance.quorum,
        "policy_approvals": [
            {"by": list(deed.by), "from_utc": deed.from_utc, "utc": deed.utc} for deed in deeds
        ],
        "machine_users": roles[Role.MACHINE],
        "paper_keys": roles[Role.RECOVERY],
        "auto_lock_minutes": workspace.auto_lock_minutes,
        "acts": {rule.act: ", ".join(sorted(rule.roles)) for rule in _rules()},
        "refused": {
            "since_entry": log.origin,
            "unlock": len([one for one in log.acts(UNLOCK) if one.outcome == "refused"]),
        },
    }


def _rules() -> Iterable[Rule]:
    """One rule for each act of the log: of several methods behind one act, the one that most may call."""
    widest: dict[str, Rule] = {}
    for rule in RULES.values():
        if rule.act not in widest or len(rule.roles) > len(widest[rule.act].roles):
            widest[rule.act] = rule
    return (widest[act] for act in sorted(widest))


def _egress(loaded: LoadedPolicy, layers: Mapping[str, str]) -> dict[str, Any]:
    """What the box of the audit's worker was made of, and what its attempts to get out came to."""
    from appliance.egress import OFFLINE_ENV
    from appliance.isolation import LAYERS, ON
    from appliance.isolation.attempts import ATTEMPTS

    on = {layer for layer in LAYERS if layers.get(layer) == ON}
    stopped = [name for name, one in ATTEMPTS.items() if one.stopped_by & on or not one.stopped_by]
    proved = layers.get(_PROBE) == ON
    return {
        "layers": {layer: layers.get(layer, "not said") for layer in LAYERS},
        "required": list(loaded.policy.required_isolation),
        "probe": {
            "outcome": layers.get(_PROBE, "not said"),
            "attempts": len(ATTEMPTS),
            "stopped": stopped if proved else [],
            "got_out": 0 if proved else None,
            "not_promised": [name for name in ATTEMPTS if name not in stopped],
        },
        "switches": dict(OFFLINE_ENV),
    }


def _retention(workspace: Workspace, log: EvidenceLog, loaded: LoadedPolicy, at_ms: int) -> dict[str, Any]:
    """For how long the log with this audit is kept, and whether it is held."""
    asked = _asked_years(workspace, log)
    years = None if asked is None else max(asked, loaded.governance.log_years)
    year = year_of(at_ms)
    backups = [entry for entry in log.acts(_BACKUP) if entry.outcome == "done"]
    return {
        "floor_years": keeping.SHORTEST_YEARS,
        "policy_years": loaded.governance.log_years,
        "kept_years": years,
        "log_year": year,
        "not_before": f"{year + 1 + years}-01-01" if years is not None else None,
        "legal_hold": keeping.is_held(log),
        "holds": [
            {"by": one.actor, "entry": one.index, "set": one.outcome == "started", "utc": one.claimed_utc}
            for one in log.about("log")
            if one.act == keeping.HOLD
        ],
        "closed_years": list(log.closed_years()),
        "oldest_entry": log.origin,
        "last_backup": _told(backups[-1]) if backups else None,
    }


def _asked_years(workspace: Workspace, log: EvidenceLog) -> int | None:
    """The longest that a policy in force asks for; None where one cannot be read, and nothing goes."""
    try:
        return demands.log_years(shelf.read(workspace, log))
    except PolicyError:
        return None


def _told(entry: Entry) -> dict[str, Any]:
    return {"entry": entry.index, "manifest": entry.detail_digest, "utc": entry.claimed_utc}
