"""DICOMDIR -> the files of its file-set, by their components (PS3.3 F, PS3.10 §8).

Where they lie on disk is the caller's business: nothing here opens a file.
"""

from __future__ import annotations

from typing import Any

from medio.dicom import read_dicom, wall
from medio.errors import NotReadable

MAX_RECORDS = 200_000
_DIRECTORY = "dicomdir"


def referenced_files(data: bytes) -> tuple[tuple[str, ...], ...] | None:
    """The components of each Referenced File ID (0004,1500), each once; None when this is no DICOMDIR.

    Returns:
        Components as written, unchecked: `("PT000000", "ST000000", "IM000001")`.

    Raises:
        NotReadable: damaged, or more records than any medium holds.
    """
    file = read_dicom(data)
    if file.reason != _DIRECTORY:
        return None
    with wall("bad-directory"):
        records = file.dataset.get("DirectoryRecordSequence") or []
        if len(records) > MAX_RECORDS:
            raise NotReadable("bad-directory", "more records than a medium holds")
        found = (_components(record.get("ReferencedFileID")) for record in records)
        return tuple(dict.fromkeys(components for components in found if components))


def _components(value: Any) -> tuple[str, ...]:
    if not value:
        return ()
    parts = [value] if isinstance(value, str) else value
    return tuple(str(part).strip() for part in parts)
