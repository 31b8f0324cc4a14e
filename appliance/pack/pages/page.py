"""The verdict page: one sheet of A4 or US Letter for whatever verdict; what does not fit stands elsewhere.

Lists are cut at a fixed number and sentences at a fixed length, and the more there is to say the closer the
sheet is set. All of it, uncut, is in results.html, method.html and data.html.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from appliance.pack.pages import plots, wording
from appliance.pack.pages.shell import PageFacts, closing, document, heading, items, listed, note, own, text
from appliance.sanitise import safe
from appliance.views import AuditView, ControlOutcome, ControlStatus, DetectorReport
from appliance.words.table import count, tell

__all__ = ["PageFacts", "verdict_page"]

_COMMAND: Final = "python3 verify_evidence.py PACK.zip"
_REASONS, _REASON = 3, 210  # how many, and how many signs of each
_CLAIMS, _CLAIM = 2, 190
_LIMITS, _LIMIT = 2, 110
_FAILED = 5  # failed controls by name
_CLOSE: Final = ((2300, "closest"), (1500, "close"))  # signs of free text from which the sheet is set closer


def verdict_page(view: AuditView, facts: PageFacts) -> str:
    """The whole sheet. Every foreign string passes `safe()` and is escaped."""
    main = (
        note(view),
        _strip(view, facts),
        _cards(view, facts),
        _open(view),
        _figures(view) if facts.whole else "",
        _controls(view),
        _limits(view) if facts.whole else "",
        _claims(view, facts),
        _identity(view, facts),
        _signature(facts),
    )
    tone = f"sheet {view.verdict.word}{_density(main)}"
    return document(
        f"{view.verdict.word}: {view.row.model}",
        heading(own("report.title"), view.row.model, view, facts),
        main,
        closing(facts, tell("report.elsewhere" if facts.whole else "report.elsewhere_vendor")),
        tone,
        facts.closed_utc,
    )


def _density(main: Iterable[str]) -> str:
    """How closely the sheet is set: by what is on it, never by who reads it."""
    signs = sum(len(_said(held)) for held in main)
    return next((f" {how}" for least, how in _CLOSE if signs >= least), "")


def _said(html: str) -> str:
    """What is read of a piece of HTML, drawings left out."""
    said, inside = [], 0
    for piece in html.split("<"):
        tag, _, words = piece.partition(">")
        inside += tag.startswith("svg")
        inside -= tag.startswith("/svg")
        if not inside:
            said.append(words)
    return "".join(said)


def _strip(view: AuditView, facts: PageFacts) -> str:
    word = view.verdict.word
    headline = f"<b>{text(wording.exposure(view.result, word))}</b>" if facts.whole else ""
    return (
        f'<div class="strip"><div class="word"><span class="glyph" aria-hidden="true">{wording.GLYPH[word]}'
        f'</span>{word}</div><div class="says">{headline}'
        f"{escape(wording.meaning(word, view.verdict.reasons[0]))}</div></div>"
    )


def _cards(view: AuditView, facts: PageFacts) -> str:
    tier = view.result.tier
    bounds = wording.share_bounds(view.result, view.verdict.word) if facts.whole else ""
    detectable = text(view.result.detectable.sentence, 190) if facts.whole else ""
    return (
        f'<div class="cards"><section class="card"><h2>{own("report.why", line=view.verdict.line)}</h2>'
        f'{_reasons(view, facts)}</section><section class="card">'
        f"<h2>{own('report.proves', tier=tier.name)}</h2>"
        f"<p>{text(wording.TIER_PROVES[tier].capitalize())}.</p>"
        + (f"<p>{text(bounds[0].upper() + bounds[1:])}.</p>" if bounds else "")
        + (f"<p>{detectable}</p>" if detectable else "")
        + "</section></div>"
    )


def _reasons(view: AuditView, facts: PageFacts) -> str:
    """The first three; a vendor is told by which line of the policy, as reasons count patients."""
    if not facts.whole:
        return f"<p>{own('report.reasons_withheld')}</p>"
    more = len(view.verdict.reasons) - _REASONS
    rest = f"<p>{_more('report.more_reasons', more)}</p>" if more > 0 else ""
    return f"<ol>{items(view.verdict.reasons[:_REASONS], _REASON)}</ol>{rest}"


def _more(key: str, number: int) -> str:
    return escape(count(key, number))


def _open(view: AuditView) -> str:
    """What the result does not prove, in a box that cannot be missed."""
    return (
        f'<p class="open"><b>{own("report.does_not_prove")}</b> '
        f"{text(wording.TIER_LEAVES_OPEN[view.result.tier])}</p>"
    )


def _figures(view: AuditView) -> str:
    result = view.result
    drawn = []
    if plots.has_bars(result.histogram) and result.histogram is not None:
        caption = plots.threshold_told(result.histogram)
        drawn.append(
            f"<figure>{plots.histogram_svg(result.histogram, sheet=True)}"
            f"<figcaption>{caption} {own('report.deciding', detector=result.deciding_detector)} "
            f"{rank_test(view)}</figcaption></figure>"
        )
    deciding = decides(view)
    if deciding is not None and deciding.roc:
        area = wording.area(deciding.target_auroc, deciding.target_auroc_ci)
        drawn.append(
            f"<figure>{plots.roc_svg(deciding, sheet=True)}"
            f"<figcaption>{own('report.auroc', area=area)}</figcaption></figure>"
        )
    return f'<div class="plots">{"".join(drawn)}</div>' if drawn else ""


def decides(view: AuditView) -> DetectorReport | None:
    """The detector that the policy named beforehand."""
    return next((detector for detector in view.result.detectors if detector.decides), None)


def rank_test(view: AuditView) -> str:
    """The test that decides, and what flags are worth, as HTML."""
    found = view.result.exposure
    if found is None:
        return ""
    sentence = own("report.rank_test", p=wording.p_value(found.rank_test_p))
    if found.flagged:
        expected = wording.expected_false(found)
        sentence += " " + own("report.flagged", number=f"{found.flagged:,}", expected=expected)
    return sentence


def _controls(view: AuditView) -> str:
    """How many controls ended how; those that failed by name and by what follows."""
    ended = [control.status for control in view.result.controls]
    said = ", ".join(
        f"{ended.count(state)} {tell(f'control.{state}')}" for state in ControlStatus if state in ended
    )
    failed = [control for control in view.result.controls if control.status is ControlStatus.FAILED]
    named = "; ".join(map(_failed, failed[:_FAILED])) + "…" * (len(failed) > _FAILED)
    line = own("report.controls_in_short", said=said)
    if named:
        line += " " + escape(tell("report.controls_failed", named=named))
    return f"<p><b>{own('report.controls_short')}</b> {line}</p>" if ended else ""


def _failed(control: ControlOutcome) -> str:
    costs = tell(f"control.costs.{control.consequence.name}")
    return tell("report.control_failed", name=control.name, costs=costs)


def _limits(view: AuditView) -> str:
    """What the audit could not do, the first of it; nothing where it could do everything."""
    limits = view.result.limits
    if not limits:
        return ""
    told = " ".join(text(limit.what, _LIMIT) for limit in limits[:_LIMITS])
    more = f" {_more('report.more_limits', len(limits) - _LIMITS)}" if len(limits) > _LIMITS else ""
    return f"<p><b>{own('report.limits')}:</b> {told}{more}</p>"


def _claims(view: AuditView, facts: PageFacts) -> str:
    """What the vendor claimed, and what this audit says of it; nothing where it claimed nothing."""
    found = wording.answers(view.result, view.verdict.word) if facts.whole else wording.claimed(view.result)
    rows = "".join(
        f"<dt>{text(name, 90)}</dt><dd>{text(sentence, _CLAIM)}</dd>" for name, sentence in found[:_CLAIMS]
    )
    more = f"<p>{_more('report.more_claims', len(found) - _CLAIMS)}</p>" if len(found) > _CLAIMS else ""
    return f"<section><h2>{own('report.claims')}</h2><dl>{rows}</dl>{more}</section>" if rows else ""


def _identity(view: AuditView, facts: PageFacts) -> str:
    """Which model, policy and verifier, in digits that a second reader can compare."""
    shown = {
        tell("report.model_digest"): view.model_digest,
        tell("report.policy"): safe(view.policy, 80),
        tell("report.policy_digest"): view.policy_digest,
        tell("report.verifier"): facts.verifier_digest,
    }
    mono = (tell("report.model_digest"), tell("report.policy_digest"), tell("report.verifier"))
    check = escape(tell("report.how_to_check", command=_COMMAND))
    check = check.replace(_COMMAND, f"<code>{_COMMAND}</code>")
    return f"<section><h2>{own('report.provenance')}</h2>{listed(shown, mono, 120)}<p>{check}</p></section>"


def _signature(facts: PageFacts) -> str:
    words, state = (
        f'<span class="words">{escape(said)}</span>' for said in (facts.key_words, facts.state_words)
    )
    signed = own("report.signed_by", words="{words}", state="{state}").format(words=words, state=state)
    return (
        f'<section class="signature"><h2>{own("report.sign_off")}</h2>'
        f'<div class="sign"><div>{own("report.sign_name")}</div><div>{own("report.sign_decision")}</div>'
        f"<div>{own('report.sign_date')}</div></div>"
        f'<p class="keyed">{signed} {own("report.compare_words")}</p></section>'
    )
