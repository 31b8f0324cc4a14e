"""HL7 v2 ORU^R01 -> Reports. The `hl7` library does the grammar; this file knows what the fields mean.

Field numbers are those of HL7 2.5.1 chapters 4 and 7; ZDS-1 and OBX-3 113014 carry the study's UID (IHE RAD).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from medio.dicom import date_of, valid_uid, wall
from medio.errors import EmptyReport, MedioError, NotAReport, NotReadable, TextElsewhere
from medio.records import Report, ReportSource
from medio.reports.attachment import document_text, from_base64
from medio.reports.hl7_message import Message, Segment, parse, split
from medio.reports.hl7_people import identity, one_a_patient, patient_ids
from medio.reports.narrative import Item, lines, narrative, says_something

_ORDERS = ("ORM", "OMI", "OMG", "OML", "OMP", "OMS", "ORR", "ORL", "ORG", "ORI")
_TEXT = ("TX", "FT", "ST", "CE", "CWE", "CNE", "CF", "IS", "ID", "NM", "SN", "DT", "")
_PROSE = ("TX", "FT", "ST", "")
_NUMERIC = ("NM", "SN")
_VOID = ("D", "W", "X", "N")  # OBX-11: deleted, wrong, cannot be obtained, not asked
_STUDY_UID = "113014"  # DCM "DICOM Study"
_LAB_SECTIONS = ("LAB", "CH", "HM", "MB", "MCB", "MYC", "BLB", "IMM", "VR", "TX", "CP", "BG", "CG")
_IMAGING_SECTIONS = (
    *(
        "RAD",
        "CT",
        "MR",
        "MRI",
        "NMR",
        "NMS",
        "NM",
        "US",
        "RUS",
        "OUS",
        "VUS",
        "CUS",
        "XR",
        "XRC",
        "CR",
        "DX",
    ),
    *("MG", "XA", "RF", "PT", "IMG", "RT", "CTH"),
)
_MODALITIES = (  # DICOM codes that HL7 table 0074 does not use for something else
    *("CR", "CT", "DX", "ES", "IO", "MG", "MR", "NM", "OP", "OPT", "PX", "RF", "US", "XA", "XC"),
)
_STATUS = {
    "corrected": ("C", "CORRECTED", "CORR", "B", "ADDENDUM", "ADDENDED"),
    "final": ("F", "FINAL", "U"),
    "preliminary": ("P", "PRELIM", "PRELIMINARY", "WET READ", "R", "S", "I", "A"),
}


@dataclass(slots=True)
class _Group:
    """One OBR with what belongs to it: OBX, and the NTE after OBR or OBX."""

    order: Segment | None
    request: Segment
    lines: list[Segment] = field(default_factory=list)

    @property
    def results(self) -> list[Segment]:
        """OBX alone."""
        return [line for line in self.lines if line.name == "OBX"]


def read_hl7(data: bytes) -> tuple[tuple[Report, ...], tuple[str, ...]]:
    """Read every message of a file: one message, several, a batch, MLLP frames, or a listener's log.

    Returns:
        The reports, and the reason code of each message that gave none.

    Raises:
        NotReadable: not HL7 v2, or damaged.
        NothingToUse, NotSupported: valid, but no message carries report text: the first reason.
    """
    reports: list[Report] = []
    refused: list[MedioError] = []
    texts, charset = split(data)
    for text in texts:
        for message in _parsed(text, charset, refused):
            try:
                reports.extend(_reports(message))
            except MedioError as error:
                refused.append(error)
    if not reports:
        raise refused[0] if refused else NotReadable("hl7-no-msh", "no message header")
    return tuple(reports), tuple(error.reason for error in refused)


def _parsed(text: str, charset: str, refused: list[MedioError]) -> tuple[Message, ...]:
    try:
        return one_a_patient(parse(text, charset))
    except MedioError as error:
        refused.append(error)
        return ()


def _reports(message: Message) -> list[Report]:
    kind = message.kind
    if kind != "ORU":
        if kind in _ORDERS:
            raise NotAReport("order-not-report", f"an order message ({kind})")
        raise NotAReport("admin-not-report", "a message without results")
    groups = list(_groups(message))
    if not groups:
        raise NotReadable("hl7-no-obr", "a result message without an OBR segment")
    study = _study_uid(message)
    if _is_lab(message, groups, imaging=bool(study)):
        raise NotAReport("lab-not-report", "laboratory results")
    found = [report for report in _read(message, groups, study) if report is not None]
    if found:
        return found
    if any(result.value_type == "RP" for group in groups for result in group.results):
        raise TextElsewhere("text-elsewhere", "the report is kept at an address")
    if any(_withdrawn(group) for group in groups):
        raise NotAReport("report-withdrawn", "the results were withdrawn or never came")
    raise EmptyReport("empty-report", "a report message without words")


def _withdrawn(group: _Group) -> bool:
    void = [result.component(11) in _VOID for result in group.results]
    return group.request.component(25).upper() == "X" or (bool(void) and all(void))


def _groups(message: Message) -> Iterator[_Group]:
    order: Segment | None = None
    group: _Group | None = None
    for segment in message.segments:
        if segment.name == "ORC":
            order = segment
        elif segment.name == "OBR":
            if group is not None:
                yield group
            group, order = _Group(order, segment), None
        elif group is not None and segment.name in ("OBX", "NTE"):
            group.lines.append(segment)
    if group is not None:
        yield group


def _merged(groups: Sequence[_Group]) -> list[_Group]:
    """Groups of one accession number are one report (an addendum comes as a further OBR)."""
    by_accession: dict[str, _Group] = {}
    for group in groups:
        key = _accessions(group)[0] or next(iter(by_accession), "")
        first = by_accession.setdefault(key, group)
        if first is not group:
            first.lines.extend(group.lines)
    return list(by_accession.values())


def _read(message: Message, groups: Sequence[_Group], study: str) -> Iterator[Report | None]:
    ids, issuer = patient_ids(message)
    named = identity(message)
    for number, group in enumerate(_merged(groups)):
        text = _text(group)
        if not text:
            yield None
            continue
        accession, *others = _accessions(group)
        yield Report(
            content_digest=hashlib.sha256(f"{message.text}#{number}".encode()).hexdigest(),
            source=ReportSource.HL7V2,
            PatientID=ids[0],
            IssuerOfPatientID=issuer,
            StudyInstanceUID=study or _result_study(group.results),
            AccessionNumber=accession,
            StudyDate=date_of(group.request.component(7)),
            text=text,
            status=_report_status(group),
            issued=_digits(group.request.component(22) or message.header.component(7)),
            OtherPatientIDs=tuple(ids[1:]),
            other_accessions=tuple(others),
            PlacerOrderNumber=_number(group, 2),
            FillerOrderNumber=_number(group, 3),
            identity=tuple(dict.fromkeys(filter(None, (*named, accession)))),
            Modality=_modality(group),
        )


def _text(group: _Group) -> str:
    """The words of the results; of an embedded document where there are no others. Empty when none.

    Many senders put the same report in one message twice, as text and as a picture of the page.
    """
    text = narrative(lines(list(_items(group))))
    if says_something(text):
        return text
    refused: list[MedioError] = []
    for result in group.results:
        if result.value_type == "ED" and result.component(11) not in _VOID:
            try:
                return _embedded(result)
            except MedioError as error:
                refused.append(error)
    if refused:
        raise refused[0]
    return ""


def _embedded(result: Segment) -> str:
    """OBX-5 of type ED: source, type, subtype, encoding, data; some senders leave the first parts out."""
    parts = [result.component(5, number) for number in range(1, result.components(5) + 1)]
    encodings = [number for number, part in enumerate(parts) if part.upper() in ("BASE64", "HEX")]
    sent = parts[encodings[0] + 1] if encodings and encodings[0] + 1 < len(parts) else parts[-1]
    if encodings and parts[encodings[0]].upper() == "HEX":
        with wall("attachment-damaged"):
            data = bytes.fromhex(sent)
    else:
        plain = len(parts) > 3 and parts[3].upper() == "A"
        data = sent.encode() if plain else from_base64(sent)
    return document_text(data, "/".join(parts[1:3]))


def _items(group: _Group) -> Iterator[Item]:
    """OBX values as items. A code or number with OBX-3 and OBX-4 of the one before continues it, unnamed."""
    before, last = ("", ""), ""
    for result in group.lines:
        if result.name == "NTE":
            yield Item(last, result.text(3))
            continue
        identifier, value_type = result.component(3), result.value_type
        if identifier == _STUDY_UID or result.component(11) in _VOID or value_type not in _TEXT:
            continue
        if identifier and not result.component(3, 2) and "UID" in identifier.upper():
            continue
        name = result.component(3, 2)
        key = (result.raw(3), result.raw(4))
        prose = value_type in _PROSE
        continued = key == before and bool(key[1]) and not prose
        named = name != group.request.component(4, 2) and not continued
        before = key
        value = _value(result, value_type)
        if valid_uid(value) and value.count(".") >= 3:
            continue  # series and object UIDs beside the text
        last = name if named and prose else ""
        yield Item(name if named else "", value, prose)


def _value(result: Segment, value_type: str) -> str:
    if value_type in ("CE", "CWE", "CNE", "CF"):
        return "\n".join(
            result.component(5, 2, repetition) or result.component(5, 1, repetition)
            for repetition in range(result.repetitions(5))
        )
    if value_type in _NUMERIC:
        number = " ".join(result.text(5).replace("^", " ").split())
        return f"{number} {result.component(6)}".strip()
    return result.text(5)


def _is_lab(message: Message, groups: Sequence[_Group], *, imaging: bool) -> bool:
    """Laboratory evidence without any sign of imaging: specimen, section, or numbers with units or ranges."""
    sections = {group.request.component(24).upper() for group in groups}
    if imaging or sections & set(_IMAGING_SECTIONS):
        return False
    if sections & set(_LAB_SECTIONS) or any(segment.name == "SPM" for segment in message.segments):
        return True
    results = [result for group in groups for result in group.results]
    measured = [r for r in results if r.value_type in _NUMERIC and (r.component(6) or r.component(7))]
    return bool(measured) and 2 * len(measured) >= len(results)


def _accessions(group: _Group) -> list[str]:
    """Candidates, strongest first. OBR-18 and OBR-20 are free fields at many sites: they need a digit."""
    placer_1, filler_1 = group.request.component(18), group.request.component(20)
    candidates = [
        placer_1 if _handle(placer_1) else "",
        group.request.component(3),
        group.order.component(3) if group.order else "",
        filler_1 if _handle(filler_1) else "",
    ]
    return list(dict.fromkeys(found for found in candidates if found)) or [""]


def _number(group: _Group, field: int) -> str:
    """Placer (2) or filler (3) order number, of OBR or else of ORC."""
    return group.request.component(field) or (group.order.component(field) if group.order else "")


def _modality(group: _Group) -> str:
    stated = group.request.component(24).upper()
    return stated if stated in _MODALITIES else ""


def _handle(text: str) -> bool:
    return len(text) <= 64 and any(letter.isdigit() for letter in text)


def _study_uid(message: Message) -> str:
    for segment in message.segments:
        if segment.name == "ZDS" and valid_uid(segment.component(1)):
            return segment.component(1)
        if segment.name == "IPC" and valid_uid(segment.component(3)):
            return segment.component(3)
    return _result_study([segment for segment in message.segments if segment.name == "OBX"])


def _result_study(results: Sequence[Segment]) -> str:
    found = {valid_uid(result.component(5)) for result in results if result.component(3) == _STUDY_UID} - {""}
    return found.pop() if len(found) == 1 else ""  # two studies in one message: no guess


def _report_status(group: _Group) -> str:
    stated = [_word(group.request.component(25)), *(_word(result.component(11)) for result in group.results)]
    if "corrected" in stated:
        return "corrected"
    if stated[0] != "unknown":
        return stated[0]
    return next((word for word in ("preliminary", "final") if word in stated), "unknown")


def _word(code: str) -> str:
    return next((word for word, codes in _STATUS.items() if code.upper() in codes), "unknown")


def _digits(text: str) -> str:
    match = re.match(r"\d{8,14}", text)
    return match.group() if match else ""
