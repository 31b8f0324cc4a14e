from __future__ import annotations

import warnings

import pytest
from pydicom.dataset import Dataset

from medio.directory import referenced_files
from medio.errors import NotReadable
from tests.medio.objects import content, dataset, part10, structured_report

DICOMDIR = "1.2.840.10008.1.3.10"


def directory(*references: object) -> bytes:
    """A DICOMDIR with one record for each Referenced File ID; None for a record without."""
    ds = dataset(DICOMDIR)
    ds.DirectoryRecordSequence = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of components that are none
        for reference in references:
            record = Dataset()
            record.DirectoryRecordType = "IMAGE" if reference else "PATIENT"
            if reference is not None:
                record.ReferencedFileID = reference
            ds.DirectoryRecordSequence.append(record)
        return part10(ds)


def test_references_come_once_and_as_written() -> None:
    """Records without a file are passed over, one component is as good as several."""
    data = directory(None, ["A", "B", "IM1"], "IM2", ["A", "B", "IM1"], "", ["..", "x"])
    assert referenced_files(data) == (("A", "B", "IM1"), ("IM2",), ("..", "x"))


def test_other_objects_refer_to_nothing() -> None:
    """None is no empty file-set."""
    assert referenced_files(directory()) == ()
    assert referenced_files(part10(structured_report([content("TEXT", "Finding", TextValue="x")]))) is None


def test_a_damaged_directory_is_refused() -> None:
    """What cannot be parsed has no list."""
    with pytest.raises(NotReadable):
        referenced_files(directory(["A", "B"])[:-3])
