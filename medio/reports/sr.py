"""DICOM structured report -> Report: the content tree in order (PS3.3 A.35, C.17.3), values with names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medio.dicom import DicomFile, text_of, wall
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


def read_sr(file: DicomFile) -> Report:
    """Read the text of a structured report.

    TEXT, CODE and NUM items become lines; containers are walked; observation context is left out.

    Raises:
        NotReadable: the tree is damaged, too deep or too large.
        NothingToUse: a valid report without any text item that says something.
    """
    dataset, instance = file.dataset, file.instance
    with wall("bad-content-tree"):
        found = list(_items(dataset))
    text = narrative(lines(found))
    if not any(one.prose and says_something(one.value) for one in found):
        raise NothingToUse("no-report-text", "a structured report without text")
    return Report(
        content_digest=instance.content_digest,
        source=ReportSource.SR,
        PatientID=instance.PatientID,
        IssuerOfPatientID=instance.IssuerOfPatientID,
        StudyInstanceUID=instance.StudyInstanceUID,
        AccessionNumber=instance.AccessionNumber,
        StudyDate=instance.StudyDate,
        text=text,
        status=_status(dataset),
        issued=_issued(dataset),
    )


def _items(root: Any) -> Iterator[Item]:
    """Items in document order; an explicit stack, since trees come from strangers."""
    stack = [(child, 1) for child in reversed(root.get("ContentSequence") or [])]
    seen = 0
    while stack:
        node, depth = stack.pop()
        seen += 1
        if depth > MAX_DEPTH or seen > MAX_ITEMS:
            raise NotReadable("nesting", "the content tree is too deep or too large")
        if text_of(node, "RelationshipType") in _CONTEXT:
            continue
        kind = text_of(node, "ValueType")
        value = _value(node, kind)
        if value:
            yield Item(_meaning(node.get("ConceptNameCodeSequence")), value, prose=kind == "TEXT")
        stack.extend((child, depth + 1) for child in reversed(node.get("ContentSequence") or []))


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


def _issued(dataset: Any) -> str:
    time = text_of(dataset, "ContentTime").split(".")[0]
    digits = text_of(dataset, "ContentDate") + time
    return digits[:14] if digits.isdecimal() else ""
