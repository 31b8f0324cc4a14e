"""What was recorded of claims: the log has an entry and the digest of each record, the catalogue the words.

    claim.add, claim.account, claim.withdraw   begins … done, detail = digest of the record
    claim.keep                                 noted: vouches for a record before its entry's year is pruned

A record is canonical JSON with a salt, so nobody can try out words against the digest. Records are settings
of the catalogue named by their digest. What claims there are follows from the log alone: a record that is
gone or changed is an alarm, and none can be slipped in.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from appliance import codec
from appliance.claims.views import ClaimRequest
from appliance.errors import IntegrityError
from appliance.evidence.entries import Act, Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence.verify_evidence import canonical
from audit_core.claims import Account

ADD, ACCOUNT, WITHDRAW, KEEP = "claim.add", "claim.account", "claim.withdraw", "claim.keep"
PREFIX: Final = "claim/"
"""Of the settings that hold the records."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What accountants made of a claim's parameters.

    Attributes:
        accounts: empty where nothing could be recomputed.
        by: software and version.
        why: why there are none, else "".
    """

    accounts: tuple[Account, ...] = ()
    by: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One record; which of the fields count depends on the act.

    Attributes:
        claim_id: whose.
        request: of `ADD`, with the exact name of a version as its model.
        recomputed: of `ACCOUNT`.
        reason: of `WITHDRAW`, as typed.
    """

    act: str
    claim_id: str
    request: ClaimRequest | None = None
    recomputed: Recomputed | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A record that the log vouches for.

    Attributes:
        at: entries of the log when it was begun; orders records, also where their entries were pruned.
        utc, by: when and by whom.
        entry: that vouches for it; None where its year was pruned.
    """

    record: Record
    at: int
    utc: str
    by: str
    digest: str
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Kept:
    """One claim as all its records leave it."""

    added: Said
    request: ClaimRequest
    recomputed: Recomputed = field(default_factory=Recomputed)
    withdrawn: Said | None = None

    @property
    def claim_id(self) -> str:
        """`C-` and eight hex digits."""
        return self.added.record.claim_id


def new_id() -> str:
    """A name for a claim to be."""
    return f"C-{secrets.token_hex(4)}"


def sealed(log: EvidenceLog, actor: str, record: Record) -> tuple[str, str]:
    """What is kept of a record, with its SHA-256, hex."""
    now = datetime.fromtimestamp(log.clock.utc_ms() // 1000, UTC)
    content = canonical(
        {
            "at": log.refresh(),
            "by": actor,
            "record": codec.dump(record),  # text: no number with a fraction stands in what is digested
            "salt": secrets.token_hex(16),
            "utc": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "v": 1,
        }
    )
    return content.decode(), sha256(content).hexdigest()


def said(log: EvidenceLog, contents: Mapping[str, str]) -> tuple[Said, ...]:
    """Every record that the log vouches for, oldest first.

    Args:
        log: with the digests.
        contents: records by digest, read after the log: a record is there before its entry. One that no
            entry vouches for was cut off, and says nothing.

    Raises:
        IntegrityError: a record is missing, is not what was logged, or an entry repeats another's.
    """
    found: dict[str, Said] = {}
    for act in (ADD, ACCOUNT, WITHDRAW):
        for entry in log.acts(act):
            if entry.outcome == "done":
                if entry.detail_digest in found:
                    raise _not_logged(entry)
                found[entry.detail_digest] = _said(contents, entry, entry)
    for entry in log.acts(KEEP):
        if entry.detail_digest not in found:
            found[entry.detail_digest] = _said(contents, entry, None)
    return tuple(sorted(found.values(), key=lambda one: (one.at, one.entry.index if one.entry else -1)))


def claims(every: Sequence[Said]) -> dict[str, Kept]:
    """Claims by id, in the order in which they were added; what was recomputed last counts."""
    kept: dict[str, Kept] = {}
    for one in every:
        record, standing = one.record, kept.get(one.record.claim_id)
        if record.request is not None:
            kept[record.claim_id] = Kept(one, record.request)
        elif standing is not None and record.recomputed is not None:
            kept[record.claim_id] = replace(standing, recomputed=record.recomputed)
        elif standing is not None:
            kept[record.claim_id] = replace(standing, withdrawn=one)
    return kept


def keep(log: EvidenceLog, every: Sequence[Said], actor: str) -> None:
    """Vouch for these records once more, before the entries that do may be pruned."""
    if every:
        log.append_all([Act(KEEP, "", "noted", actor, detail_digest=one.digest) for one in every])


def _said(contents: Mapping[str, str], vouching: Entry, entry: Entry | None) -> Said:
    content = contents.get(vouching.detail_digest, "")
    if sha256(content.encode()).hexdigest() != vouching.detail_digest:
        raise _not_logged(vouching)
    fields: dict[str, Any] = json.loads(content)
    record = codec.load(Record, fields["record"])
    if vouching.act not in (record.act, KEEP) or (record.act == ADD) != (record.request is not None):
        raise _not_logged(vouching)
    return Said(
        record=record,
        at=fields["at"],
        utc=entry.claimed_utc if entry else fields["utc"],
        by=entry.actor if entry else fields["by"],
        digest=vouching.detail_digest,
        entry=entry,
    )


def _not_logged(entry: Entry) -> IntegrityError:
    return IntegrityError(
        f"the claim in entry {entry.index} is not the one that was logged",
        "Restore the workspace from a backup.",
    )
