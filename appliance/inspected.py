"""The acts that only look: at this machine, at packs that were written, and at a pack in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from appliance.acts import OpenWorkspace
from appliance.views import LogHealth

if TYPE_CHECKING:
    from appliance.doctor import Check
    from appliance.evidence.views import PackRow


class Inspected(OpenWorkspace):
    """What may be looked at besides studies, models and audits."""

    def doctor(self) -> tuple[Check, ...]:
        """The self-check of this machine, for the disk this workspace lies on; takes a few seconds."""
        from appliance.doctor import checks

        return checks(self._workspace.root)

    def packs(self) -> tuple[PackRow, ...]:
        """Every evidence pack that was written, newest first, as the log says; where it went is not kept."""
        from appliance.evidence.views import PackRow

        audits = {self._log.identifier(row.audit_id): row for row in self._workspace.catalogue.audits()}
        self._log.refresh()
        return tuple(
            PackRow(audits[entry.object].audit_id, entry.index, entry.claimed_utc, entry.actor)
            for entry in reversed(self._log.acts("evidence.export"))
            if entry.outcome == "done" and entry.object in audits
        )

    def verify_pack(self, path: Path) -> LogHealth:
        """Check a pack in a file, of this site or another, with no key needed.

        Raises:
            IntegrityError: broken; the message names the file and the place.
            UsageError: neither a pack nor a log.
        """
        from appliance.evidence.verify import verify

        return verify(path)
