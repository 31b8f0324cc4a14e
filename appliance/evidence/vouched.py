"""Records that the log vouches for: what people type is in the catalogue, its digest in an entry of the log.

    an act of the kind    begins … done, detail = digest of the record
    the kind's keep       noted: vouches for a record once more, before the year of its entry is pruned

A record is canonical JSON with a salt, so nobody can try out words against the digest, and lies under that
digest. It is written before its entry says `done`: one that no entry vouches for was cut off, and says
nothing; one that is gone or changed is an alarm.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, Generic, TypeAlias, TypeVar

from appliance.errors import IntegrityError
from appliance.evidence.entries import Act, Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence.verify_evidence import canonical

T = TypeVar("T")
Contents: TypeAlias = Callable[[], Mapping[str, str]]  # what the catalogue holds, asked when it is needed
Fields: TypeAlias = dict[str, Any]
RESTORE: Final = "Restore the workspace from a backup."


@dataclass(frozen=True, slots=True)
class Vouched(Generic[T]):
    """A record that the log vouches for.

    Attributes:
        record: as its kind reads it.
        act: of which it is.
        at: entries of the log when it was begun; orders records, also where their entries were pruned.
        utc, by: when and by whom; as the record says it where its entry was pruned.
        entry: that says `done`; None where its year was pruned.
    """

    record: T
    act: str
    at: int
    utc: str
    by: str
    digest: str
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """Records of one kind.

    Attributes:
        what: one of them, as an error names it.
        acts: that make one.
        keep: the act that vouches for one again.
        read: makes a record of its fields.
        act_of: the act that a record is of; "" where it means nothing.
        prefix: stands before the digest in the catalogue.
    """

    what: str
    acts: tuple[str, ...]
    keep: str
    read: Callable[[Fields], T]
    act_of: Callable[[T], str]
    prefix: str = ""

    def told(self, log: EvidenceLog, contents: Contents) -> tuple[Vouched[T], ...]:
        """Every record that the log vouches for, oldest first.

        Args:
            log: with the digests.
            contents: asked after the log, for a record is there before its entry.

        Raises:
            IntegrityError: a record is missing, is not what was logged, or an entry repeats another's.
        """
        done = [entry for act in self.acts for entry in log.acts(act) if entry.outcome == "done"]
        again, held = log.acts(self.keep), contents()
        found: dict[str, Vouched[T]] = {}
        for entry in done:
            if entry.detail_digest in found:
                raise self._not_logged(entry)
            found[entry.detail_digest] = self._read(held, entry)
        for entry in again:
            if entry.detail_digest not in found:
                found[entry.detail_digest] = self._read(held, entry)
        return tuple(sorted(found.values(), key=lambda one: (one.at, one.entry.index if one.entry else -1)))

    def vouch_again(self, log: EvidenceLog, digests: Iterable[str], actor: str) -> None:
        """Vouch for these records once more, before the entries that do may be pruned."""
        acts = [Act(self.keep, "", "noted", actor, detail_digest=digest) for digest in digests]
        if acts:
            log.append_all(acts)

    def _read(self, held: Mapping[str, str], said: Entry) -> Vouched[T]:
        fields = opened(held.get(self.prefix + said.detail_digest), said.detail_digest)
        if fields is None:
            raise self._not_logged(said)
        record = self.read(fields)
        act = self.act_of(record)
        if act not in self.acts or said.act not in (act, self.keep):
            raise self._not_logged(said)
        entry = None if said.act == self.keep else said
        utc, by = (entry.claimed_utc, entry.actor) if entry else (fields["utc"], fields["by"])
        return Vouched(record, act, fields["at"], utc, by, said.detail_digest, entry)

    def _not_logged(self, entry: Entry) -> IntegrityError:
        return not_logged(f"{self.what} in entry {entry.index}")


def recorded(log: EvidenceLog, actor: str, fields: Mapping[str, Any]) -> tuple[str, str]:
    """What is kept of a record that is begun now, with its SHA-256, hex."""
    now = datetime.fromtimestamp(log.clock.utc_ms() // 1000, UTC)
    return salted({"at": log.refresh(), "by": actor, "utc": f"{now:%Y-%m-%dT%H:%M:%SZ}", **fields})


def salted(fields: Mapping[str, Any]) -> tuple[str, str]:
    """The canonical JSON of these fields, a salt and the version of the form, with its SHA-256, hex."""
    content = canonical({**fields, "salt": secrets.token_hex(16), "v": 1})
    return content.decode(), sha256(content).hexdigest()


def opened(content: str | None, digest: str) -> Fields | None:
    """The fields of what is kept under a digest; None where it is gone, or is not what was logged."""
    if content is None or sha256(content.encode()).hexdigest() != digest:
        return None
    fields: Fields = json.loads(content)
    return fields


def not_logged(what: str) -> IntegrityError:
    """The alarm: this is not what the log has the digest of."""
    return IntegrityError(f"{what} is not the one that was logged", RESTORE)
