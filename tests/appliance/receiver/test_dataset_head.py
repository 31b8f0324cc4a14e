"""Which study a data set belongs to, from its first bytes, however they are written or damaged."""

from __future__ import annotations

import random
from io import BytesIO

import pytest
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from appliance.receiver.dataset_head import study_of

STUDY = "2.25.123456789"


def encoded(syntax: str, *, undefined: bool) -> bytes:
    """A data set with sequences before the study, one inside the other."""
    inner = Dataset()
    inner.StudyInstanceUID = "2.25.666"  # of another object
    outer = Dataset()
    outer.ReferencedSOPInstanceUID, outer.PurposeOfReferenceCodeSequence = "2.25.1", [inner, inner]
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ReferencedStudySequence, dataset.ReferencedImageSequence = [outer, inner], []
    dataset.PatientName, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "A^B", STUDY, "2.25.3"
    for one in (dataset["ReferencedStudySequence"], outer["PurposeOfReferenceCodeSequence"]):
        one.is_undefined_length = undefined
    for one in (outer, inner):
        one.is_undefined_length_sequence_item = undefined
    out = BytesIO()
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    dcmwrite(out, dataset, implicit_vr=implicit, little_endian=little)
    return out.getvalue()


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_it_is_found_behind_sequences(syntax: str, undefined: bool) -> None:
    """Of the data set itself, not of what it refers to."""
    assert study_of(encoded(syntax, undefined=undefined), syntax) == STUDY


def test_damage_gives_another_study_or_none() -> None:
    """Whatever is cut or changed, it ends, and says a UID or nothing."""
    draw, good = random.Random(7), encoded(ExplicitVRLittleEndian, undefined=True)
    for cut in range(len(good)):
        study_of(good[:cut], ExplicitVRLittleEndian)
    for _ in range(3000):
        bad = bytearray(good)
        for _ in range(draw.randint(1, 6)):
            bad[draw.randrange(len(bad))] = draw.choice((0, 255, draw.randrange(256)))
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian):
            assert set(study_of(bytes(bad), syntax)) <= set("0123456789.")
    assert (
        study_of(b"", ExplicitVRLittleEndian)
        == ""
        == study_of(b"\xfe\xff\x00\xe0" * 9, ExplicitVRLittleEndian)
    )
