"""Where models come from: base, fine-tuned model, adapter, joined by what lies in the folders.

The same bytes are one place in the tree, wherever the folders lie; papers and pictures do not count. So a
line whose base is another line's model stands below that line, and two lines of one base below it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from appliance.evidence.log import EvidenceLog
from appliance.registry import ModelRecord, Part
from appliance.sanitise import safe
from appliance.views import VerdictWord
from appliance.watch import versions
from appliance.watch.changes import Changes
from appliance.watch.parts import part_of
from appliance.watch.views import Found, LineageNode, ModelPart, VersionRow
from appliance.workspace.rows import StoredAudit

BASE, MODEL, ADAPTER = "base", "model", "adapter"


@dataclass(slots=True)
class _Place:
    """A line, or a folder that is only somebody's base.

    Attributes:
        digest: of what lies there; of a line's newest version.
        above: digests of what it was made of, the nearest first.
        records: versions of the line, the first one first.
    """

    kind: str
    digest: str
    folder: str
    above: list[Part] = field(default_factory=list)
    line: str = ""
    records: tuple[ModelRecord, ...] = ()


def trees(changes: Changes, log: EvidenceLog, audits: Sequence[StoredAudit]) -> tuple[LineageNode, ...]:
    """Every tree, by the name of what stands at its root.

    Args:
        changes: of all models.
        log: says who registered a version, or ran the watch that found it.
        audits: newest first.
    """
    rows = _rows(changes, log, audits)
    parents = _parents([_line(changes.records(line)) for line in changes.lines])
    below: dict[int, list[_Place]] = {}
    for place, parent in parents:
        below.setdefault(id(parent), []).append(place)

    def node(place: _Place) -> LineageNode:
        return LineageNode(
            kind=place.kind,
            digest=place.digest,
            name=safe(place.line),
            folder=safe(Path(place.folder).name),
            versions=tuple(rows[record.name] for record in place.records),
            below=_ordered(node(one) for one in below.get(id(place), [])),
        )

    return _ordered(node(place) for place, parent in parents if parent is None)


def lines_of(node: LineageNode) -> set[str]:
    """The lines that stand anywhere in a tree."""
    own = {node.name} if node.versions else set()
    return own.union(*(lines_of(below) for below in node.below))


def _ordered(nodes: Iterable[LineageNode]) -> tuple[LineageNode, ...]:
    return tuple(sorted(nodes, key=lambda node: (node.name or node.folder, node.digest)))


def _line(records: tuple[ModelRecord, ...]) -> _Place:
    """A line by its newest version: an adapter on a model, or a model, each perhaps on a base."""
    parts = {part.name: part for part in records[-1].parts()}
    chain = [parts[kind] for kind in (ADAPTER, MODEL, BASE) if kind in parts]
    kind = ADAPTER if ADAPTER in parts else MODEL
    return _Place(kind, _digest(chain[0]), chain[0].path, chain[1:], records[-1].line, records)


def _parents(lines: Sequence[_Place]) -> list[tuple[_Place, _Place | None]]:
    """Every place with what it stands below; no place stands below itself, whatever vendors say."""
    by_content: dict[str, _Place] = {}
    for line in lines:
        for record in line.records if line.kind == MODEL else ():
            model = next(part for part in record.parts() if part.name == MODEL)
            by_content.setdefault(_digest(model), line)
    found: dict[int, tuple[_Place, _Place | None]] = {}
    waiting = list(lines)
    while waiting:
        place = waiting.pop(0)
        parent = None
        if place.above:
            part = place.above[0]
            digest = _digest(part)
            if digest not in by_content:
                by_content[digest] = _Place(BASE, digest, part.path, place.above[1:])
                waiting.append(by_content[digest])
            parent = by_content[digest]
        circle = parent is not None and _stands_below(parent, place, found)
        found[id(place)] = (place, None if circle else parent)
    return list(found.values())


def _stands_below(place: _Place, other: _Place, found: Mapping[int, tuple[_Place, _Place | None]]) -> bool:
    above: _Place | None = place
    while above is not None:
        if above is other:
            return True
        above = found[id(above)][1] if id(above) in found else None
    return False


def _digest(part: Part) -> str:
    """Hex SHA-256 over the files that reach the network."""
    lines = [
        f"{name} {digest}\n"
        for name, digest in sorted(part.digests.items())
        if part_of(MODEL, name) is not ModelPart.DOCUMENTS
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _rows(changes: Changes, log: EvidenceLog, audits: Sequence[StoredAudit]) -> dict[str, VersionRow]:
    """Every version by name."""
    added = {entry.object: entry for entry in log.acts("model.add") if entry.outcome == "done"}
    last: dict[str, StoredAudit] = {}
    for audit in audits:
        if audit.state == "done":
            last.setdefault(audit.model, audit)
    rows, said = {}, versions.said(row for stored in changes.lines.values() for row in stored)
    for line, stored in changes.lines.items():
        records = changes.records(line)
        for record, kept in zip(records, stored, strict=True):
            entry, done = added.get(log.identifier(record.name)), last.get(record.name)
            rows[record.name] = VersionRow(
                model=safe(said[record.name]),
                version=record.version,
                digest=record.digest,
                found=Found(record.found),
                by=entry.actor if entry else "",
                seen_utc=record.seen_utc or kept.registered_utc,
                parts=tuple(map(ModelPart, record.changed)),
                equal_to=versions.equal_to(records, record),
                waits=record.version > 1 and changes.row(record).waits,
                verdict=VerdictWord(done.verdict) if done and done.verdict else None,
                audit_id=done.audit_id if done else "",
                audited_utc=done.finished_utc if done else "",
            )
    return rows
