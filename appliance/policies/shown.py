"""Versions of policies as screens and commands see them."""

from __future__ import annotations

import re
from typing import Final

from appliance.errors import PolicyError
from appliance.evidence.log import EvidenceLog
from appliance.policies import difference
from appliance.policies.shelf import APPROVE, PROPOSE, REJECT, Deed, Shelf, Version, actor
from appliance.policies.views import DeedRow, KeyRow, PolicyRow, PolicyView
from appliance.policy_file import LoadedPolicy, line_of
from appliance.policy_keys import KEYS
from appliance.sanitise import printable, safe
from appliance.workspace.workspace import Workspace
from audit_core.adapters.families import FAMILIES

_SAID: Final = {PROPOSE: "proposed", APPROVE: "approved", REJECT: "rejected"}


def row(workspace: Workspace, log: EvidenceLog, shelf: Shelf, version: Version) -> PolicyRow:
    """One version for a table."""
    last = version.deeds[-1] if version.deeds else None
    loaded = _loaded(version)
    return PolicyRow(
        name=version.name,
        version=version.version,
        reference=version.reference,
        state=shelf.state(version),
        origin="shipped" if version.shipped and not version.deeds else "site",
        from_utc=shelf.from_utc(version),
        decided_by=", ".join(_names(workspace, log, last)) if last else "",
        decided_utc=last.utc if last else "",
        digest=version.digest,
        quorum=loaded.governance.quorum if loaded else 0,
        log_years=loaded.governance.log_years if loaded else 0,
        cadence=_cadence(loaded) if loaded else (),
    )


def view(workspace: Workspace, log: EvidenceLog, shelf: Shelf, version: Version) -> PolicyView:
    """One version whole; nothing in its text acts on a terminal."""
    text = printable("\n".join(version.text.decode("utf-8").expandtabs(4).splitlines()))
    deeds = tuple(
        DeedRow(
            _SAID[deed.act], _names(workspace, log, deed), deed.utc, deed.from_utc, safe(deed.reason, 2000)
        )
        for deed in version.deeds
    )
    loaded = _loaded(version)
    keys = _keys(loaded) if loaded else ()
    return PolicyView(row(workspace, log, shelf, version), text, deeds, keys)


def _loaded(version: Version) -> LoadedPolicy | None:
    try:
        return version.loaded
    except PolicyError:  # an earlier version's policy that this one does not read
        return None


def _cadence(loaded: LoadedPolicy) -> tuple[str, ...]:
    """Families that fall due, as their keys are called."""
    days = ((family, loaded.governance.cadence_days(family)) for family in FAMILIES)
    return tuple(f"{family} {due} days" for family, due in days if due)


def _keys(loaded: LoadedPolicy) -> tuple[KeyRow, ...]:
    text = loaded.text.decode("utf-8")
    lines = ["", *text.splitlines()]

    def note(key: str) -> str:
        """What stands behind its value, else behind its table."""
        return _note(lines[line_of(text, key)]) or _note(lines[line_of(text, key.partition(".")[0])])

    return tuple(
        KeyRow(key, safe(difference.shown(loaded.value(key))), known.decides, note(key))
        for key, known in KEYS.items()
    )


def _note(line: str) -> str:
    found = re.search(r"""^(?:[^#"']|"[^"]*"|'[^']*')*#\s*(.*)$""", line)
    return safe(found[1]) if found else ""


def _names(workspace: Workspace, log: EvidenceLog, deed: Deed) -> tuple[str, ...]:
    """Who did it, by name; whoever has gone since, by the role and pseudonym of the log."""
    known = {actor(log, user): user.name for user in workspace.keyring.users()}
    return tuple(known.get(one, one[:20]) for one in deed.by)
