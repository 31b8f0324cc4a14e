"""The header values of a DICOM object that name a person, a place or an event.

Previews are masked by them and exports are searched for them. Which attributes these are follows PS3.15
Table E.1-1: all person names and dates, and the identifiers, addresses and institutions listed below.
UIDs are handles of their own (`Instance` has them) and are not repeated here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from pydicom.datadict import DicomDictionary, tag_for_keyword
from pydicom.multival import MultiValue

from medio.elements import plain_text
from medio.errors import NotReadable

MAX_VALUES = 128  # an object that names more is not an image of one patient
MAX_CHARACTERS = 256  # of one value; LO allows 64, an address in ST more
_MAX_ELEMENTS = 4000  # walked in all, at ingest
_MAX_DEPTH = 8
_THOROUGH_VALUES, _THOROUGH_ELEMENTS, _THOROUGH_DEPTH = 4096, 1_000_000, 32  # for an export
_VRS = frozenset({"PN", "DA", "DT"})
_KEYWORDS = (
    *("PatientID", "IssuerOfPatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "AdmissionID"),
    *("PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"),
    *("PlacerOrderNumberImagingServiceRequestRetired", "FillerOrderNumberImagingServiceRequestRetired"),
    *("PlacerOrderNumberProcedure", "FillerOrderNumberProcedure", "ServiceEpisodeID"),
    *("RequestedProcedureID", "ScheduledProcedureStepID", "PerformedProcedureStepID"),
    *("MedicalRecordLocator", "InsurancePlanIdentification"),
    *("ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID", "ClinicalTrialSiteID"),
    *("ClinicalTrialSiteName", "ClinicalTrialSponsorName", "ClinicalTrialProtocolID"),
    *("PatientBirthDateInAlternativeCalendar", "PatientDeathDateInAlternativeCalendar"),
    *("PatientAddress", "PatientTelephoneNumbers", "PatientTelecomInformation", "RegionOfResidence"),
    *("PatientInstitutionResidence", "CurrentPatientLocation", "ScheduledPatientInstitutionResidence"),
    *("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName"),
    *("ReferringPhysicianAddress", "ReferringPhysicianTelephoneNumbers", "PersonAddress"),
    *("PersonTelephoneNumbers", "PersonTelecomInformation", "OrderCallbackPhoneNumber"),
    *("RequestingService", "VerifyingOrganization"),
    *("LocalNamespaceEntityID", "UniversalEntityID", "DeviceSerialNumber", "PerformedStationAETitle"),
    *("PerformedStationName", "ScheduledStationName", "PerformedLocation"),
    *("ScheduledProcedureStepLocation", "RetrieveAETitle"),
)
# Coded names: the code inside these says who or where.
_CODED = ("PersonIdentificationCodeSequence", "InstitutionCodeSequence")
_CODE = frozenset(map(tag_for_keyword, ("CodeValue", "CodeMeaning", "LongCodeValue", "URNCodeValue")))
_PER_FRAME = tag_for_keyword("PerFrameFunctionalGroupsSequence")  # thousands of items, and they name nobody
_PRIVATE = 1 << 16  # groups of odd number
_NAMED = frozenset(map(tag_for_keyword, _KEYWORDS))
_NAMED_BY_CODE = frozenset(map(tag_for_keyword, _CODED))


def identity_values(dataset: Any) -> tuple[str, ...]:
    """Values of a DICOM dataset that name somebody, some place or some day, nested ones among them.

    Args:
        dataset: a pydicom dataset, parsed and not yet trusted.

    Returns:
        Distinct values as the header has them (`Doe^John`, `19701231`), at most `MAX_VALUES` and each of at
        most `MAX_CHARACTERS`, in the order of the header. What cannot be decoded is left out.
    """
    return _found(_Walk(_MAX_ELEMENTS, _MAX_DEPTH, frozenset({_PER_FRAME})), dataset, MAX_VALUES)


def all_identity_values(dataset: Any) -> tuple[str, ...]:
    """The same without regard to cost: for an export, where a value that is left out is not searched for.

    Raises:
        NotReadable: the object holds more than can be searched for.
    """
    walk = _Walk(_THOROUGH_ELEMENTS, _THOROUGH_DEPTH, frozenset())
    found = _found(walk, dataset, _THOROUGH_VALUES)
    if walk.is_cut or len(found) == _THOROUGH_VALUES:
        raise NotReadable("too-many-elements", "the object names more than can be searched for")
    return found


def _found(walk: _Walk, dataset: Any, most: int) -> tuple[str, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # texts of pydicom's warnings quote element values
        found: dict[str, None] = {}
        for value in walk.values(dataset, 0, frozenset()):
            found[value] = None
            if len(found) == most:
                break
    return tuple(found)


class _Walk:
    """One pass over a dataset, with a budget of elements.

    Attributes:
        is_cut: something was not looked at.
    """

    def __init__(self, elements: int, depth: int, skipped: frozenset[int | None]) -> None:
        self._left, self._depth, self._skipped = elements, depth, skipped
        self.is_cut = False

    def values(self, dataset: Any, depth: int, also: frozenset[int | None]) -> Iterator[str]:
        """Values of one level and of what is nested in it; `also` are tags that name here."""
        for element in list(dataset.values()):
            self._left -= 1
            if self._left < 0:
                return
            tag = element.tag
            if tag & _PRIVATE or tag == _PER_FRAME:
                continue
            vr = element.VR
            if vr is None or vr == "UN":
                vr = DicomDictionary.get(tag, ("UN",))[0]
            if vr == "SQ":
                inside = _CODE if tag in _NAMED_BY_CODE else frozenset()
                items = _value(dataset, tag) or ()
                self.is_cut |= bool(items) and depth >= self._depth
                for item in items if depth < self._depth else ():
                    yield from self.values(item, depth + 1, inside)
            elif vr in _VRS or tag in _NAMED or tag in also:
                plain = plain_text(element)
                yield from _texts(_value(dataset, tag) if plain is None else plain.split("\\"))


def _value(dataset: Any, tag: Any) -> Any:
    try:
        return dataset[tag].value
    except Exception:  # noqa: BLE001 - converting a damaged value may raise anything; it is then left out
        return None


def _texts(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, MultiValue | list | tuple) else (value,):
        text = "" if one is None else str(one).strip("\0 \t\r\n^=")
        if len(text) > 1:
            yield text[:MAX_CHARACTERS]
