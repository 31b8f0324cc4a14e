"""What the receiver's acts answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpoolView:
    """A spool that is ready for a receiver."""

    folder: str
    public: str


@dataclass(frozen=True, slots=True)
class PeerView:
    """Somebody who may send."""

    name: str
    sends: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class CheckView:
    """A receiver's file that can be used."""

    ae_title: str
    dicom: str
    hl7: str
    fingerprint: str
    peers: tuple[PeerView, ...]


@dataclass(frozen=True, slots=True)
class CountRow:
    """What happened so many times at the door."""

    what: str
    peer: str
    reason: str
    number: int


@dataclass(frozen=True, slots=True)
class ReceivedView:
    """What lies in the spool: files by folder, their bytes, and the counts since it was made."""

    arriving: int
    ready: int
    quarantine: int
    bytes: int
    counts: tuple[CountRow, ...]


@dataclass(frozen=True, slots=True)
class TakenView:
    """What came of the files that were complete.

    Attributes:
        files: looked at.
        studies: groups they belonged to.
        images, reports, duplicates: as in an ingest.
        set_aside: stay in the spool's quarantine; the workspace's says why.
        refused: patients who were erased; not kept.
    """

    files: int = 0
    studies: int = 0
    images: int = 0
    reports: int = 0
    duplicates: int = 0
    set_aside: int = 0
    refused: int = 0
