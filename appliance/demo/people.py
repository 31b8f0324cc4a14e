"""Made-up patients: names, numbers and dates drawn by hashing, the same on every machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta

RELEASE = "2025-06-01"  # of all demo models
_FIRST_STUDY = date(2021, 1, 4)
_LAST_BEFORE = date(2025, 5, 23)
_FIRST_AFTER = date(2025, 6, 9)
_LAST_AFTER = date(2025, 11, 21)

ISSUER = "GRADAUDIT-DEMO"
UID_ROOT = "2.25."

_FAMILY_HEAD = (
    *("Amber", "Birch", "Cedar", "Dawn", "Elder", "Fern", "Glen", "Hazel"),
    *("Juniper", "Larch", "Maple", "North", "Ochre", "Pine", "Quill", "Rowan"),
)
_FAMILY_TAIL = (
    *("brook", "combe", "croft", "dale", "field", "ford", "holt", "hurst"),
    *("lake", "mere", "ridge", "stead", "stone", "vale", "wick", "wood"),
)
_GIVEN = (
    *("Avelin", "Borin", "Calder", "Delphi", "Emeric", "Fenna", "Galen", "Hestia"),
    *("Ilan", "Jorun", "Kesia", "Linus", "Maren", "Nilo", "Orla", "Perrin"),
    *("Quinta", "Rafe", "Selin", "Tamsin", "Ulric", "Verena", "Wystan", "Xenia"),
)


@dataclass(frozen=True, slots=True)
class Patient:
    """One invented patient with one study. Field names are DICOM keywords where DICOM has one.

    Attributes:
        organ: CHEST, ABD or HEAD, as VQA-RAD says.
        report_format: "sr" or "hl7", by a coin that knows nothing of the role.
    """

    key: str
    organ: str
    PatientName: str
    PatientID: str
    PatientBirthDate: str
    PatientSex: str
    AccessionNumber: str
    StudyDate: str
    StudyTime: str
    report_format: str

    def uid(self, of: str) -> str:
        """A UID below 2.25 for one of this patient's objects."""
        return UID_ROOT + str(int.from_bytes(_hash(self.key, f"uid {of}")[:16], "big"))


def invent(key: str, organ: str, lot: str) -> Patient:
    """A patient for the picture called `key`.

    Everything is drawn from `key` alone, but for one thing: patients of the lot `post_release` were examined
    after the models' release, all others before it.
    """
    first, last = (_FIRST_AFTER, _LAST_AFTER) if lot == "post_release" else (_FIRST_STUDY, _LAST_BEFORE)
    study = first + timedelta(days=_draw(key, "study date", (last - first).days + 1))
    family = _FAMILY_HEAD[_draw(key, "head", 16)] + _FAMILY_TAIL[_draw(key, "tail", 16)]
    minute = 7 * 60 + _draw(key, "time", 11 * 60)
    return Patient(
        key=key,
        organ=organ,
        PatientName=f"{family}^{_GIVEN[_draw(key, 'given', len(_GIVEN))]}",
        PatientID=f"DEMO-{_draw(key, 'patient', 10**9):09d}",
        PatientBirthDate=f"{1940 + _draw(key, 'birth year', 65)}0{1 + _draw(key, 'birth month', 9)}15",
        PatientSex="FM"[_draw(key, "sex", 2)],
        AccessionNumber=accession_number(key),
        StudyDate=f"{study:%Y%m%d}",
        StudyTime=f"{minute // 60:02d}{minute % 60:02d}00",
        report_format=("sr", "hl7")[_draw(key, "format", 2)],
    )


def accession_number(key: str) -> str:
    """The accession number of the study of the picture called `key`."""
    return f"DA{_hash(key, 'accession').hex()[:10].upper()}"


def _hash(key: str, what: str) -> bytes:
    return hashlib.sha256(f"gradaudit demo|{key}|{what}".encode()).digest()


def _draw(key: str, what: str, below: int) -> int:
    return int.from_bytes(_hash(key, what)[:8], "big") % below
