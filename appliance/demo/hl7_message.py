"""HL7 v2.5.1 ORU^R01 messages for the demo: one OBX per question and answer."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.demo.people import ISSUER, Patient

CODE = "QA^Question and answer^99GRADAUDIT"
_ESCAPES = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}


def oru_r01(person: Patient, lines: Sequence[str]) -> bytes:
    """One final report as a message of CR-ended segments.

    The accession number stands in OBR-3 and OBR-18, the study's UID in ZDS-1 as IHE has it.
    """
    when = person.StudyDate + person.StudyTime
    accession = person.AccessionNumber
    obr = {1: "1", 2: accession, 3: f"{accession}^RIS", 4: f"IMG^{person.organ} imaging^99GRADAUDIT"}
    obr |= {7: when, 18: accession, 22: when, 25: "F"}
    segments = [
        f"MSH|^~\\&|DEMO-RIS|DEMO-HOSPITAL|GRADAUDIT|DEMO-HOSPITAL|{when}||ORU^R01^ORU_R01|M{accession}|P|2.5.1"
        "||||||ASCII",
        f"PID|1||{person.PatientID}^^^{ISSUER}^MR||{person.PatientName}||{person.PatientBirthDate}"
        f"|{person.PatientSex}",
        "OBR|" + "|".join(obr.get(i, "") for i in range(1, 26)),
    ]
    segments += [
        f"OBX|{number}|TX|{CODE}|{number}|{_escape(line)}||||||F|||{when}"
        for number, line in enumerate(lines, start=1)
    ]
    segments.append(f"ZDS|{person.uid('study')}^DEMO-RIS^Application^DICOM")
    return "".join(segment + "\r" for segment in segments).encode("ascii")


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(letter, letter) for letter in text)
