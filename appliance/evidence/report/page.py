"""The verdict page: one self-contained HTML file that reads alike on a screen, on paper and in ten years."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

from appliance.evidence.report import plots, wording
from appliance.evidence.report.style import CSS
from appliance.sanitise import safe
from appliance.views import AuditView, ControlOutcome, ControlStatus, DetectorReport
from audit_core.results import ControlName

_ROW_CLASS = {ControlStatus.PASSED: "ok", ControlStatus.FAILED: "failed", ControlStatus.NOT_APPLICABLE: "na"}
_STATE = {
    ControlStatus.PASSED: "✓ passed",
    ControlStatus.FAILED: "✕ failed",
    ControlStatus.NOT_APPLICABLE: "– not applicable",
}
_ORDER = {ControlStatus.FAILED: 0, ControlStatus.PASSED: 1, ControlStatus.NOT_APPLICABLE: 2}


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What the page says beyond the audit itself.

    Attributes:
        site: name of the site, as configured.
        vendor: of the model, "" when unknown.
        released: release date of the model, "" when unknown.
        closed_utc: when the log closed the audit.
        entry: number of the entry that closed it.
        key_words: ten words of the log's key.
        verifier_digest: hex SHA-256 of the verifier in the pack.
        state_words: ten words for the state of the log that closed the audit.
    """

    site: str
    vendor: str
    released: str
    closed_utc: str
    entry: int
    key_words: str
    verifier_digest: str
    state_words: str = ""


def verdict_page(view: AuditView, facts: PageFacts) -> str:
    """The whole page. Every foreign string passes `safe()` and is escaped."""
    sections = (
        _header(view, facts),
        _note(view),
        _strip(view),
        _cards(view),
        _distribution(view),
        _signature(facts),
        _controls(view),
        _limits(view),
        _detectors(view),
        _beside(view),
        _method(view),
        _provenance(view, facts),
        f"<footer>{wording.NOT_LEGAL_ADVICE} No patient, no pseudonym and no score of one is on this page; "
        "they stay sealed at the site.</footer>",
    )
    title = _text(f"{view.verdict.word}: {view.row.model}")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{CSS}</style></head>\n"
        f'<body class="{view.verdict.word}">\n' + "\n".join(filter(None, sections)) + "\n</body></html>\n"
    )


def _text(value: object, limit: int = 300) -> str:
    return escape(safe(str(value), limit))


def _header(view: AuditView, facts: PageFacts) -> str:
    vendor = f" · {_text(facts.vendor)}" if facts.vendor else ""
    return (
        f'<header><div><h1>Exposure audit</h1><div class="model">{_text(view.row.model)}</div>'
        f"<div>{_text(facts.site)}{vendor}</div></div>"
        f'<div class="facts">audit {_text(view.row.audit_id)}<br>'
        f"closed {_text(facts.closed_utc[:16].replace('T', ' '))} UTC<br>"
        f"log entry {facts.entry}</div></header>"
    )


def _note(view: AuditView) -> str:
    return f'<div class="demo">{_text(view.sample_note)}</div>' if view.sample_note else ""


def _strip(view: AuditView) -> str:
    word = view.verdict.word
    return (
        f'<div class="strip"><div class="word"><span class="glyph">{wording.GLYPH[word]}</span>{word}</div>'
        f'<div class="says"><b>{_text(wording.exposure(view.result, word))}</b>'
        f"{wording.MEANING[word]}</div></div>"
    )


def _cards(view: AuditView) -> str:
    reasons = _items(view.verdict.reasons[:3])
    more = len(view.verdict.reasons) - 3
    rest = f"<p>{more} more in results.json.</p>" if more > 0 else ""
    tier = view.result.tier
    bounds = wording.share_bounds(view.result, view.verdict.word)
    return (
        f'<div class="cards"><div class="card"><h3>Why · line {view.verdict.line} of 6</h3>'
        f"<ol>{reasons}</ol>{rest}</div>"
        f'<div class="card"><h3>How much this proves · {tier.name}</h3>'
        f"<p>{wording.TIER_PROVES[tier].capitalize()}.</p><p><b>It does not prove</b> "
        f"{wording.TIER_LEAVES_OPEN[tier]}</p>"
        + (f"<p>{_text(bounds[0].upper() + bounds[1:])}.</p>" if bounds else "")
        + f"<p>{_text(view.result.detectable.sentence)}</p></div></div>"
    )


