"""What front ends see of designs: counts and digests, never an arm of a patient."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.designs.assignment import Arm
from appliance.designs.shelf import Design


@dataclass(frozen=True, slots=True)
class DesignView:
    """One design.

    Attributes:
        state: "drawn" (cut off before its commitment: no evidence), "committed" or "revealed".
        commitment: hex SHA-256; stands in the log from `committed_utc` on.
        released, held_back: patients by their coins.
        canaries, planted: made, and those with a copy among the outgoing studies.
        outgoing: studies that carry a canary.
        shared_picture: patients without a coin, since their picture is also somebody else's.
        earlier_design: patients with a coin here who were released under another design.
        seed: hex, once it is revealed.
    """

    name: str
    state: str
    commitment: str
    drawn_utc: str
    committed_utc: str
    revealed_utc: str
    hold_back: str
    released: int
    held_back: int
    canaries: int
    planted: int
    outgoing: int
    guesses: int
    shared_picture: int
    earlier_design: int
    seed: str


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """One patient who may leave, with handles: for the officer's own eyes."""

    pseudonym: str
    patient_id: str
    accessions: tuple[str, ...]


def design_view(design: Design) -> DesignView:
    """One design for a screen."""
    found = design.assignment
    arms = {arm: {one.person for one in found.patients if one.arm is arm} for arm in Arm}
    return DesignView(
        name=found.name,
        state=design.state,
        commitment=found.commitment,
        drawn_utc=found.drawn_utc,
        committed_utc=design.committed.claimed_utc if design.committed else "",
        revealed_utc=design.opened.claimed_utc if design.opened else "",
        hold_back=found.hold_back,
        released=len(arms[Arm.RELEASED]),
        held_back=len(arms[Arm.HELD_BACK]),
        canaries=len(found.canaries),
        planted=sum(one.copies > 0 for one in found.canaries),
        outgoing=sum(one.copies for one in found.canaries),
        guesses=found.guesses,
        shared_picture=found.left.shared_picture,
        earlier_design=found.left.earlier_design,
        seed=found.seed if design.opened else "",
    )
