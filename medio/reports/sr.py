"""DICOM structured report -> Report: the content tree in order (PS3.3 A.35, C.17.3), values with names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from medio.dicom import DicomFile, text_of, uid_of, wall
from medio.errors import NothingToUse, NotReadable
from medio.records import Report, ReportSource
from medio.reports.narrative import Item, lines, narrative, says_something

MAX_DEPTH = 64
MAX_ITEMS = 20_000
_CONTEXT = (
    "HAS OBS CONTEXT",
    "HAS CONCEPT MOD",
    "HAS ACQ CONTEXT",
)  # who, in which language: not what was seen


@dataclass(frozen=True, slots=True)
class _Node:
    """One item of the tree that says something, and the heading of the section it stands in."""

    item: Item
    section: str


def read_sr(file: DicomFile) -> Report:
    """Read the text of a structured report.

    TEXT, CODE and NUM items become lines; containers are walked; observation context is left out.

    Raises:
        NotReadable: the tree is damaged, too deep or too large.
        NothingToUse: a valid report without any text item that says something.
    """
    dataset, instance = file.dataset, file.instance
    with wall("bad-content-tree"):
        found = _headed(list(_nodes(dataset)))
        requested = requests(dataset)
    text = narrative(lines(found))
    if not any(one.prose and says_something(one.value) for one in found):
        raise NothingToUse("no-report-text", "a structured report without text")
    return Report(
        content_digest=instance.content_digest,
        source=ReportSource.SR,
        PatientID=instance.PatientID,
        IssuerOfPatientID=instance.IssuerOfPatientID,
        StudyInstanceUID=_described_study(dataset) or instance.StudyInstanceUID,
        AccessionNumber=instance.AccessionNumber or requested.AccessionNumber,
        StudyDate=instance.StudyDate,
        text=text,
        status=_status(dataset),
        issued=issued_of(dataset),
        PlacerOrderNumber=instance.PlacerOrderNumber or requested.PlacerOrderNumber,
        FillerOrderNumber=instance.FillerOrderNumber or requested.FillerOrderNumber,
        identity=instance.identity,
    )


def _nodes(root: Any) -> Iterator[_Node]:
    """Items in document order; an explicit stack, since trees come from strangers."""
    stack = [(child, 1, "") for child in reversed(root.get("ContentSequence") or [])]
    seen = 0
    while stack:
        node, depth, section = stack.pop()
        seen += 1
        if depth > MAX_DEPTH or seen > MAX_ITEMS:
            raise NotReadable("nesting", "the content tree is too deep or too large")
        if text_of(node, "RelationshipType") in _CONTEXT:
            continue
        kind = text_of(node, "ValueType")
        name, value = _meaning(node.get("ConceptNameCodeSequence")), _value(node, kind)
        if value:
            yield _Node(Item(name, value, prose=kind == "TEXT"), section)
        inside = name or section if kind == "CONTAINER" else section
        stack.extend((child, depth + 1, inside) for child in reversed(node.get("ContentSequence") or []))


def _headed(nodes: list[_Node]) -> list[Item]:
    """Items under the heading of their section, where all prose has one name and the sections tell it apart.

    Some systems call every paragraph `Text`, and say only in the container that it is a finding.
    """
    prose = [node for node in nodes if node.item.prose]
    if len({node.item.name.lower() for node in prose}) != 1 or len({node.section for node in prose}) < 2:
        return [node.item for node in nodes]
    return [
        replace(node.item, name=node.section or node.item.name) if node.item.prose else node.item
        for node in nodes
    ]


@dataclass(frozen=True, slots=True)
class Requests:
    """Numbers of the request a document answers (0040,A370); empty when several disagree."""

    AccessionNumber: str
    PlacerOrderNumber: str
    FillerOrderNumber: str


def requests(dataset: Any) -> Requests:
    """Read the Referenced Request Sequence of an SR document (PS3.3 C.17.2)."""
    asked = list(dataset.get("ReferencedRequestSequence") or [])
    return Requests(
        _only(text_of(one, "AccessionNumber") for one in asked),
        _only(text_of(one, "PlacerOrderNumberImagingServiceRequest") for one in asked),
        _only(text_of(one, "FillerOrderNumberImagingServiceRequest") for one in asked),
    )


def _described_study(dataset: Any) -> str:
    """The study a report was written on when that is one, and not the one the report is filed in."""
    evidence = [
        *(dataset.get("CurrentRequestedProcedureEvidenceSequence") or []),
        *(dataset.get("ReferencedRequestSequence") or []),
    ]
    studies = {uid_of(one, "StudyInstanceUID") for one in evidence} - {""}
    return studies.pop() if len(studies) == 1 else ""


def _only(values: Iterable[str]) -> str:
    found = set(values) - {""}
    return found.pop() if len(found) == 1 else ""


def _value(node: Any, kind: str) -> str:
    if kind == "TEXT":
        return str(node.get("TextValue") or "")
    if kind == "CODE":
        return _meaning(node.get("ConceptCodeSequence"))
    if kind == "NUM":
        measured = (node.get("MeasuredValueSequence") or [None])[0]
        if measured is None:
            return ""
        unit = (measured.get("MeasurementUnitsCodeSequence") or [{}])[0].get("CodeValue") or ""
        number = str(measured.get("NumericValue") or "")
        return f"{number} {unit}".strip() if unit not in ("1", "{count}") else number
    return ""


def _meaning(sequence: Any) -> str:
    return str(sequence[0].get("CodeMeaning") or "") if sequence else ""


def _status(dataset: Any) -> str:
    """PS3.3 C.17.2: a document that replaces another is a correction."""
    if dataset.get("PredecessorDocumentsSequence"):
        return "corrected"
    preliminary = text_of(dataset, "PreliminaryFlag") == "PRELIMINARY"
    if preliminary or text_of(dataset, "CompletionFlag") == "PARTIAL":
        return "preliminary"
    return "final" if text_of(dataset, "CompletionFlag") == "COMPLETE" else "unknown"


def issued_of(dataset: Any) -> str:
    """Content date and time as `YYYYMMDDHHMMSS` or less."""
    time = text_of(dataset, "ContentTime").split(".")[0]
    digits = text_of(dataset, "ContentDate") + time
    return digits[:14] if digits.isdecimal() else ""
