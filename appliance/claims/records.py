"""What was recorded of claims: the log has an entry and the digest of each record, the catalogue the words.

    claim.add, claim.account, claim.withdraw   begins … done, detail = digest of the record
    claim.keep                                 noted: vouches for a record before its entry's year is pruned

Records (`evidence.vouched`) are settings of the catalogue named by their digest. What claims there are
follows from the log alone: none can be slipped in.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from appliance import codec
from appliance.claims.views import ClaimRequest
from appliance.evidence.log import EvidenceLog
from appliance.evidence.vouched import Contents, Fields, Kind, Vouched, recorded
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


Said: TypeAlias = Vouched[Record]


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
    # as text: no number with a fraction stands in what is digested
    return recorded(log, actor, {"record": codec.dump(record)})


def said(log: EvidenceLog, contents: Contents) -> tuple[Said, ...]:
    """Every record that the log vouches for, oldest first. Args and Raises as `Kind.told`."""
    return _CLAIMS.told(log, contents)


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
    _CLAIMS.vouch_again(log, [one.digest for one in every], actor)


def _record(fields: Fields) -> Record:
    return codec.load(Record, fields.get("record", ""))


def _act(record: Record) -> str:
    return record.act if (record.act == ADD) == (record.request is not None) else ""


_CLAIMS: Final = Kind("the claim", (ADD, ACCOUNT, WITHDRAW), KEEP, _record, _act, PREFIX)