def _items(sentences: Iterable[str]) -> str:
    return "".join(f"<li>{_text(sentence, 400)}</li>" for sentence in sentences)


def _distribution(view: AuditView) -> str:
    result = view.result
    deciding = _deciding(view)
    figures = []
    if (
        result.histogram is not None
        and len(result.histogram.edges) > 1
        and any(map(any, result.histogram.counts.values()))
    ):
        at = result.histogram.threshold
        caption = (
            f"Dashed: a patient is flagged from {at:.3g} on." if at is not None else "Nobody is flagged."
        )
        svg = plots.histogram_svg(result.histogram)
        figures.append(
            f"<figure>{svg}<figcaption>{caption} {_text(_deciding_name(view))}</figcaption></figure>"
        )
    if deciding is not None and deciding.roc:
        area = wording.area(deciding.target_auroc, deciding.target_auroc_ci)
        svg = plots.roc_svg(deciding)
        figures.append(
            f"<figure>{svg}<figcaption>AUROC {_text(area)}{_found(deciding)}</figcaption></figure>"
        )
    if not figures:
        return ""
    return f'<h2>Scores</h2>{_tests(view)}<div class="plots">{"".join(figures)}</div>'


def _found(detector: DetectorReport) -> str:
    """Operating points belong to the known training patients, the curve to the patients in question."""
    points = [_text(wording.operating_point(point)) for point in detector.operating_points]
    return "".join(f"<br>{line}" for line in ["Known training patients found:", *points]) if points else ""


def _tests(view: AuditView) -> str:
    found = view.result.exposure
    if found is None:
        return ""
    sentence = f"Rank test, patients in question against controls: {wording.p_value(found.rank_test_p)}."
    if found.flagged:
        sentence += f" Flagged patients, {found.flagged:,}: {wording.expected_false(found)}."
    return f"<p>{_text(sentence)}</p>"


def _deciding(view: AuditView) -> DetectorReport | None:
    return next((detector for detector in view.result.detectors if detector.decides), None)


def _deciding_name(view: AuditView) -> str:
    return f"Detector that decides, named beforehand by the policy: {view.result.deciding_detector}."


def _controls(view: AuditView) -> str:
    rows = "".join(map(_control, sorted(view.result.controls, key=lambda control: _ORDER[control.status])))
    return (
        '<h2 class="details">Controls: runs whose right answer is known beforehand</h2>'
        "<table><tr><th>Outcome</th><th>Control</th><th>What was seen</th><th>If it fails</th></tr>"
        f"{rows}</table>"
    )


def _control(control: ControlOutcome) -> str:
    known = control.name in ControlName.__members__.values()
    asks = f'<div class="ask">{wording.CONTROL_ASKS[ControlName(control.name)]}</div>' if known else ""
    return (
        f'<tr class="{_ROW_CLASS[control.status]}"><td class="state">{_STATE[control.status]}</td>'
        f"<td><b>{_text(control.name)}</b>{asks}</td><td>{_text(control.sentence, 400)}</td>"
        f'<td class="costs">{control.consequence.value}</td></tr>'
    )


def _limits(view: AuditView) -> str:
    """What the audit could not do; nothing where it could do everything."""
    if not view.result.limits:
        return ""
    rows = "".join(
        f"<tr><td>{_text(limit.what, 400)}</td><td>{_text(limit.why, 400)}</td>"
        f"<td>{_text(limit.remedy, 400)}</td></tr>"
        for limit in view.result.limits
    )
    return (
        "<h2>What this audit could not do</h2>"
        f"<table><tr><th>What</th><th>Why</th><th>What would help</th></tr>{rows}</table>"
    )


