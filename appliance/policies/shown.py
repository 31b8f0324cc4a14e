"""Versions of policies as screens and commands see them."""

from __future__ import annotations

from typing import Final

from appliance.evidence.log import EvidenceLog
from appliance.policies.shelf import APPROVE, PROPOSE, REJECT, Deed, Shelf, Version, actor
from appliance.policies.views import DeedRow, PolicyRow, PolicyView
from appliance.sanitise import printable, safe
from appliance.workspace.workspace import Workspace

_SAID: Final = {PROPOSE: "proposed", APPROVE: "approved", REJECT: "rejected"}


def row(workspace: Workspace, log: EvidenceLog, shelf: Shelf, version: Version) -> PolicyRow:
    """One version for a table."""
    last = version.deeds[-1] if version.deeds else None
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
    return PolicyView(row(workspace, log, shelf, version), text, deeds)


def _names(workspace: Workspace, log: EvidenceLog, deed: Deed) -> tuple[str, ...]:
    """Who did it, by name; whoever has gone since, by the role and pseudonym of the log."""
    known = {actor(log, user): user.name for user in workspace.keyring.users()}
    return tuple(known.get(one, one[:20]) for one in deed.by)
