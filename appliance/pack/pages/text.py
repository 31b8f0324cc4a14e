"""The verdict in plain lines: for `verdict.txt` in a pack, for pipes and for screen readers."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.pack.pages import wording
from appliance.sanitise import safe
from appliance.views import AuditView
from appliance.words.table import tell

_WIDTH = 18
_STATUS = 15


def verdict_text(view: AuditView, *, whole: bool = True) -> str:
    """One audit as lines, no boxes, no colour; ends in a line break.

    Args:
        whole: False leaves out what counts or describes patients, and says so.
    """
    facts = _facts(view) if whole else _shown_to_all(view)
    lines = [*_head(view), "", *(_fact(name, value) for name, value in facts if value)]
    if not whole:
        return _without_patients(view, lines)
    reasons = [safe(reason, 400) for reason in view.verdict.reasons]
    lines += _part(
        tell("text.reasons", line=view.verdict.line),
        [f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)],
    )
    controls = [(tell(f"control.{control.status}"), control) for control in view.result.controls]
    width = max([_STATUS, *(len(state) + 1 for state, _ in controls)])
    seen = [f"{state:{width}}{one.name}: {safe(one.sentence, 400)}" for state, one in controls]
    lines += _part(tell("text.controls"), seen)
    if view.result.limits:
        lines += _part(tell("text.limits"), _limits(view))
    lines += _part(tell("text.detectors"), _detectors(view, "text.detector_decides", "text.detector"))
    claims = wording.claims(view.result, view.verdict.word)
    if claims:
        lines += _part(tell("text.claims"), [f"{name}: {safe(sentence, 800)}" for name, sentence in claims])
    beside = wording.beside(view.result, view.verdict.word)
    if beside:
        lines += _part(tell("text.beside"), [f"{name}: {safe(sentence, 400)}" for name, sentence in beside])
    return _whole([*lines, *_says_always(view)])


def _without_patients(view: AuditView, lines: list[str]) -> str:
    """What a vendor reads: controls by outcome, and its own claims."""
    states = [(tell(f"control.{control.status}"), control.name) for control in view.result.controls]
    width = max([_STATUS, *(len(state) + 1 for state, _ in states)])
    lines += _part(tell("text.controls"), [f"{state:{width}}{name}" for state, name in states])
    claims = wording.claimed(view.result)
    if claims:
        lines += _part(tell("text.claims"), [f"{name}: {safe(sentence, 800)}" for name, sentence in claims])
    return _whole([*lines, "", tell("report.withheld"), *_says_always(view)])


def _says_always(view: AuditView) -> list[str]:
    """What every page ends in."""
    return ["", wording.does_not_prove(view.result.tier), tell("report.not_legal_advice")]


def _whole(lines: Sequence[str]) -> str:
    return "\n".join(line.rstrip() for line in lines) + "\n"


def verdict_lines(view: AuditView) -> list[str]:
    """The same for a screen reader: every line says by itself what it is about."""
    result, word = view.result, view.verdict.word
    lines = [tell("plain.verdict", word=word, meaning=wording.meaning(word, view.verdict.reasons[0]))]
    lines += _head(view)[1:]
    lines += [
        tell("plain.fact", name=name[:1].upper() + name[1:], value=said) if name else said
        for name, said in _facts(view)
        if said
    ]
    for number, reason in enumerate(view.verdict.reasons, start=1):
        lines.append(tell("plain.reason", number=number, reason=safe(reason, 400)))
    for one in result.controls:
        state, said = tell(f"control.{one.status}"), safe(one.sentence, 400)
        lines.append(tell("plain.control", name=one.name, state=state, sentence=said))
    for number, limit in enumerate(result.limits, start=1):
        lines.append(tell("plain.limit", number=number, limit=safe(limit.what, 400)))
    lines += _detectors(view, "plain.detector_decides", "plain.detector")
    for name, sentence in wording.claims(result, word):
        lines.append(tell("plain.beside", name=name, sentence=safe(sentence, 800)))
    for name, sentence in wording.beside(result, word):
        lines.append(tell("plain.beside", name=name, sentence=safe(sentence, 400)))
    return [*lines, tell("plain.numbers")]


def _head(view: AuditView) -> list[str]:
    word = view.verdict.word
    lines = [tell("text.verdict", word=word, meaning=wording.meaning(word, view.verdict.reasons[0]))]
    return lines + [tell("text.note", note=safe(view.sample_note, 300))] * bool(view.sample_note)


def _facts(view: AuditView) -> list[tuple[str, str]]:
    """Name and value of what the verdict is about; one without a name goes on with the one before."""
    result, row = view.result, view.row
    return [
        (tell("text.model"), f"{safe(row.model)} ({view.model_digest})"),
        (tell("text.audit"), tell("text.audit_of", audit=row.audit_id, started=row.started_utc)),
        (tell("text.exposure"), wording.exposure(result, view.verdict.word)),
        (tell("text.share"), wording.share_bounds(result, view.verdict.word)),
        (tell("text.tier"), f"{result.tier.name}: {wording.TIER_PROVES[result.tier]}"),
        ("", wording.does_not_prove(result.tier)),
        (tell("text.detectable"), safe(result.detectable.sentence, 300)),
        (tell("text.cohort"), f"{safe(row.cohort)}: {wording.DESIGN[result.design]}"),
        (tell("text.references"), f"{result.references}: {wording.REFERENCES[result.references]}"),
        (tell("text.policy"), f"{safe(view.policy)} ({view.policy_digest})"),
    ]


def _shown_to_all(view: AuditView) -> list[tuple[str, str]]:
    """The same without cohort, exposure and what could have been seen."""
    result, row = view.result, view.row
    return [
        (tell("text.model"), f"{safe(row.model)} ({view.model_digest})"),
        (tell("text.audit"), tell("text.audit_of", audit=row.audit_id, started=row.started_utc)),
        (tell("text.tier"), f"{result.tier.name}: {wording.TIER_PROVES[result.tier]}"),
        (tell("text.policy"), f"{safe(view.policy)} ({view.policy_digest})"),
    ]


def _part(head: str, lines: Sequence[str]) -> list[str]:
    return ["", head, *(f"  {line}" for line in lines)]


def _limits(view: AuditView) -> list[str]:
    """What the audit could not do, each with why and what would help."""
    lines = []
    for number, limit in enumerate(view.result.limits, start=1):
        lines.append(f"{number}. {safe(limit.what, 400)}")
        said = (tell("text.limit.why"), limit.why), (tell("text.limit.remedy"), limit.remedy)
        lines += [f"   {safe(f'{word}: {sentence}', 400)}" for word, sentence in said if sentence]
    return lines


def _detectors(view: AuditView, deciding: str, other: str) -> list[str]:
    """Those that were measured, and the one that decides in any case."""
    return [
        tell(
            deciding if one.decides else other,
            name=one.name,
            area=wording.area(one.target_auroc, one.target_auroc_ci),
        )
        for one in view.result.detectors
        if one.decides or one.target_auroc is not None
    ]


def _fact(name: str, value: str) -> str:
    return f"{name:{_WIDTH}}{value}"
