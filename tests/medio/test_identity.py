"""Which header values name somebody, some place or some day."""

from __future__ import annotations

import io
from time import perf_counter

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from medio.errors import NotReadable
from medio.identity import MAX_CHARACTERS, MAX_VALUES, all_identity_values, identity_values
from tests.medio.objects import code, part10
from tests.medio.objects import dataset as ct_dataset


def _read(dataset: FileDataset) -> Dataset:
    return dcmread(io.BytesIO(part10(dataset)))


def _named() -> FileDataset:
    dataset = ct_dataset()
    dataset.PatientName = "Canary^Ada^Maria"
    dataset.PatientID = "CAN-0042"
    dataset.PatientBirthDate = "19520229"
    dataset.InstitutionName = "Canary General"
    dataset.PatientTelephoneNumbers = ["+1 555 0100", "+1 555 0101"]
    dataset.StudyDescription = "CHEST"
    return dataset


def test_names_ids_dates_places_and_phones_are_found() -> None:
    """Every kind of identifying header value is returned as the header has it."""
    found = identity_values(_read(_named()))
    expected = {"Canary^Ada^Maria", "CAN-0042", "19520229", "Canary General", "+1 555 0100", "+1 555 0101"}
    assert expected <= set(found)


def test_technical_values_are_not_identity() -> None:
    """Masking a preview by its modality, sex or description would hide findings."""
    dataset = _named()
    dataset.PatientSex = "F"
    dataset.BodyPartExamined = "CHEST"
    assert not {"CT", "F", "CHEST"} & set(identity_values(_read(dataset)))


def test_nested_names_are_found() -> None:
    """A name three sequences deep is one too."""
    dataset, item, inner = _named(), Dataset(), Dataset()
    inner.PersonIdentificationCodeSequence = Sequence([code("Inner Physician")])
    item.RequestedProcedureID = "RP-99"
    item.ReferringPhysicianIdentificationSequence = Sequence([inner])
    dataset.RequestAttributesSequence = Sequence([item])
    assert {"RP-99", "Inner Physician"} <= set(identity_values(_read(dataset)))


def test_codes_outside_a_named_person_are_not_identity() -> None:
    """The meaning of an anatomic code is no name."""
    dataset = _named()
    dataset.AnatomicRegionSequence = Sequence([code("Lung")])
    assert "Lung" not in identity_values(_read(dataset))


def test_an_undecodable_value_costs_itself_alone() -> None:
    """An element of a kind that does not exist raises in pydicom; the other values remain."""
    data = part10(_named()).replace(b"\x10\x00\x20\x00LO", b"\x10\x00\x20\x00XX")
    data = data.replace(b"CAN-0042", b"CAN-\xff042")
    found = identity_values(dcmread(io.BytesIO(data)))
    assert "Canary^Ada^Maria" in found
    assert not any(value.startswith("CAN-") for value in found)


def test_values_have_bounds() -> None:
    """An object that names thousands, or with a book as address, gives what fits."""
    dataset = _named()
    dataset.OtherPatientIDs = [f"OTHER-{number}" for number in range(500)]
    dataset.InstitutionAddress = "x" * (MAX_CHARACTERS + 1)
    found = identity_values(_read(dataset))
    assert len(found) == MAX_VALUES
    assert max(map(len, found)) <= MAX_CHARACTERS


def test_deep_nesting_ends() -> None:
    """Sequences inside sequences stop being followed; what is above them is still found."""
    dataset = _named()
    inner: Dataset = dataset
    for _ in range(30):
        item = Dataset()
        inner.RequestAttributesSequence = Sequence([item])
        inner = item
    inner.PatientID = "TOO-DEEP"
    found = identity_values(_read(dataset))
    assert "CAN-0042" in found
    assert "TOO-DEEP" not in found


def test_an_export_misses_nothing_or_says_so() -> None:
    """Thousands of values and thirty levels are looked at; what is more is refused, not left out."""
    dataset = _named()
    dataset.OtherPatientIDs = [f"OTHER-{number}" for number in range(500)]
    inner: Dataset = dataset
    for _ in range(20):
        item = Dataset()
        inner.RequestAttributesSequence = Sequence([item])
        inner = item
    inner.PatientID = "VERY-DEEP"
    assert {"OTHER-499", "VERY-DEEP"} <= set(all_identity_values(_read(dataset)))
    dataset.OtherPatientIDs = [f"OTHER-{number}" for number in range(5000)]
    with pytest.raises(NotReadable) as refused:
        all_identity_values(_read(dataset))
    assert refused.value.reason == "too-many-elements"


@pytest.mark.parametrize("charset, name", [("ISO_IR 192", "Ångström^Zoë"), ("ISO_IR 100", "Müller^Jörg")])
def test_names_come_in_their_characters(charset: str, name: str) -> None:
    """The declared character set is used."""
    dataset = _named()
    dataset.SpecificCharacterSet, dataset.PatientName = charset, name
    assert name in identity_values(_read(dataset))


def test_a_normal_header_costs_little() -> None:
    """It is paid for every file taken in."""
    data = part10(_named())
    times = []
    for _ in range(20):
        dataset = dcmread(io.BytesIO(data))
        began = perf_counter()
        identity_values(dataset)
        times.append(perf_counter() - began)
    assert min(times) < 0.001  # 0.1 ms on a quiet core
