"""The words of a FHIR report, wherever its sender put them. Fields and their order: docs/reports.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from medio.errors import MedioError
from medio.reports.attachment import document_text, from_base64
from medio.reports.fhir_resources import Resource, Resources, items, kind_of, objects, text_at
from medio.reports.markup import markup_text
from medio.reports.narrative import Item, lines, narrative, says_something

MAX_DEPTH = 16  # of sections in sections, and of members of observations
MAX_ITEMS = 20_000
_VOID = ("entered-in-error", "cancelled")
_PLAIN_FIRST = ("text/plain", "text/html")


@dataclass(slots=True)
class Words:
    """What was found, and what stood in the way.

    Attributes:
        text: ready for an audit; empty when there are no words in this file.
        refused: attachments that gave none, each with its reason.
        elsewhere: something named by the report is not in this file.
    """

    text: str = ""
    refused: list[MedioError] = field(default_factory=list)
    elsewhere: bool = False


def concept_text(concept: object) -> str:
    """A CodeableConcept or Coding in words: its text, else the first display."""
    for one in objects(concept):
        shown = text_at(one, "text") or text_at(one, "display")
        found = shown or next((d for c in objects(one.get("coding")) if (d := text_at(c, "display"))), "")
        if found:
            return found
    return ""


def report_words(report: Resource, resources: Resources) -> Words:
    """The words of a DiagnosticReport.

    The attached form, else results and conclusion, else the narrative, else the coded conclusion.
    """
    words = Words()
    form = _attached(report.get("presentedForm"), words)
    conclusion = text_at(report, "conclusion")
    if form:
        added = [] if _within(conclusion, form) else [conclusion]
        words.text = narrative([form, *added])
        return words
    found = [
        *_results(report, "result", resources, words),
        *(Item("", text_at(note, "text")) for note in objects(report.get("note"))),
        Item("", conclusion),
    ]
    spoken = _joined(found)
    coded = (
        concept_text(code)
        for code in [*items(report.get("conclusionCode")), *items(report.get("codedDiagnosis"))]
    )
    words.text = spoken or _narrative_of(report) or narrative(coded)
    return words


def composition_words(composition: Resource, resources: Resources) -> Words:
    """The words of a Composition: its sections in order, with their titles."""
    words = Words()
    words.text = _joined(list(_sections(composition, composition, resources, words, 0)))
    return words


def document_words(document: Resource) -> Words:
    """The words of a DocumentReference: the first attachment that has any."""
    words = Words()
    attached = [one.get("attachment") for one in objects(document.get("content"))]
    words.text = narrative([_attached(attached, words)])
    return words


def _joined(found: list[Item]) -> str:
    text = narrative(lines(found))
    return text if says_something(text) else ""


def _within(part: str, whole: str) -> bool:
    return "".join(part.split()).lower() in "".join(whole.split()).lower()


def _attached(attachments: object, words: Words) -> str:
    """The first attachment with words, plain text before HTML before others: they are one report's forms."""
    found = objects(attachments)
    kinds = [text_at(one, "contentType").partition(";")[0].lower() for one in found]
    rank = [_PLAIN_FIRST.index(kind) if kind in _PLAIN_FIRST else len(_PLAIN_FIRST) for kind in kinds]
    for _, kind, attachment in sorted(zip(rank, kinds, found, strict=True), key=lambda one: one[0]):
        data = text_at(attachment, "data")
        if not data:
            words.elsewhere = words.elsewhere or bool(text_at(attachment, "url"))
            continue
        try:
            return document_text(from_base64(data), kind)
        except MedioError as error:
            words.refused.append(error)
    return ""


def _narrative_of(resource: Resource) -> str:
    text = narrative([markup_text(text_at(resource, "text", "div"))])
    return text if says_something(text) else ""


def _sections(
    owner: Resource, parent: Resource, resources: Resources, words: Words, depth: int
) -> Iterator[Item]:
    if depth > MAX_DEPTH:
        return
    for section in objects(parent.get("section")):
        title, said = text_at(section, "title"), _narrative_of(section)
        if said and said.lower() != title.lower():
            yield Item(title, said)
        else:
            yield from _results(owner, "entry", resources, words, section, title)
        yield from _sections(owner, section, resources, words, depth + 1)


def _results(
    owner: Resource,
    name: str,
    resources: Resources,
    words: Words,
    holder: Resource | None = None,
    title: str = "",
) -> Iterator[Item]:
    """Observations named in an element of `holder`, with their members, each once."""
    waiting = [(reference, 0) for reference in reversed(objects((holder or owner).get(name)))]
    seen: set[int] = set()
    while waiting and len(seen) < MAX_ITEMS:
        reference, depth = waiting.pop()
        found = resources.resolve(owner, reference)
        if found is None:
            words.elsewhere = True
        elif id(found) not in seen and kind_of(found) == "Observation":
            seen.add(id(found))
            if text_at(found, "status") not in _VOID:
                yield from _observed(found, title)
            if depth < MAX_DEPTH:
                members = [*objects(found.get("hasMember")), *_related(found)]
                waiting.extend((member, depth + 1) for member in reversed(members))


def _related(observation: Resource) -> list[Resource]:
    """STU3 `related` with type has-member."""
    return [
        target
        for one in objects(observation.get("related"))
        if text_at(one, "type") == "has-member"
        for target in objects(one.get("target"))
    ]


def _observed(observation: Resource, title: str) -> Iterator[Item]:
    for part in (observation, *objects(observation.get("component"))):
        prose = isinstance(part.get("valueString"), str)
        name = concept_text(part.get("code"))
        yield Item((title or name) if prose else name, _value(part), prose)
    notes = [*objects(observation.get("note")), {"text": observation.get("comment")}]  # comment: STU3
    yield from (Item(title, text_at(note, "text")) for note in notes)


def _value(part: Resource) -> str:
    """`value[x]` in words; attachments, samples and periods say nothing here."""
    quantity = part.get("valueQuantity")
    if isinstance(quantity, dict):
        number = f"{text_at(quantity, 'comparator')}{text_at(quantity, 'value')}"
        return f"{number} {text_at(quantity, 'unit') or text_at(quantity, 'code')}".strip() if number else ""
    if "valueCodeableConcept" in part:
        return concept_text(part.get("valueCodeableConcept"))
    if isinstance(part.get("valueBoolean"), bool):
        return "yes" if part["valueBoolean"] else "no"
    return next(
        (
            found
            for kind in ("String", "Integer", "DateTime", "Time")
            if (found := text_at(part, f"value{kind}"))
        ),
        "",
    )
