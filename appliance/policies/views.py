"""What is seen of a site's policies: frozen, torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.policy_keys import Effect
from audit_core.results import VerdictWord

__all__ = ["Effect"]


class State(StrEnum):
    """How a version of a policy stands today."""

    PROPOSED = "proposed"
    APPROVED = "approved"  # comes into force on a day to come
    IN_FORCE = "in force"
    REPLACED = "replaced"
    REJECTED = "rejected"


class Change(StrEnum):
    """What became of a key."""

    CHANGED = "changed"
    ADDED = "added"  # only what is a list grows by something and loses nothing
    REMOVED = "removed"


class Outcome(StrEnum):
    """What a policy would have made of a finished audit."""

    SAME = "same"
    OTHER = "other verdict"
    UNKNOWN = "needs a new run"
    REFUSED = "would not begin"


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One version of a policy.

    Attributes:
        reference: NAME@VERSION, which names this text and no other.
        origin: "shipped" or "site".
        from_utc: when it came or comes into force; "" while nobody has approved it, and for shipped ones.
        decided_by: who proposed, approved or rejected it last; users by name, who is gone by pseudonym.
        quorum: officers or paper keys who open findings together; 0 where the text cannot be read any more.
        log_years: for how many years the log is kept at least; 0 as above.
        cadence: "contrastive 365 days" and so on; empty where no model falls due.
    """

    name: str
    version: str
    reference: str
    state: State
    origin: str
    from_utc: str
    decided_by: str
    decided_utc: str
    digest: str
    quorum: int = 0
    log_years: int = 0
    cadence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key of a policy, as its text has it.

    Attributes:
        key: with its table.
        note: what the text says behind the value: a clause, as far as it cites one.
    """

    key: str
    value: str
    decides: str
    note: str


@dataclass(frozen=True, slots=True)
class DeedRow:
    """Who did what with a version, when.

    Attributes:
        act: "proposed", "approved" or "rejected".
        by: users by name; who is gone by pseudonym.
        reason: as typed, "" where none was.
    """

    act: str
    by: tuple[str, ...]
    utc: str
    from_utc: str
    reason: str


@dataclass(frozen=True, slots=True)
class ApprovalNeed:
    """What approving a policy takes now.

    Attributes:
        passphrase: the officer's own, which was not typed for this program.
        second: a second officer or a paper key, by name and secret.
    """

    passphrase: bool
    second: bool


@dataclass(frozen=True, slots=True)
class PolicyView:
    """One version whole.

    Attributes:
        keys: in the order of the file; none where the text cannot be read any more.
    """

    row: PolicyRow
    text: str
    deeds: tuple[DeedRow, ...]
    keys: tuple[KeyRow, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangedKey:
    """One key that two policies give another value.

    Attributes:
        key: with its table, as `decision.alpha_fail`.
        effect: whether a model that was trained on patients comes through less easily.
        decides: what the key decides, in plain words.
    """

    key: str
    change: Change
    old: str
    new: str
    effect: Effect
    decides: str


@dataclass(frozen=True, slots=True)
class PolicyDifference:
    """Two policies, key by key.

    Attributes:
        words_only: the texts differ, and no key does: notes or order.
    """

    first: str
    second: str
    keys: tuple[ChangedKey, ...]
    words_only: bool


@dataclass(frozen=True, slots=True)
class TightenedPolicy:
    """A site's policy with what a vendor's file asks for; nothing has come of it yet.

    Attributes:
        base: NAME@VERSION that was tightened.
        reference: NAME@VERSION of the text, to be proposed as any other.
        taken: keys that are stricter now.
    """

    base: str
    reference: str
    text: str
    digest: str
    taken: tuple[ChangedKey, ...]


@dataclass(frozen=True, slots=True)
class DryRunRow:
    """One finished audit under another policy.

    Attributes:
        policy: the one it ran under.
        would_be: None where only a new run can tell, or where the audit would not have begun.
        why: the first reason of the verdict that would be; or why there is none.
    """

    audit_id: str
    model: str
    policy: str
    audited_utc: str
    verdict: VerdictWord
    would_be: VerdictWord | None
    outcome: Outcome
    why: str


@dataclass(frozen=True, slots=True)
class DryRunView:
    """Every finished audit under another policy, newest first."""

    reference: str
    rows: tuple[DryRunRow, ...]