def _detectors(view: AuditView) -> str:
    measured = [detector for detector in view.result.detectors if _is_measured(detector)]
    others = [detector.name for detector in view.result.detectors if not _is_measured(detector)]
    rows = "".join(
        f"<tr><td>{_text(detector.name)}{' <b>decides</b>' if detector.decides else ''}</td>"
        f'<td class="num">{wording.area(detector.reference_auroc, detector.reference_auroc_ci)}</td>'
        f'<td class="num">{wording.area(detector.target_auroc, detector.target_auroc_ci)}</td>'
        f'<td class="num">{detector.unscored}</td></tr>'
        for detector in measured
    )
    absent = f"<p>Not possible with this model and cohort: {_text(', '.join(others))}.</p>" if others else ""
    return (
        "<h2>Detectors</h2><table><tr><th>Detector</th>"
        "<th>AUROC, known training patients against controls</th>"
        "<th>AUROC, patients in question against controls</th><th>Unscored pairs</th></tr>"
        f"{rows}</table>{absent}"
    )


def _beside(view: AuditView) -> str:
    rows = "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(sentence, 400)}</dd>"
        for name, sentence in wording.beside(view.result, view.verdict.word)
    )
    return f"<h2>Beside the verdict, deciding nothing</h2><dl>{rows}</dl>" if rows else ""


def _is_measured(detector: DetectorReport) -> bool:
    return detector.decides or detector.reference_auroc is not None or detector.target_auroc is not None


def _method(view: AuditView) -> str:
    result = view.result
    counts = ", ".join(
        f"{number} {wording.ROLE.get(role, role)}" for role, number in result.counts.items() if number
    )
    layers = ", ".join(f"{layer} ({gap:.3f})" for layer, gap in result.memory_by_layer[:3])
    facts = {
        "patients": counts,
        "design": f"{result.design}: {wording.DESIGN[result.design]}",
        "references": f"{result.references}: {wording.REFERENCES[result.references]}",
        "slices": f"{result.slices_kept:,} of {result.slices_total:,} kept, "
        f"{len(result.audited_layers)} layers audited",
        "memory sits in": layers,
        "canaries": result.canaries.sentence if result.canaries else "",
        **{name.replace("_", " "): value for name, value in sorted(result.model_facts.items())},
    }
    return f"<h2>Method and data</h2>{_facts(facts)}"


def _provenance(view: AuditView, facts: PageFacts) -> str:
    layers = ", ".join(f"{layer}: {state}" for layer, state in view.isolation)
    shown = {
        "model digest": view.model_digest,
        "released": facts.released,
        "cohort digest": view.cohort_digest,
        "policy": view.row.policy,
        "policy digest": view.policy_digest,
        "isolation": layers,
        "verifier": f"verify_evidence.py, SHA-256 {facts.verifier_digest}",
    }
    return (
        f"<h2>What was audited, and how to check this</h2>{_facts(shown)}"
        f"<p>{wording.COMPARE_WORDS} With this page come the "
        "numbers, the policy, the log entries and proofs: <code>python3 verify_evidence.py PACK.zip</code> "
        "checks every byte with nothing but Python.</p>"
    )


def _facts(facts: Mapping[str, str]) -> str:
    rows = "".join(
        f"<dt>{_text(name)}</dt><dd{_mono(name)}>{_text(value, 600)}</dd>"
        for name, value in facts.items()
        if value
    )
    return f"<dl>{rows}</dl>"


def _mono(name: str) -> str:
    return ' class="mono"' if "digest" in name or name == "verifier" else ""


def _signature(facts: PageFacts) -> str:
    return (
        '<div class="signature"><h2>Sign-off</h2><div class="sign"><div>Name and role</div>'
        "<div>Decision: accepted · disputed · referred</div><div>Date and signature</div></div>"
        f'<p class="keyed">Signed by the log of this site, key <span class="words">{escape(facts.key_words)}'
        f'</span>; its state then <span class="words">{escape(facts.state_words)}</span></p></div>'
    )
