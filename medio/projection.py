"""The DICOM attributes that may leave the vault, and in which form (an allow-list; everything else stays).

Audits need exact text and pixels, so identity is not removed from what is stored: it is projected away where
something goes out, to the worker's blind baseline and into evidence packs. An attribute on the list does not
carry free text: a value that is not of the expected form is left out, for a header may hold anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

Value = str | float

UNKNOWN: Final = "unknown"
OTHER: Final = "other"
_CODE: Final = re.compile(r"[A-Za-z0-9_ ]{1,16}")  # CS, PS3.5 §6.2, which many write in small letters
_PRODUCT: Final = re.compile(r"[^\x00-\x1f\x7f^=]{1,64}")  # LO; `^` and `=` belong to names of persons
_STANDARD_UID: Final = re.compile(r"1\.2\.840\.10008(?:\.(?:0|[1-9]\d*)){1,16}")  # classes and syntaxes only
_LARGEST: Final = 1e12

TECHNICAL: Final = (  # what tells scanners and their settings apart, for the blind baseline
    "Manufacturer",
    "ManufacturerModelName",
    "Rows",
    "Columns",
    "BitsStored",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "KVP",
    "SliceThickness",
    "MagneticFieldStrength",
    "ViewPosition",
    "LossyImageCompression",
    "ConversionType",
)
_FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    **dict.fromkeys(TECHNICAL, _CODE),
    **dict.fromkeys(("Manufacturer", "ManufacturerModelName"), _PRODUCT),
    **dict.fromkeys(("Modality", "BodyPartExamined", "Year"), _CODE),
    **dict.fromkeys(("SOPClassUID", "TransferSyntaxUID"), _STANDARD_UID),
    "NumberOfFrames": re.compile(r"\d{1,9}"),
}
ALLOWED: Final = frozenset(_FORMS)
_MODALITIES: Final = frozenset(  # PS3.3 C.7.3.1.1.1 and names that are no longer defined but in use
    (
        *("AR", "ASMT", "AU", "BDUS", "BI", "BMD", "CD", "CF", "CP", "CR", "CS", "CT", "CT/MR", "CTPROTOCOL"),
        *("DD", "DF", "DG", "DM", "DMS", "DOC", "DS", "DX", "EC", "ECG", "EEG", "EMG", "EOG", "EPS", "ES"),
        *("FA", "FID", "FS", "GM", "HC", "HD", "IO", "IOL", "IVOCT", "IVUS", "KER", "KO", "LEN", "LP", "LS"),
        *("M3D", "MA", "MG", "MR", "MS", "NM", "OAM", "OCT", "OP", "OPM", "OPR", "OPT", "OPTBSV", "OPTENF"),
        *("OPV", "OSS", "OT", "PA", "PLAN", "POS", "PR", "PT", "PX", "REG", "RESP", "RF", "RG", "RTDOSE"),
        *("RTIMAGE", "RTINTENT", "RTPLAN", "RTRAD", "RTRECORD", "RTSEGANN", "RTSTRUCT", "RWV", "SC", "SEG"),
        *("SM", "SMR", "SR", "SRF", "ST", "STAIN", "TEXTUREMAP", "TG", "US", "VA", "VF", "XA", "XC", "XR"),
    )
)


def projected(facts: Mapping[str, Value]) -> dict[str, Value]:
    """Those of the facts that may leave, by DICOM keyword (and `Year`, that of the study).

    Numbers pass when finite and below 10¹²; text passes in the form that its attribute has.
    """
    return {
        keyword: value for keyword, value in facts.items() if keyword in ALLOWED and _has_form(keyword, value)
    }


def modality(value: str) -> str:
    """A modality to count by: a term of the standard, else `other`; `unknown` where there is none."""
    return value if value in _MODALITIES else OTHER if value else UNKNOWN


def year(date: str) -> str:
    """The year of a DICOM DA; empty when it is none."""
    return date[:4] if re.fullmatch(r"(?:19|20)\d\d", date[:4]) else ""


def _has_form(keyword: str, value: Value) -> bool:
    if isinstance(value, str):
        return bool(_FORMS[keyword].fullmatch(value)) and (keyword != "Modality" or value in _MODALITIES)
    return math.isfinite(value) and abs(value) < _LARGEST
