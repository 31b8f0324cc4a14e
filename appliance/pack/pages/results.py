"""The results page: every number of an audit that may leave, with its interval and what it hangs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from appliance.pack.pages import plots, wording
from appliance.pack.pages.page import decides, rank_test
from appliance.pack.pages.shell import PageFacts, audit_page, items, listed, note, own, part, table, text
from appliance.views import AuditView, ControlOutcome, ControlStatus, DetectorReport
from appliance.words.table import tell
from audit_core.results import ControlName, OperatingPoint, ReliabilityBin, VerdictWord

_ROW_CLASS = {ControlStatus.PASSED: "ok", ControlStatus.FAILED: "failed", ControlStatus.NOT_APPLICABLE: "na"}
_SIGN = {ControlStatus.PASSED: "✓", ControlStatus.FAILED: "✕", ControlStatus.NOT_APPLICABLE: "–"}
_ORDER = {ControlStatus.FAILED: 0, ControlStatus.PASSED: 1, ControlStatus.NOT_APPLICABLE: 2}
_SHOWN: Final = 200  # pairs without a score in the page's list; all of them are in data.json


def results_page(view: AuditView, facts: PageFacts) -> str:
    """The page; in the full edition alone."""
    main = (
        note(view),
        _headline(view),
        part(own("report.why", line=view.verdict.line), f"<ol>{items(view.verdict.reasons)}</ol>"),
        _scores(view),
        _points(view),
        _detectors(view),
        controls(view, facts),
        _calibration(view.result.reliability, view.verdict.word),
        _unscored(view, facts),
        part(own("report.claims"), listed(dict(wording.claims(view.result, view.verdict.word)), limit=800)),
        part(own("report.beside"), listed(dict(wording.beside(view.result, view.verdict.word)))),
        _canaries(view),
        layers(view),
    )
    return audit_page(
        tell("report.results_of", model=view.row.model), own("report.results"), main, view, facts
    )


def _headline(view: AuditView) -> str:
    word = view.verdict.word
    bounds = wording.share_bounds(view.result, word)
    more = f"<p>{text(bounds[0].upper() + bounds[1:])}.</p>" if bounds else ""
    return (
        f"<p><b>{word}.</b> {text(wording.meaning(word, view.verdict.reasons[0]))} "
        f"{text(wording.exposure(view.result, word))}.</p>{more}"
        f"<p>{text(view.result.detectable.sentence)}</p>"
    )


def _scores(view: AuditView) -> str:
    """Histogram and curve of the detector that decides, at full size."""
    result, deciding = view.result, decides(view)
    drawn = []
    if plots.has_bars(result.histogram) and result.histogram is not None:
        caption = plots.threshold_told(result.histogram)
        drawn.append(
            f"<figure>{plots.histogram_svg(result.histogram)}<figcaption>{caption} "
            f"{own('report.deciding', detector=result.deciding_detector)}</figcaption></figure>"
        )
    if deciding is not None and deciding.roc:
        area = wording.area(deciding.target_auroc, deciding.target_auroc_ci)
        drawn.append(
            f"<figure>{plots.roc_svg(deciding)}<figcaption>{own('report.auroc', area=area)}. "
            f"{own('report.roc_file')}</figcaption></figure>"
        )
    tests = rank_test(view)
    said = f"<p>{tests}</p>" if tests else ""
    return part(own("report.scores"), said, f'<div class="plots">{"".join(drawn)}</div>' if drawn else "")


def _points(view: AuditView) -> str:
    """Shares found at rates of false alarms that the controls resolve, and what is missing for the others."""
    rows = [
        (
            text(one.name),
            "<br>".join(map(_point, one.operating_points)),
            "<br>".join(_realised(point.realised_fpr) for point in one.operating_points),
        )
        for one in view.result.detectors
        if _is_measured(one) and one.operating_points
    ]
    if not rows:
        return ""
    heads = _heads("report.detector", "report.found", "report.realised")
    return part(own("report.points"), table(own("report.points_caption"), heads, rows))


def _point(point: OperatingPoint) -> str:
    return f'<span class="whole">{text(wording.operating_point(point))}</span>'


def _realised(interval: Any) -> str:
    return text(wording.percent_interval(interval)) if interval is not None else "–"


def _heads(*keys: str) -> list[str]:
    return [own(key) for key in keys]


def _detectors(view: AuditView) -> str:
    measured = [one for one in view.result.detectors if _is_measured(one)]
    others = [one.name for one in view.result.detectors if not _is_measured(one)]
    mark = f" ({own('report.decides')})"
    rows = [
        (
            f"{text(one.name)}{mark if one.decides else ''}",
            text(wording.area(one.reference_auroc, one.reference_auroc_ci)),
            text(wording.area(one.target_auroc, one.target_auroc_ci)),
            f"{one.unscored:,}",
        )
        for one in measured
    ]
    absent = f"<p>{own('report.not_possible', detectors=', '.join(others))}</p>" if others else ""
    heads = _heads("report.detector", "report.reference_auroc", "report.target_auroc", "report.unscored")
    return part(own("report.detectors"), table(own("report.detectors_caption"), heads, rows, "num"), absent)


def _is_measured(detector: DetectorReport) -> bool:
    return detector.decides or detector.reference_auroc is not None or detector.target_auroc is not None


def controls(view: AuditView, facts: PageFacts) -> str:
    """What was tried whose right answer is known; what was seen counts patients, and no vendor reads it."""
    rows = "".join(
        _control(one, facts) for one in sorted(view.result.controls, key=lambda one: _ORDER[one.status])
    )
    names = _heads("report.control", "report.outcome", "report.seen", "report.costs")
    if not facts.whole:
        del names[2]
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    caption = f"<caption>{own('report.controls_caption')}</caption>"
    whole = f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return part(own("report.controls"), whole)


def _control(control: ControlOutcome, facts: PageFacts) -> str:
    known = control.name in ControlName.__members__.values()
    asks = (
        f'<span class="ask">{text(wording.CONTROL_ASKS[ControlName(control.name)])}</span>' if known else ""
    )
    state = f"{_SIGN[control.status]} {own(f'control.{control.status}')}"
    seen = f"<td>{text(control.sentence, 400)}</td>" if facts.whole else ""
    costs = own(f"control.costs.{control.consequence.name}")
    return (
        f'<tr class="{_ROW_CLASS[control.status]}"><th scope="row">{text(control.name)}{asks}</th>'
        f'<td class="state">{state}</td>{seen}<td class="state costs">{costs}</td></tr>'
    )


def _calibration(bins: Sequence[ReliabilityBin], word: VerdictWord) -> str:
    """Are leak probabilities what they say? Nothing where none is stated."""
    if not bins or word is VerdictWord.VOID:
        return ""
    rows = [
        (
            wording.percent(one.predicted),
            f"{one.members} / {one.references}",
            text(wording.percent_interval(one.interval)),
        )
        for one in bins
    ]
    drawn = plots.calibration_svg([(one.predicted, one.members / one.references) for one in bins])
    heads = _heads("report.predicted", "report.members_of", "report.share_of_members")
    held = table(own("report.calibration_caption"), heads, rows)
    figure = f"<figure>{drawn}<figcaption>{own('report.calibration_figure')}</figcaption></figure>"
    return part(own("report.calibration"), f'<div class="plots"><div>{held}</div>{figure}</div>')


def _unscored(view: AuditView, facts: PageFacts) -> str:
    """Pairs that got no score: how many for each detector, and each by a keyed digest where they are kept."""
    kept = facts.data.get("unscored")
    title = own("report.unscored_title")
    if not isinstance(kept, list):
        return part(title, f"<p>{own('report.unscored_not_kept')}</p>")
    if not kept:
        return part(title, f"<p>{own('report.unscored_none')}</p>")
    rows = [
        (f'<span class="mono">{text(one["pair"], 80)}</span>', text(one["detectors"], 300))
        for one in kept[:_SHOWN]
    ]
    heads = _heads("report.unscored_pair", "report.unscored_by")
    more = len(kept) - _SHOWN
    rest = f"<p>{own('report.unscored_more', number=more)}</p>" if more > 0 else ""
    return part(
        title,
        f"<p>{own('report.unscored_keyed')}</p>",
        table(own("report.unscored_caption"), heads, rows),
        rest,
    )


def _canaries(view: AuditView) -> str:
    found = view.result.canaries
    if found is None or view.verdict.word is VerdictWord.VOID:
        return ""
    rows = [
        (
            f"{dose.copies}",
            f"{len(dose.ranks)}",
            text(tell("number.not_measured") if dose.p_value is None else wording.p_value(dose.p_value)),
        )
        for dose in found.doses
    ]
    heads = _heads("report.canary_copies", "report.canary_number", "report.canary_p")
    doses = table(own("report.canaries_caption"), heads, rows) if rows else ""
    return part(own("report.canaries_title"), f"<p>{text(found.sentence, 600)}</p>", doses)


def layers(view: AuditView) -> str:
    """Where memory sits, by layer: what a vendor needs to mend an adapter."""
    result = view.result
    kept = {layer: (some, total) for layer, some, total in result.slices_by_layer}
    gaps = dict(result.memory_by_layer)
    unknown = text(tell("number.not_measured"))
    rows = [
        (
            text(layer, 120),
            f"{gaps[layer]:.3f}" if layer in gaps else unknown,
            "{:,} / {:,}".format(*kept[layer]) if layer in kept else unknown,
        )
        for layer in [*gaps, *(layer for layer in kept if layer not in gaps)]
    ]
    if not rows:
        return ""
    heads = _heads("report.layer", "report.layer_gap", "report.layer_slices")
    if not gaps:  # withheld: a gap is one between groups of patients
        bare = [(layer, slices) for layer, _, slices in rows]
        return part(own("report.layers"), table(own("report.layers_bare"), [heads[0], heads[2]], bare, "num"))
    return part(own("report.layers"), table(own("report.layers_caption"), heads, rows, "num"))
