"""What people write about changes of vendor models: announced ones, and answers to those that were not.

    model.announce, model.answer   begins … done, detail = digest of the note
    model.keep                     noted: vouches for a note before the year of its entry is pruned

A note (`evidence.vouched`) lies in the catalogue's settings, under its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from appliance.evidence.entries import Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence.vouched import Contents, Fields, Kind, Vouched, recorded

ANNOUNCE, ANSWER, KEEP = "model.announce", "model.answer", "model.keep"
SETTING: Final = "watch.note."  # and the digest


@dataclass(frozen=True, slots=True)
class Note:
    """One note as it was recorded.

    Attributes:
        model: the line that a change was announced of, or the version that is answered.
        release: what the vendor calls the version to come.
        until: ISO date, the last day on which a change is the announced one.
        utc, by, at, digest, entry: as in `Vouched`.
    """

    act: str
    model: str
    reason: str
    release: str
    until: str
    utc: str
    by: str
    at: int
    digest: str
    entry: Entry | None


def record(
    log: EvidenceLog, actor: str, act: str, model: str, reason: str, release: str = "", until: str = ""
) -> tuple[str, str]:
    """What is kept of a note, with its SHA-256, hex."""
    return recorded(
        log, actor, {"act": act, "model": model, "reason": reason, "release": release, "until": until}
    )


def told(log: EvidenceLog, settings: Contents) -> tuple[Note, ...]:
    """Every note that the log vouches for, oldest first. Args and Raises as `Kind.told`."""
    return tuple(map(_note, _NOTES.told(log, settings)))


def keep(log: EvidenceLog, notes: Sequence[Note], actor: str) -> None:
    """Vouch for these notes once more, before the entries that do may be pruned."""
    _NOTES.vouch_again(log, [note.digest for note in notes], actor)


def _act(fields: Fields) -> str:
    return str(fields.get("act"))


_NOTES: Final = Kind("the note on a model", (ANNOUNCE, ANSWER), KEEP, dict, _act, SETTING)


def _note(one: Vouched[Fields]) -> Note:
    fields = one.record
    return Note(
        act=one.act,
        model=fields["model"],
        reason=fields["reason"],
        release=fields["release"],
        until=fields["until"],
        utc=one.utc,
        by=one.by,
        at=one.at,
        digest=one.digest,
        entry=one.entry,
    )
