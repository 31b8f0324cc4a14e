"""The data page: how members, controls and targets were chosen, in counts; in the full edition alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from appliance.pack.leaving import few, grouped
from appliance.pack.pages import wording
from appliance.pack.pages.shell import PageFacts, audit_page, listed, note, own, part, table, text
from appliance.views import AuditView
from appliance.words.table import tell
from audit_core.results import ControlName

_BLIND: Final = (ControlName.BLIND_MEMBERS, ControlName.BLIND_TARGETS, ControlName.CONDITIONAL)


def data_page(view: AuditView, facts: PageFacts) -> str:
    """The page."""
    result, data = view.result, facts.data
    years = data.get("study_years", ())
    said = {
        tell("report.cohort"): view.row.cohort,
        tell("report.cohort_digest"): view.cohort_digest,
        tell("report.design"): f"{result.design}: {wording.DESIGN[result.design]}",
        tell("report.references"): f"{result.references}: {wording.REFERENCES[result.references]}",
        tell("report.study_years"): tell("report.years", first=years[0], last=years[-1]) if years else "",
        tell("report.seed"): str(data.get("seed", "")),
        tell("report.committed_design"): ", ".join(data.get("committed_design", {})),
    }
    main = (
        note(view),
        f"<p>{own('data.chosen')}</p>",
        part(
            own("report.chosen"),
            listed(said, (tell("report.cohort_digest"), tell("report.committed_design"))),
        ),
        _roles(view, data),
        _modalities(data),
        _blind(view),
        f"<p>{own('data.small')}</p>",
    )
    return audit_page(
        tell("report.data_of", model=view.row.model), own("report.data_title"), main, view, facts
    )


def _roles(view: AuditView, data: Mapping[str, Any]) -> str:
    """Patients and pairs by role, and what each is for; patients as judged where the cohort names none."""
    patients = data.get("patients_by_role") or grouped(view.result.counts)
    pairs = data.get("pairs_by_role", {})
    rows = [
        (
            text(wording.ROLE.get(role, role)),
            own(f"data.role.{role}") if role in wording.ROLE else "",
            text(few(number)),
            text(few(pairs[role]) if role in pairs else tell("number.not_measured")),
        )
        for role, number in sorted(patients.items())
        if number
    ]
    if not rows:
        return ""
    heads = [own("data.role"), own("data.purpose"), own("data.patients"), own("data.pairs")]
    return part(own("data.roles"), table(own("data.roles_caption"), heads, rows, "num"))


def _modalities(data: Mapping[str, Any]) -> str:
    counted = {term: few(number) for term, number in data.get("patients_by_modality", {}).items()}
    return part(own("data.modalities"), listed(counted))


def _blind(view: AuditView) -> str:
    """Can roles be told without the model? What this asks, and what was seen."""
    rows = [
        (
            f'{text(one.name)}<span class="ask">{text(wording.CONTROL_ASKS[ControlName(one.name)])}</span>',
            own(f"control.{one.status}"),
            text(one.sentence, 400),
        )
        for one in view.result.controls
        if one.name in _BLIND
    ]
    heads = [own("report.control"), own("report.outcome"), own("report.seen")]
    said = f"<p>{own('data.blind')}</p>"
    return part(own("data.blind_title"), said, table(own("data.blind_caption"), heads, rows)) if rows else ""
