"""What an evidence pack is made of, and what each of its parts is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from appliance.evidence.entries import Entry
from appliance.evidence.log import EvidenceLog
from appliance.views import AuditView


@dataclass(frozen=True, slots=True)
class PackInput:
    """What a pack is made of, besides the log.

    Attributes:
        view: the finished audit.
        site: name of the site.
        policy_text: the policy file, byte for byte; its SHA-256 is `view.policy_digest`.
        model: the model record: file digests, base, family, vendor, release date; no paths.
        data: how the cohort was chosen: counts, design, references, digest; no pseudonym.
        run: how it was run: code digest, versions, seeds, hardware, times.
        records: how the site stood when the audit closed: reviews of the log, access and roles, encryption,
            egress, retention; empty for audits that closed before these were kept.
        salt_seed: 32 random bytes, kept sealed with the audit: the salts of what the log commits to follow
            from them; empty for audits that closed before there were leaves.
        related: names of other objects (model, cohort) whose log entries go along.
        stored: the result as it was stored when the audit closed. Fields that it lacks were added by a later
            version and are no part of what the log committed to. None: the view is as it was closed.
    """

    view: AuditView
    site: str
    policy_text: bytes
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    run: Mapping[str, Any] = field(default_factory=dict)
    records: Mapping[str, Any] = field(default_factory=dict)
    salt_seed: bytes = field(default=b"", repr=False)
    related: tuple[str, ...] = ()
    stored: Mapping[str, Any] | None = None


class Withheld(NamedTuple):
    """How many leaves of a committed member a pack withholds, and of how many."""

    member: str
    leaves: int
    of: int


@dataclass(frozen=True, slots=True)
class PackFacts:
    """What a part of a pack is given.

    Attributes:
        given: the audit, and what was gathered about it when it closed.
        log: the site's log; parts sign with it and read from it, and never append.
        entries: the audit's entries and those of related objects, oldest first; the last one closed it.
        size: entries of the log under the pack's checkpoint.
        edition: "full", or "vendor": nothing about patients, and `given` holds nothing of them either.
        withheld: the committed members of which this pack withholds leaves, how many, and of how many.
    """

    given: PackInput
    log: EvidenceLog
    entries: tuple[Entry, ...]
    size: int
    edition: str = "full"
    withheld: tuple[Withheld, ...] = ()

    @property
    def view(self) -> AuditView:
        """The finished audit."""
        return self.given.view

    @property
    def closing(self) -> Entry:
        """The entry that closed the audit."""
        return self.entries[-1]

    @property
    def closed_utc(self) -> str:
        """When the log closed the audit: the one time a part may state, whenever it is built."""
        return self.closing.claimed_utc


Members = Mapping[str, bytes]  # name in the pack -> content
Part = Callable[[PackFacts, Members], Members]  # facts and the members so far -> members that it adds


def digest(data: bytes) -> str:
    """Hex SHA-256, as manifest and crosswalk name a member."""
    return sha256(data).hexdigest()
