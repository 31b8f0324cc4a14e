"""The verdict page: one self-contained HTML file that reads alike on a screen, on paper and in ten years."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from html import escape

from appliance.pack.pages import plots, wording
from appliance.pack.pages.style import CSS
from appliance.sanitise import safe
from appliance.views import AuditView, ControlOutcome, ControlStatus, DetectorReport
from appliance.words.table import tell
from audit_core.results import ControlName

_ROW_CLASS = {ControlStatus.PASSED: "ok", ControlStatus.FAILED: "failed", ControlStatus.NOT_APPLICABLE: "na"}
_SIGN = {ControlStatus.PASSED: "✓", ControlStatus.FAILED: "✕", ControlStatus.NOT_APPLICABLE: "–"}
_COMMAND = "python3 verify_evidence.py PACK.zip"
_DIGESTS = (
    tell("report.model_digest"),
    tell("report.cohort_digest"),
    tell("report.policy_digest"),
    tell("report.verifier"),
)
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
        _claims(view),
        _detectors(view),
        _beside(view),
        _method(view),
        _provenance(view, facts),
        f"<footer>{_own('report.not_legal_advice')} {_own('report.no_patient')}</footer>",
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


def _own(key: str, **given: object) -> str:
    """A sentence of ours as HTML; what is foreign in it passes `safe()`."""
    return escape(tell(key, **{name: safe(str(value), 300) for name, value in given.items()}))


def _header(view: AuditView, facts: PageFacts) -> str:
    vendor = f" · {_text(facts.vendor)}" if facts.vendor else ""
    return (
        f'<header><div><h1>{_own("report.title")}</h1><div class="model">{_text(view.row.model)}</div>'
        f"<div>{_text(facts.site)}{vendor}</div></div>"
        f'<div class="facts">{_own("report.audit", audit=view.row.audit_id)}<br>'
        f"{_own('report.closed', moment=facts.closed_utc[:16].replace('T', ' '))}<br>"
        f"{_own('report.entry', entry=facts.entry)}</div></header>"
    )


def _note(view: AuditView) -> str:
    return f'<div class="demo">{_text(view.sample_note)}</div>' if view.sample_note else ""


def _strip(view: AuditView) -> str:
    word = view.verdict.word
    return (
        f'<div class="strip"><div class="word"><span class="glyph">{wording.GLYPH[word]}</span>{word}</div>'
        f'<div class="says"><b>{_text(wording.exposure(view.result, word))}</b>'
        f"{escape(wording.meaning(word, view.verdict.reasons[0]))}</div></div>"
    )


def _cards(view: AuditView) -> str:
    reasons = _items(view.verdict.reasons[:3])
    more = len(view.verdict.reasons) - 3
    rest = f"<p>{_own('report.more_reasons', number=more)}</p>" if more > 0 else ""
    tier = view.result.tier
    bounds = wording.share_bounds(view.result, view.verdict.word)
    return (
        f'<div class="cards"><div class="card"><h3>{_own("report.why", line=view.verdict.line)}</h3>'
        f"<ol>{reasons}</ol>{rest}</div>"
        f'<div class="card"><h3>{_own("report.proves", tier=tier.name)}</h3>'
        f"<p>{_text(wording.TIER_PROVES[tier].capitalize())}.</p><p><b>{_own('report.does_not_prove')}</b> "
        f"{_text(wording.TIER_LEAVES_OPEN[tier])}</p>"
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
        caption = _own("report.no_threshold") if at is None else _own("report.threshold", score=f"{at:.3g}")
        svg = plots.histogram_svg(result.histogram)
        figures.append(f"<figure>{svg}<figcaption>{caption} {_deciding_name(view)}</figcaption></figure>")
    if deciding is not None and deciding.roc:
        area = wording.area(deciding.target_auroc, deciding.target_auroc_ci)
        svg = plots.roc_svg(deciding)
        caption = _own("report.auroc", area=area) + _found(deciding)
        figures.append(f"<figure>{svg}<figcaption>{caption}</figcaption></figure>")
    if not figures:
        return ""
    return f'<h2>{_own("report.scores")}</h2>{_tests(view)}<div class="plots">{"".join(figures)}</div>'


def _found(detector: DetectorReport) -> str:
    """Operating points belong to the known training patients, the curve to the patients in question."""
    points = [_text(wording.operating_point(point)) for point in detector.operating_points]
    return "".join(f"<br>{line}" for line in [_own("report.found"), *points]) if points else ""


def _tests(view: AuditView) -> str:
    found = view.result.exposure
    if found is None:
        return ""
    sentence = _own("report.rank_test", p=wording.p_value(found.rank_test_p))
    if found.flagged:
        expected = wording.expected_false(found)
        sentence += " " + _own("report.flagged", number=f"{found.flagged:,}", expected=expected)
    return f"<p>{sentence}</p>"


def _deciding(view: AuditView) -> DetectorReport | None:
    return next((detector for detector in view.result.detectors if detector.decides), None)


def _deciding_name(view: AuditView) -> str:
    return _own("report.deciding", detector=view.result.deciding_detector)


def _controls(view: AuditView) -> str:
    rows = "".join(map(_control, sorted(view.result.controls, key=lambda control: _ORDER[control.status])))
    return (
        f'<h2 class="details">{_own("report.controls")}</h2><table>'
        f"{_heads('report.outcome', 'report.control', 'report.seen', 'report.costs')}{rows}</table>"
    )


def _heads(*keys: str) -> str:
    """The first row of a table."""
    return "<tr>" + "".join(f"<th>{_own(key)}</th>" for key in keys) + "</tr>"


def _control(control: ControlOutcome) -> str:
    known = control.name in ControlName.__members__.values()
    asks = f'<div class="ask">{_text(wording.CONTROL_ASKS[ControlName(control.name)])}</div>' if known else ""
    state = f"{_SIGN[control.status]} {_own(f'control.{control.status}')}"
    return (
        f'<tr class="{_ROW_CLASS[control.status]}"><td class="state">{state}</td>'
        f"<td><b>{_text(control.name)}</b>{asks}</td><td>{_text(control.sentence, 400)}</td>"
        f'<td class="costs">{_own(f"control.costs.{control.consequence.name}")}</td></tr>'
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
        f"<h2>{_own('report.limits')}</h2>"
        f"<table>{_heads('report.limit.what', 'report.limit.why', 'report.limit.remedy')}{rows}</table>"
    )


def _claims(view: AuditView) -> str:
    """What the vendor claimed, and what this audit says of it; nothing where it claimed nothing."""
    rows = "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(sentence, 800)}</dd>"
        for name, sentence in wording.claims(view.result, view.verdict.word)
    )
    return f"<h2>{_own('report.claims')}</h2><dl>{rows}</dl>" if rows else ""


def _detectors(view: AuditView) -> str:
    measured = [detector for detector in view.result.detectors if _is_measured(detector)]
    others = [detector.name for detector in view.result.detectors if not _is_measured(detector)]
    decides = f" <b>{_own('report.decides')}</b>"
    rows = "".join(
        f"<tr><td>{_text(detector.name)}{decides if detector.decides else ''}</td>"
        f'<td class="num">{wording.area(detector.reference_auroc, detector.reference_auroc_ci)}</td>'
        f'<td class="num">{wording.area(detector.target_auroc, detector.target_auroc_ci)}</td>'
        f'<td class="num">{detector.unscored}</td></tr>'
        for detector in measured
    )
    absent = f"<p>{_own('report.not_possible', detectors=', '.join(others))}</p>" if others else ""
    heads = _heads("report.detector", "report.reference_auroc", "report.target_auroc", "report.unscored")
    return f"<h2>{_own('report.detectors')}</h2><table>{heads}{rows}</table>{absent}"


def _beside(view: AuditView) -> str:
    rows = "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(sentence, 400)}</dd>"
        for name, sentence in wording.beside(view.result, view.verdict.word)
    )
    return f"<h2>{_own('report.beside')}</h2><dl>{rows}</dl>" if rows else ""


def _is_measured(detector: DetectorReport) -> bool:
    return detector.decides or detector.reference_auroc is not None or detector.target_auroc is not None


def _method(view: AuditView) -> str:
    result = view.result
    counts = ", ".join(
        f"{number} {wording.ROLE.get(role, role)}" for role, number in result.counts.items() if number
    )
    layers = ", ".join(f"{layer} ({gap:.3f})" for layer, gap in result.memory_by_layer[:3])
    facts = {
        tell("report.patients"): counts,
        tell("report.design"): f"{result.design}: {wording.DESIGN[result.design]}",
        tell("report.references"): f"{result.references}: {wording.REFERENCES[result.references]}",
        tell("report.slices"): tell(
            "report.slices_kept",
            kept=f"{result.slices_kept:,}",
            total=f"{result.slices_total:,}",
            layers=len(result.audited_layers),
        ),
        tell("report.memory"): layers,
        tell("report.canaries"): result.canaries.sentence if result.canaries else "",
        **{name.replace("_", " "): value for name, value in sorted(result.model_facts.items())},
    }
    return f"<h2>{_own('report.method')}</h2>{_facts(facts)}"


def _provenance(view: AuditView, facts: PageFacts) -> str:
    layers = ", ".join(f"{layer}: {state}" for layer, state in view.isolation)
    shown = {
        tell("report.model_digest"): view.model_digest,
        tell("report.released"): facts.released,
        tell("report.cohort_digest"): view.cohort_digest,
        tell("report.policy"): view.policy,
        tell("report.policy_digest"): view.policy_digest,
        tell("report.isolation"): layers,
        tell("report.verifier"): f"verify_evidence.py, SHA-256 {facts.verifier_digest}",
    }
    check = escape(tell("report.how_to_check", command=_COMMAND))
    check = check.replace(_COMMAND, f"<code>{_COMMAND}</code>")
    return (
        f"<h2>{_own('report.provenance')}</h2>{_facts(shown, mono=_DIGESTS)}"
        f"<p>{_own('report.compare_words')} {check}</p>"
    )


def _facts(facts: Mapping[str, str], mono: Collection[str] = ()) -> str:
    digits = ' class="mono"'
    rows = "".join(
        f"<dt>{_text(name)}</dt><dd{digits if name in mono else ''}>{_text(value, 600)}</dd>"
        for name, value in facts.items()
        if value
    )
    return f"<dl>{rows}</dl>"


def _signature(facts: PageFacts) -> str:
    words, state = (
        f'<span class="words">{escape(said)}</span>' for said in (facts.key_words, facts.state_words)
    )
    signed = _own("report.signed_by", words="{words}", state="{state}").format(words=words, state=state)
    return (
        f'<div class="signature"><h2>{_own("report.sign_off")}</h2>'
        f'<div class="sign"><div>{_own("report.sign_name")}</div><div>{_own("report.sign_decision")}</div>'
        f'<div>{_own("report.sign_date")}</div></div><p class="keyed">{signed}</p></div>'
    )
