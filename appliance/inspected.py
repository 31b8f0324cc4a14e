"""The acts that only look, and at no patient: counts of pairs, this machine, series of audits."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from appliance.acts import OpenWorkspace
from appliance.errors import UsageError
from appliance.views import PairingRow, PairingView

if TYPE_CHECKING:
    from appliance.charted import SeriesView
    from appliance.doctor import Check


class Inspected(OpenWorkspace):
    """What may be looked at besides studies, models and audits."""

    def pairing(self) -> PairingView:
        """How pairs were found and what is in none, in numbers; no handle of a patient leaves this call."""
        from appliance import pairs

        rules = Counter(str(pair.rule) for pair in self._workspace.catalogue.pairs() if pair.standing)
        found = Counter((row.reason, row.why, row.kind) for row in pairs.unpaired(self._workspace))
        reasons: Counter[tuple[str, str]] = Counter()
        for (reason, why, _), number in found.items():
            reasons[reason, why] += number
        return PairingView(
            tuple(rules.most_common()),
            tuple(
                PairingRow(reason, why, found[reason, why, "image"], found[reason, why, "report"])
                for (reason, why), _ in reasons.most_common()
            ),
        )

    def audit_series(self, audit_id: str) -> SeriesView:
        """The audits of one model's versions beside this one, as far as they answer the same question.

        Raises:
            UsageError: no such audit, or it has not finished.
        """
        from appliance import charted, shown

        done = [one for one in self._workspace.catalogue.audits() if one.state == "done"]
        if audit_id not in {one.audit_id for one in done}:
            raise UsageError("no finished audit of this id", "see `gradaudit audit ls`")
        demo = self._workspace.demo
        return charted.series([(one, shown.audit_view(one, demo)) for one in done], audit_id)

    def doctor(self) -> tuple[Check, ...]:
        """The self-check of this machine, for the disk this workspace lies on; takes a few seconds."""
        from appliance.doctor import checks

        return checks(self._workspace.root)
