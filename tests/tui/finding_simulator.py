"""Planted findings behind the screens' backend protocol; a list of any length costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.charted import ApartAudit, AuditPoint, SeriesView
from appliance.errors import Locked, NotPermitted
from appliance.finding_views import (
    FindingRow,
    FindingsAsked,
    FindingsNeed,
    FindingsPage,
    FindingView,
    RevealedPair,
    RevealedStudy,
    RevealedView,
    RevealView,
    Second,
)
from appliance.views import VerdictWord

CLOSED = FindingsNeed(opened=False, passphrase=False, second=False)
TWO = FindingsNeed(opened=False, passphrase=True, second=True)
SECOND = Second("second", "words of a second one")
IDENTITY, REPORT = "MRN-0042", "Impression: no acute finding in ‹name›."


def row(number: int) -> FindingRow:
    """One made-up finding; every ninth is flagged, every fifth a control."""
    judged = number % 5 != 4
    return FindingRow(
        patient=f"P-{number * 2654435761 % 2**32:08x}",
        pair_id=f"{number:064x}",
        role="target" if judged else "calibration",
        judged=judged,
        flagged=judged and number % 9 == 0,
        p_value=1 / (number + 2) if judged else None,
        score=4 - number / 40,
        probability=min(1.0, 1 / (1 + number / 10)) if judged else None,
        pairs=1 + number % 3,
    )


@dataclass
class PlantedFindings:
    """The part of the simulator that knows of single pairs.

    Attributes:
        findings_: how many there are.
        needs: what opening takes.
        opened: the findings are open.
        asked: every page that was asked for.
        reasons: of the reveals, with who was beside.
        steps_told: pages that said how far reading all rows is.
    """

    findings_: int = 46
    needs: FindingsNeed = CLOSED
    opened: bool = False
    asked: list[tuple[FindingsAsked, int, int]] = field(default_factory=list)
    reasons: list[tuple[str, str]] = field(default_factory=list)
    steps_told: int = 0

    def _enter(self, call: str) -> None:
        raise NotImplementedError

    def audit_series(self, audit_id: str) -> SeriesView:
        self._enter("audit_series")
        fail, unsure, void = VerdictWord.FAIL, VerdictWord.INCONCLUSIVE, VerdictWord.VOID
        points = (
            AuditPoint("lumen-vlm 1.0", "2026-02-03", unsure, 0, 46, None),
            AuditPoint("lumen-vlm 1.1", "2026-06-14", void, None, 0, None),
            AuditPoint("lumen-vlm", "2026-11-20", fail, 21, 46, (0.36, 0.61), audit_id),
        )
        other = ApartAudit("a-0000", "lumen-vlm 0.9", "2025-10-01", "another detector decided")
        return SeriesView(points, 0.0, (other,))

    def findings_need(self) -> FindingsNeed:
        self._enter("findings_need")
        return FindingsNeed(self.opened, self.needs.passphrase, self.needs.second)

    def open_findings(self, passphrase: str = "", second: Second | None = None) -> None:
        self._enter("open_findings")
        if self.needs.passphrase and passphrase != "correct horse":
            raise NotPermitted("the passphrase is wrong", "Check the keyboard layout and try again.")
        if self.needs.second and second != SECOND:
            raise NotPermitted("findings open with two officers together", "Ask a second one to be present.")
        self.opened = True

    def findings_page(
        self,
        audit_id: str,
        asked: FindingsAsked,
        offset: int,
        limit: int,
        on_step: Callable[[int, int], None] | None = None,
    ) -> FindingsPage:
        self._enter("findings_page")
        if not self.opened:
            raise NotPermitted("the findings are closed", "Open them again.")
        if on_step is not None:
            on_step(0, self.findings_)
            self.steps_told += 1
        self.asked.append((asked, offset, limit))
        if asked == FindingsAsked(sort=asked.sort, prior=asked.prior):
            window = range(offset, min(self.findings_, offset + limit))
            return FindingsPage(tuple(map(row, window)), self.findings_)
        rows = [one for one in map(row, range(self.findings_)) if _like(one, asked)]
        return FindingsPage(tuple(rows[offset : offset + limit]), len(rows))

    def finding(self, audit_id: str, patient: str) -> tuple[FindingView, ...]:
        self._enter("finding")
        number = next(n for n in range(self.findings_) if row(n).patient == patient)
        one = row(number)
        unscored = "not scored: no base model"
        scores: dict[str, float | str] = {"fused": one.score or 0.0, "loss": 1.25, "ratio": unscored}
        likely = {"0.001": 0.31, "0.01": 0.82, "0.1": 0.98, "mixture": 0.91} if one.judged else {}
        return tuple(
            FindingView(
                patient,
                f"{number + pair:064x}",
                one.role,
                one.judged and not pair,
                one.flagged and not pair,
                None if pair else one.p_value,
                scores,
                {} if pair else likely,
                "20240102",
                "CT",
            )
            for pair in range(one.pairs)
        )

    def reveal_images(
        self, audit_id: str, patient: str, reason: str, second: Second | None = None
    ) -> RevealedView:
        self._enter("reveal_images")
        if self.needs.second and second != SECOND:
            raise Locked("this is not the secret of second", "Check who types, and the keyboard layout.")
        self.reasons.append((reason, second.name if second else ""))
        pair = self.finding(audit_id, patient)[0].pair_id
        image = tuple(bytes((x * 3 + y * 5) % 256 for x in range(64)) for y in range(48))
        study = RevealedStudy(pair, "2.25.7", "A-17", "20240102", "CT")
        who = RevealView(patient, (("WARD", IDENTITY),), (study,), "ab" * 32)
        shown = RevealedPair(pair, image, (512, 384), REPORT, "masked, not de-identified", True)
        return RevealedView(who, (shown,))


def _like(one: FindingRow, asked: FindingsAsked) -> bool:
    return (
        asked.role in ("", one.role)
        and (one.flagged or not asked.flagged)
        and one.patient.startswith(asked.pseudonym)
        and (asked.min_score is None or (one.score is not None and one.score >= asked.min_score))
        and (
            asked.min_probability is None
            or (one.probability is not None and one.probability >= asked.min_probability)
        )
    )
