"""Whether a FHIR report is one of imaging: by its links, its category and codes, then by its words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from medio.errors import NotAReport
from medio.reports.fhir_resources import Resource, Resources, objects, text_at
from medio.reports.fhir_text import concept_text
from medio.reports.markup import markup_text

_IMAGING_CODES = frozenset(
    (
        *("RAD", "IMG", "CT", "NMR", "NMS", "RUS", "OUS", "VUS", "CUS", "XRC", "CTH", "MG", "MR", "XR", "US"),
        *("LP29684-5", "18748-4", "68604-8", "85430-7", "18782-3", "18726-0", "59776-5"),  # LOINC
        *("394914008", "363679005", "4201000179104", "371527006", "77477000", "113091000"),  # SNOMED CT
        *("16310003", "168537006", "71651007", "82918005", "373205008", "77343006"),
    )
)
_LAB_CODES = frozenset(
    (
        *(
            "LAB",
            "CH",
            "HM",
            "MB",
            "MCB",
            "MYC",
            "BLB",
            "IMM",
            "VR",
            "CP",
            "BG",
            "CG",
            "GE",
            "SP",
            "PAT",
            "TX",
        ),
        *("LP7839-6", "LP31448-1", "LP7819-8", "26436-6", "11502-2", "60567-5", "11526-1"),  # LOINC
        *("4241000179101", "15220000", "394595002", "371528001", "laboratory"),  # SNOMED CT, US Core
    )
)
_IMAGING_WORDS = re.compile(
    r"radiolog|radiogra|imaging|x-?ray|r[öo]e?ntgen|\bc\.?t\.?\b|tomogra|\bmri?\b|\bmrt\b|magnetic resonance|"
    r"ultraso|sonogra|echogra|doppler|mammo|\bdxa\b|\bdexa\b|densitometr|\bpet\b|scintigra|fluorosc|angiogra|"
    r"urogra|bildgebung|imagerie|imagen|radiodiag|nuclear medicine",
    re.IGNORECASE,
)
_LAB_WORDS = re.compile(
    r"cytolog|patholog|histolog|specimen|biops|\bculture\b|\bsmear\b|h(a)?ematolog|chemistry|microbiolog|"
    r"laborator|serolog|urinalysis|blood count|\bpanel\b|genetic|transfus",
    re.IGNORECASE,
)


def check_imaging(report: Resource, resources: Resources, text: str) -> None:
    """Pass an imaging report, and one that says nothing of its kind unless it looks like a laboratory's.

    Args:
        report: DiagnosticReport, Composition or DocumentReference.
        text: its words, as far as they are known.

    Raises:
        NotAReport: a laboratory's or pathologist's report, or one of another kind.
    """
    category = list(_codes(report.get("category")))
    if report.get("imagingStudy") or report.get("study"):
        return
    if _any(category, _LAB_CODES):
        raise NotAReport("lab-not-report", "a report of a laboratory")
    own = [*_codes(report.get("code")), *_codes(report.get("type"))]
    stated = " ".join([*map(concept_text, objects(report.get("category"))), *_names(report)])
    if names_imaging([*category, *own], stated):
        return
    whole = f"{stated} {markup_text(text_at(report, 'text', 'div'))} {text}"
    laboratory, imaging = (len(words.findall(whole)) for words in (_LAB_WORDS, _IMAGING_WORDS))
    if report.get("specimen") or laboratory > imaging:
        raise NotAReport("lab-not-report", "a report of a laboratory")
    if _measured(report, resources):
        raise NotAReport("lab-not-report", "numbers with units, and no words")
    if category or "section" in report or "content" in report:
        raise NotAReport("other-not-report", "a report of another kind than imaging")


def names_imaging(codes: Iterable[str], words: str) -> bool:
    """Whether a document's codes (LOINC, SNOMED CT, HL7 table 0074) or the words beside them say imaging."""
    return _any(codes, _IMAGING_CODES) or _IMAGING_WORDS.search(words) is not None


def _names(report: Resource) -> list[str]:
    return [concept_text(report.get("code")), concept_text(report.get("type")), text_at(report, "title")]


def _codes(concepts: object) -> Iterable[str]:
    for concept in objects(concepts):
        for coding in objects(concept.get("coding")):
            yield text_at(coding, "code")


def _any(codes: Iterable[str], known: frozenset[str]) -> bool:
    return any(code in known for code in codes)


def _measured(report: Resource, resources: Resources) -> bool:
    """Whether most of the results are numbers with units, as in HL7 v2."""
    found = [resources.resolve(report, one) for one in objects(report.get("result"))]
    parts = [part for one in found if one for part in (one, *objects(one.get("component")))]
    numbers = [part for part in parts if isinstance(part.get("valueQuantity"), dict)]
    return bool(numbers) and 2 * len(numbers) >= len(parts)
