"""What screens and commands see of the watch over vendor models: versions, changes, announcements, lineage.

A *line* is what a site calls a model: NAME. Its first version is stored as NAME, the next as NAME@2, NAME@3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.cases.views import ClockView
from appliance.charted import AuditPoint
from appliance.compared import ComparedRow
from appliance.views import AuditRow, VerdictWord


class WatchState(StrEnum):
    """What a look at a line's folders found."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"  # a new version was registered
    ABSENT = "absent"  # nothing lies there: no change
    REFUSED = "refused"  # what lies there now cannot be registered
    UNREADABLE = "unreadable"
    CHANGING = "changing"  # two looks differ: tried again next time


class Found(StrEnum):
    """How a version came to be known."""

    REGISTERED = "registered"  # somebody registered it
    ANNOUNCED = "announced"  # the watch found it, and the change had been announced
    UNANNOUNCED = "unannounced"  # the watch found it, and nobody had said so: a finding


class ModelPart(StrEnum):
    """What of a model a file belongs to; every file belongs to exactly one."""

    WEIGHTS = "weights"
    ADAPTER = "adapter"
    BASE = "base"
    PREPROCESSOR = "preprocessor"
    TOKENIZER = "tokenizer"
    CONFIG = "config"
    DOCUMENTS = "documents"  # papers and pictures: nothing of them reaches the network


@dataclass(frozen=True, slots=True)
class WatchedModel:
    """What a look at one line came to.

    Attributes:
        model: its newest version after the look, such as `lumen-vlm@2`.
        version: the same as a number.
        changed: the parts that are not as in the version before; empty unless `state` is CHANGED.
        announced: whether the change had been announced.
        why: what is wrong, or what to do, in one sentence; may be empty.
        looked_utc: when, ISO.
        since_utc: since when the line is in this state, ISO; not of UNCHANGED and CHANGED.
    """

    line: str
    model: str
    version: int
    state: WatchState
    changed: tuple[ModelPart, ...] = ()
    announced: bool = False
    why: str = ""
    looked_utc: str = ""
    since_utc: str = ""


@dataclass(frozen=True, slots=True)
class AnnouncementView:
    """A change that somebody said would come.

    Attributes:
        release: what the vendor calls it; foreign text.
        until: ISO date, the last day on which a change counts as this one.
        reason: as typed; from the sealed record.
        by: role, and which person among several.
        used: the version that it announced; "" while there is none.
        over: whether no change can be this one any more.
    """

    line: str
    release: str
    until: str
    reason: str
    said_utc: str
    by: str
    used: str
    over: bool


@dataclass(frozen=True, slots=True)
class AnswerView:
    """What somebody answered to an unannounced change."""

    reason: str
    said_utc: str
    by: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One change of a line, as a row of a table: a version that the watch found.

    Attributes:
        model: the version, such as `lumen-vlm@2`.
        replaces: the version before.
        parts: what is not as in the version before.
        equal_to: number of an earlier version with the same bytes; 0 where there is none.
        seen_utc: when the watch saw it first, ISO.
        entry: number of the log entry that says so; None where its year was pruned.
        answer: to an unannounced change; None while nobody has answered.
        clock: how long an unannounced change waits for an answer, or waited; None for announced ones.
        announcement: of an announced change.
    """

    line: str
    model: str
    version: int
    replaces: str
    found: Found
    parts: tuple[ModelPart, ...]
    equal_to: int
    seen_utc: str
    entry: int | None = None
    answer: AnswerView | None = None
    clock: ClockView | None = None
    announcement: AnnouncementView | None = None

    @property
    def waits(self) -> bool:
        """Whether an officer has to answer it."""
        return self.found is Found.UNANNOUNCED and self.answer is None


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that the two versions do not share."""

    file: str
    part: ModelPart
    how: str  # changed, new or gone


@dataclass(frozen=True, slots=True)
class FactChange:
    """A setting or fact with two values; one that is not there is empty."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class LayerChange:
    """Tensors of one layer, or of what stands beside the layers.

    Attributes:
        changed: tensors whose numbers, type or shape differ, and those that only one version has.
        tensors: of both versions together.
        audited: how many of the changed ones are matrices whose slices are audited.
    """

    layer: str
    changed: int
    tensors: int
    audited: int


@dataclass(frozen=True, slots=True)
class TensorChange:
    """One tensor that the two versions do not share.

    Attributes:
        how: changed, new or gone.
        audited: whether its slices are audited.
    """

    name: str
    layer: str
    size_bytes: int
    how: str
    audited: bool


@dataclass(frozen=True, slots=True)
class MemoryChange:
    """Mean sensitivity gap of a layer's slices in both audits; None where an audit does not list it."""

    layer: str
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class ExposureChange:
    """The last finished audit of each version on the same panel, side by side.

    Attributes:
        before, after: the audits.
        points: the same two as the control chart draws them, with intervals.
        rows: verdict, tier and exposure property by property, as `audit compare` says it.
        memory: by layer, the largest difference first.
    """

    before: AuditRow
    after: AuditRow
    points: tuple[AuditPoint, AuditPoint]
    rows: tuple[ComparedRow, ...]
    memory: tuple[MemoryChange, ...]


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One change whole: a version against the one before it.

    Attributes:
        files: that differ, by part.
        facts: settings that differ, flattened.
        changed, tensors: how many tensors differ, of how many in both versions together.
        audited: how many of the changed ones are audited.
        layers: with a change, in the model's order.
        largest: at most 20 changed tensors, the largest first.
        exposure: None where `missing` says what is missing.
        sentences: what it comes to, for a reader.
    """

    row: ChangeRow
    files: tuple[FileChange, ...]
    facts: tuple[FactChange, ...]
    changed: int
    tensors: int
    audited: int
    layers: tuple[LayerChange, ...]
    largest: tuple[TensorChange, ...]
    exposure: ExposureChange | None
    missing: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of a line.

    Attributes:
        found: how it came to be known.
        by: role, and which person among several, who registered it or ran the watch; "" where pruned.
        seen_utc: registered or seen, ISO.
        parts: what changed against the version before.
        equal_to: number of an earlier version with the same bytes, or 0.
        waits: an unannounced change that nobody has answered.
        verdict, audit_id, audited_utc: of its last finished audit.
    """

    model: str
    version: int
    digest: str
    found: Found
    by: str
    seen_utc: str
    parts: tuple[ModelPart, ...] = ()
    equal_to: int = 0
    waits: bool = False
    verdict: VerdictWord | None = None
    audit_id: str = ""
    audited_utc: str = ""


@dataclass(frozen=True, slots=True)
class LineageNode:
    """One place in the tree base -> fine-tuned model -> adapter, across lines.

    Attributes:
        kind: `base`, `model` or `adapter`: what lies in the folder.
        digest: hex SHA-256 over the folder's file digests but papers; the same bytes are one place, wherever
            they lie. Of a line that of its newest version.
        name: the line; "" for a folder that is only somebody's base.
        folder: last part of the vendor's folder; foreign text.
        versions: of the line, oldest first.
        below: what was made of it.
    """

    kind: str
    digest: str
    name: str
    folder: str
    versions: tuple[VersionRow, ...]
    below: tuple[LineageNode, ...] = ()
