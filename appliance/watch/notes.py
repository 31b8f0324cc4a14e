"""What people write about changes of vendor models: announced ones, and answers to those that were not.

    model.announce, model.answer   begins … done, detail = digest of the note
    model.keep                     noted: vouches for a note before the year of its entry is pruned

A note is canonical JSON with a salt, so nobody can try out words against the digest. It lies in the
catalogue's settings, under its key; one that no entry vouches for was cut off, and says nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from appliance.errors import IntegrityError
from appliance.evidence.entries import Act, Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence.verify_evidence import canonical

ANNOUNCE, ANSWER, KEEP = "model.announce", "model.answer", "model.keep"
SETTING: Final = "watch.note."  # and the digest


@dataclass(frozen=True, slots=True)
class Note:
    """One note as it was recorded.

    Attributes:
        model: the line that a change was announced of, or the version that is answered.
        at: entries of the log when it was begun; orders notes, also where their entries were pruned.
        release: what the vendor calls the version to come.
        until: ISO date, the last day on which a change is the announced one.
        entry: that vouches for it; None where its year was pruned.
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
    now = datetime.fromtimestamp(log.clock.utc_ms() // 1000, UTC)
    content = canonical(
        {
            "act": act,
            "at": log.refresh(),
            "by": actor,
            "model": model,
            "reason": reason,
            "release": release,
            "salt": secrets.token_hex(16),
            "until": until,
            "utc": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "v": 1,
        }
    )
    return content.decode(), sha256(content).hexdigest()


def told(log: EvidenceLog, settings: Mapping[str, str]) -> tuple[Note, ...]:
    """Every note that the log vouches for, oldest first.

    Args:
        log: with the digests.
        settings: the catalogue's that begin with `SETTING`, read after the log was refreshed.

    Raises:
        IntegrityError: a note is missing, or is not what was logged.
    """
    kept = {key.removeprefix(SETTING): content for key, content in settings.items()}
    done = [entry for act in (ANNOUNCE, ANSWER) for entry in log.acts(act) if entry.outcome == "done"]
    notes = {entry.detail_digest: _note(kept, entry, entry) for entry in done}
    for entry in log.acts(KEEP):
        if entry.detail_digest not in notes:
            notes[entry.detail_digest] = _note(kept, entry, None)
    return tuple(sorted(notes.values(), key=lambda note: note.at))


def keep(log: EvidenceLog, notes: Sequence[Note], actor: str) -> None:
    """Vouch for these notes once more, before the entries that do may be pruned."""
    if notes:
        log.append_all([Act(KEEP, "", "noted", actor, detail_digest=note.digest) for note in notes])


def _note(kept: Mapping[str, str], said: Entry, entry: Entry | None) -> Note:
    content = kept.get(said.detail_digest, "")
    fields: dict[str, Any] = {}
    if sha256(content.encode()).hexdigest() == said.detail_digest:
        fields = json.loads(content)
    if said.act not in (fields.get("act"), KEEP) or not fields:
        raise IntegrityError(
            f"the note on a model in entry {said.index} is not the one that was logged",
            "Restore the workspace from a backup.",
        )
    return Note(
        act=fields["act"],
        model=fields["model"],
        reason=fields["reason"],
        release=fields["release"],
        until=fields["until"],
        utc=entry.claimed_utc if entry else fields["utc"],
        by=entry.actor if entry else fields["by"],
        at=fields["at"],
        digest=said.detail_digest,
        entry=entry,
    )
