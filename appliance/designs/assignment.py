"""A design as it is committed: who may leave, what was planted, and one digest over all of it.

The commitment is SHA-256 over a domain, the seed and the assignment's digest. It goes into the log before
anything leaves. The seed is 256 bits from the operating system, so the commitment says nothing; and nobody
can find another seed or assignment for it: what is revealed is what was drawn (docs/evidence-by-design.md).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from appliance.evidence.verify_evidence import canonical

FORMAT = "gradaudit-design-1"
COMMITMENT_DOMAIN = b"gradaudit design commitment v1\0"


class Arm(StrEnum):
    """What a patient's coin said."""

    RELEASED = "released"
    HELD_BACK = "held back"


@dataclass(frozen=True, slots=True)
class PlacedPatient:
    """One patient of a design.

    Attributes:
        patient: pseudonym.
        person: whose coin it was; several pseudonyms of one person share it.
        pairs: pair ids that the selection named; what is ingested later is no part of the design.
    """

    patient: str
    person: str
    arm: Arm
    pairs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlacedCanary:
    """One canary, planted or not; both are made alike, so that the scores of both can be compared.

    Attributes:
        copies: how many studies carry it out; 0 for never planted.
        patient: pseudonym of the made-up patient.
        patient_id, accessions, studies: its identifiers, so that a canary that comes back is no patient.
        frame_object, text_object: names in the vault of picture [height, width] and text.
        image, text: hex SHA-256 of the frame's bytes and of the text.
    """

    canary: str
    copies: int
    patient: str
    patient_id: str
    accessions: tuple[str, ...]
    studies: tuple[str, ...]
    frame_object: str
    height: int
    width: int
    text_object: str
    image: str
    text: str


@dataclass(frozen=True, slots=True)
class Left:
    """Patients of the selection that got no coin, by why. They are not released under this design."""

    shared_picture: int
    earlier_design: int  # only told: they did get a coin


@dataclass(frozen=True, slots=True)
class Assignment:
    """A whole design, sealed in the vault until its end; as sensitive as membership.

    Attributes:
        seed: 64 hex digits.
        asked: hex SHA-256 over the pair ids of the selection, to go on with a draw that was cut off.
        hold_back: share held back, as written.
        guesses: how many canaries will be guessed.
        files: name in the outgoing folder -> hex SHA-256.
    """

    name: str
    seed: str
    asked: str
    drawn_utc: str
    hold_back: str
    guesses: int
    patients: tuple[PlacedPatient, ...]
    canaries: tuple[PlacedCanary, ...]
    left: Left
    files: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        """Hex SHA-256 over the canonical JSON of all that was decided; independent of the seed's value."""
        return hashlib.sha256(canonical(self._decided())).hexdigest()

    @property
    def commitment(self) -> str:
        """Hex SHA-256 that stands in the log."""
        return commitment(self.seed, self.digest)

    def _decided(self) -> dict[str, object]:
        return {
            "canaries": sorted(
                [one.canary, str(one.copies), one.image, one.text, sorted(one.studies)]
                for one in self.canaries
            ),
            "format": FORMAT,
            "guesses": str(self.guesses),
            "hold_back": self.hold_back,
            "patients": sorted(
                [one.patient, one.person, str(one.arm), sorted(one.pairs)] for one in self.patients
            ),
        }


def commitment(seed: str, digest: str) -> str:
    """Hex SHA-256 over domain, seed and assignment digest, both as bytes: what anyone can recompute."""
    return hashlib.sha256(COMMITMENT_DOMAIN + bytes.fromhex(seed) + bytes.fromhex(digest)).hexdigest()
