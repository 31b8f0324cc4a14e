"""The verdict in plain lines: for `verdict.txt` in a pack, for pipes and for screen readers."""

from __future__ import annotations

from appliance.evidence.report import wording
from appliance.sanitise import safe
from appliance.views import AuditView
from audit_core.results import Limit

_WIDTH = 18


def verdict_text(view: AuditView) -> str:
    """One audit as lines, no boxes, no colour; ends in a line break."""
    result, row = view.result, view.row
    lines = [f"{view.verdict.word}: {wording.MEANING[view.verdict.word]}"]
    if view.sample_note:
        lines.append(f"NOTE: {safe(view.sample_note, 300)}")
    lines += [
        "",
        _fact("model", f"{safe(row.model)} ({view.model_digest})"),
        _fact("audit", f"{row.audit_id} of {row.started_utc}"),
        _fact("exposure", wording.exposure(result, view.verdict.word)),
        _fact("share", wording.share_bounds(result, view.verdict.word)),
        _fact("evidence tier", f"{result.tier.name}: {wording.TIER_PROVES[result.tier]}"),
        _fact("", wording.does_not_prove(result.tier)),
        _fact("detectable", safe(result.detectable.sentence, 300)),
        _fact("cohort", f"{safe(row.cohort)}: {wording.DESIGN[result.design]}"),
        _fact("references", f"{result.references}: {wording.REFERENCES[result.references]}"),
        _fact("policy", f"{safe(row.policy)} ({view.policy_digest})"),
        "",
        f"Reasons (line {view.verdict.line} of the policy's six):",
        *(f"  {number}. {safe(reason, 400)}" for number, reason in enumerate(view.verdict.reasons, start=1)),
        "",
        "Controls:",
        *(
            f"  {control.status.value:15}{control.name}: {safe(control.sentence, 400)}"
            for control in result.controls
        ),
        *_limits(view),
        "",
        "Detectors (patients in question against calibration controls):",
    ]
    for detector in result.detectors:
        if detector.target_auroc is None and not detector.decides:
            continue
        decides = " (decides)" if detector.decides else ""
        area = wording.area(detector.target_auroc, detector.target_auroc_ci)
        lines.append(f"  {detector.name}{decides}: AUROC {area}")
    beside = wording.beside(result, view.verdict.word)
    lines += ["", "Beside the verdict, deciding nothing:"] * bool(beside)
    lines += [f"  {name}: {safe(sentence, 400)}" for name, sentence in beside]
    return "\n".join(line.rstrip() for line in lines if line != _fact("share", "")) + "\n"


def _limits(view: AuditView) -> list[str]:
    """What the audit could not do; nothing where it could do everything."""
    if not view.result.limits:
        return []
    lines = ["", "What this audit could not do:"]
    for number, limit in enumerate(view.result.limits, start=1):
        lines.append(f"  {number}. {safe(limit.what, 400)}")
        lines += [f"     {safe(f'{word}: {said}', 400)}" for word, said in _said(limit) if said]
    return lines


def _said(limit: Limit) -> tuple[tuple[str, str], ...]:
    return ("why", limit.why), ("what would help", limit.remedy)


def _fact(name: str, value: str) -> str:
    return f"{name:{_WIDTH}}{value}"
