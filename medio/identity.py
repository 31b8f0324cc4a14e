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

MAX_VALUES = 128  # an object that names more is not an image of one patient
MAX_CHARACTERS = 256  # of one value; LO allows 64, UT addresses are longer
_MAX_ELEMENTS = 4000  # walked in all
_MAX_DEPTH = 8
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
        Distinct values as the header has them (`Doe^John`, `19701231`), at most `MAX_VALUES`, in the order of
        the header. What cannot be decoded is left out.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # texts of pydicom's warnings quote element values
        found: dict[str, None] = {}
        for value in _Walk().values(dataset, 0, frozenset()):
            found[value] = None
            if len(found) == MAX_VALUES:
                break
    return tuple(found)


class _Walk:
    """One pass over a dataset, with a budget of elements."""

    def __init__(self) -> None:
        self._left = _MAX_ELEMENTS

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
                if depth < _MAX_DEPTH:
                    inside = _CODE if tag in _NAMED_BY_CODE else frozenset()
                    for item in _value(dataset, tag) or ():
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
        if 1 < len(text) <= MAX_CHARACTERS:
            yield text
