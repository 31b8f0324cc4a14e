"""One entry of the log: who did what to which thing, with what outcome. Nothing names a person.

There is no field for free text. Words come from short lists, things are digests or keyed HMACs, and the
finished bytes must match the verifier's one regular expression.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from appliance.evidence.verify_evidence import ENTRY, canonical

ACTORS = frozenset({"anonymous", "auditor", "machine", "officer", "operator", "recovery", "system", "worker"})
_HANDLE = re.compile("[0-9a-f]{32}|[0-9a-f]{64}")
THINGS = frozenset({"clock", "log", "policy", "workspace"})
OUTCOMES = frozenset(
    {
        "absent",
        "allowed",
        "announced",
        "begins",
        "cancelled",
        "changing",
        "cut",
        "done",
        "failed",
        "noted",
        "ok",
        "refused",
        "resumed",
        "started",
        "unannounced",
        "unreadable",
    }
    | {"PASS", "REVIEW", "FAIL", "INCONCLUSIVE", "VOID"}
)


@dataclass(frozen=True, slots=True)
class Act:
    """Something to be logged.

    Attributes:
        act: two or three lower-case words joined by dots, as `audit.run`.
        object: "", a word of `THINGS`, an identifier (32 hex digits) or a digest (64).
        outcome: a word of `OUTCOMES`.
        actor: a word of `ACTORS`, with `:` and 32 hex digits for one person among several.
        policy_digest: hex SHA-256 of the policy in force, or "".
        detail_digest: hex SHA-256 of the sealed detail, or "".
        result_root: hex SHA-256 that commits to a result, or "".

    Raises:
        ValueError: a field holds what has no place in the log.
    """

    act: str
    object: str = ""
    outcome: str = "ok"
    actor: str = "system"
    policy_digest: str = ""
    detail_digest: str = ""
    result_root: str = ""

    def __post_init__(self) -> None:
        known = (
            self.actor.partition(":")[0] in ACTORS
            and self.outcome in OUTCOMES
            and (self.object in THINGS or not self.object or _HANDLE.fullmatch(self.object) is not None)
        )
        if not known:
            raise ValueError("an entry's actor, object and outcome are words of the log or digests")


Placed: TypeAlias = Callable[[int], Act]  # an act that says the number of its own entry


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it stands in the log.

    Attributes:
        index: its number, from 0.
        first: the number of the first entry that was written in the same step.
        claimed_utc: what the machine's clock said, ISO 8601 with milliseconds.
        boot_ns: nanoseconds since the machine started; no one can set this clock.
    """

    index: int
    first: int
    claimed_utc: str
    boot_ns: int
    actor: str
    act: str
    object: str
    outcome: str
    policy_digest: str
    detail_digest: str
    result_root: str


def encode(act: Act, index: int, first: int, utc_ms: int, boot_ns: int) -> bytes:
    """The canonical bytes of an entry.

    Raises:
        ValueError: a field holds what has no place in the log.
    """
    moment = datetime.fromtimestamp(utc_ms // 1000, UTC)
    entry = canonical(
        {
            "act": act.act,
            "actor": act.actor,
            "boot": str(boot_ns),
            "detail": act.detail_digest,
            "first": first,
            "id": index,
            "object": act.object,
            "outcome": act.outcome,
            "policy": act.policy_digest,
            "result": act.result_root,
            "utc": f"{moment:%Y-%m-%dT%H:%M:%S}.{utc_ms % 1000:03d}Z",
            "v": 1,
        }
    )
    if ENTRY.fullmatch(entry) is None:
        raise ValueError("not an entry: an act is words joined by dots, a digest is 64 hex digits")
    return entry


def decode(data: bytes) -> Entry:
    """An entry from its bytes, which the tree has vouched for."""
    fields = json.loads(data)
    return Entry(
        index=fields["id"],
        first=fields["first"],
        claimed_utc=fields["utc"],
        boot_ns=int(fields["boot"]),
        actor=fields["actor"],
        act=fields["act"],
        object=fields["object"],
        outcome=fields["outcome"],
        policy_digest=fields["policy"],
        detail_digest=fields["detail"],
        result_root=fields["result"],
    )


def claimed_ms(entry: Entry) -> int:
    """The claimed time of an entry in milliseconds since 1970."""
    return round(datetime.fromisoformat(entry.claimed_utc).timestamp() * 1000)
