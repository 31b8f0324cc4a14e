"""A version against the one before it: files, settings, tensors, and what audits of both say.

Tensors are compared by their digests in the registry; no weight is opened. Settings are read from the sealed
small files, as data: the vendor's folder is not looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from appliance import shown
from appliance.charted import audit_point
from appliance.compared import Standing, compared
from appliance.conversion import SealedTensor
from appliance.registry import ModelRecord
from appliance.served import FILE_KIND
from appliance.views import AuditView
from appliance.watch.parts import CHANGED, GONE, NEW, digests_of, files_changed
from appliance.watch.views import (
    ChangeRow,
    ChangeView,
    ExposureChange,
    FactChange,
    LayerChange,
    MemoryChange,
    TensorChange,
)
from appliance.words.table import count, tell
from appliance.workspace.vault import Vault
from audit_core.adapters.contents import VOCABULARIES

MOST_FACTS: Final = 200
MOST_TENSORS: Final = 20
_FACTS: Final = ("family", "architecture", "parameters", "preprocessor")
_BLOCK: Final = re.compile(r"(?:^|\.)(?:layers|layer|blocks|block|resblocks|h)\.([0-9]{1,5})\.")
_RUN: Final = re.compile(r"([0-9]+)(?:–([0-9]+))?")
_TOWERS: Final = ("language", "vision", "text", "qformer")


def change(
    row: ChangeRow, before: ModelRecord, after: ModelRecord, audits: Sequence[AuditView], vault: Vault
) -> ChangeView:
    """The whole of a change.

    Args:
        row: the same as a row.
        before: the version that was replaced.
        after: the version that replaced it.
        audits: finished ones, newest first.
        vault: holds the small files of both.

    Raises:
        IntegrityError: an object in the vault is missing, damaged or another one.
    """
    tensors = tuple(_tensors(before, after))
    differing = [one for one in tensors if one.how]
    exposure, missing = _exposure(before, after, audits)
    facts = tuple(_facts(before, after, vault))[:MOST_FACTS]
    audited = sum(one.audited for one in differing)
    largest = sorted(differing, key=lambda one: (-one.size_bytes, one.name))[:MOST_TENSORS]
    return ChangeView(
        row=row,
        files=tuple(files_changed(digests_of(before), digests_of(after))),
        facts=facts,
        changed=len(differing),
        tensors=len(tensors),
        audited=audited,
        layers=_layers(tensors),
        largest=tuple(largest),
        exposure=exposure,
        missing=missing,
        sentences=tuple(_sentences(row, before, len(differing), len(tensors), audited, exposure, missing)),
    )


# -- tensors -----------------------------------------------------------------------------------------------


def _tensors(before: ModelRecord, after: ModelRecord) -> Iterator[TensorChange]:
    """Every tensor of either version; `how` is empty where both share it."""
    old, new = dict(_named(before)), dict(_named(after))
    ranges = {**_audited(before), **_audited(after)}
    for name in sorted({*old, *new}):
        one, other = old.get(name), new.get(name)
        stands = other or one
        assert stands is not None, "the name is of one of them"
        how = (GONE if other is None else NEW) if one is None or other is None else ""
        if one is not None and other is not None and _numbers(one) != _numbers(other):
            how = CHANGED
        tower, block = _place(name, ranges)
        label = f"{tower} layer {block}" if block >= 0 else tower
        matrix = len(stands.shape) == 2 and name.endswith("weight") and not name.startswith("base/")
        inside = matrix and (block in ranges.get(tower, ()) if block >= 0 else tower in ranges)
        yield TensorChange(shown.inert(name), shown.inert(label), stands.size, how, inside)


def _named(record: ModelRecord) -> Iterator[tuple[str, SealedTensor]]:
    for part in record.parts():
        prefix = "" if part.name == "model" else f"{part.name}/"
        yield from ((f"{prefix}{tensor.name}", tensor) for tensor in part.tensors)


def _numbers(tensor: SealedTensor) -> tuple[Any, ...]:
    """What makes two tensors the same: objects of the vault are named by what they hold, digests too."""
    return tensor.dtype, tuple(tensor.shape), tensor.digest or tuple(tensor.objects)


def _audited(record: ModelRecord) -> dict[str, frozenset[int]]:
    """Tower -> audited blocks, as the trial load told them; a head that is audited has none."""
    found = {}
    for tower in record.trial.towers if record.trial else ():
        if tower.audited:
            runs = [(int(low), int(high or low)) for low, high in _RUN.findall(tower.audited)]
            found[tower.name] = frozenset(block for low, high in runs for block in range(low, high + 1))
    return found


def _place(name: str, audited: Mapping[str, frozenset[int]]) -> tuple[str, int]:
    """Tower and block of a tensor by its name; of what is in no block, the head it belongs to, and −1."""
    tower = "language" if "language" in audited or "text" not in audited else "text"
    if re.search(r"(^|[./_])(vision|visual)", name):
        tower = "vision"
    elif "qformer" in name:
        tower = "qformer"
    found = _BLOCK.search(name)
    if found:
        return tower, int(found[1])
    heads = (head for head in audited if head not in _TOWERS)
    head = next((head for head in heads if head.rpartition(" ")[2][:6] in name and "proj" in name), "")
    return head or tell("watch.beside"), -1


def _layers(tensors: Sequence[TensorChange]) -> tuple[LayerChange, ...]:
    """The layers in which something differs, in the order of towers and blocks."""
    names = {one.layer for one in tensors if one.how}
    found = []
    for name in sorted(names, key=_order):
        inside = [one for one in tensors if one.layer == name]
        differing = [one for one in inside if one.how]
        found.append(LayerChange(name, len(differing), len(inside), sum(one.audited for one in differing)))
    return tuple(found)


def _order(layer: str) -> tuple[bool, str, int]:
    tower, _, block = layer.rpartition(" ")
    return not block.isdecimal(), tower, int(block) if block.isdecimal() else 0


# -- settings ----------------------------------------------------------------------------------------------


def _facts(before: ModelRecord, after: ModelRecord, vault: Vault) -> Iterator[FactChange]:
    """Facts of the registry, then settings of the small files, flattened."""
    for fact in _FACTS:
        one, other = (str(getattr(record, fact)) for record in (before, after))
        if one != other:
            yield FactChange(fact, shown.inert(one), shown.inert(other))
    old, new = _documents(before), _documents(after)
    for file in sorted({*old, *new}):
        if old.get(file) == new.get(file):
            continue
        was, now = (_settings(vault, name) if name else {} for name in (old.get(file), new.get(file)))
        for key in sorted({*was, *now}):
            if was.get(key) != now.get(key):
                what = shown.inert(f"{file}: {key}")
                yield FactChange(what, shown.inert(was.get(key, "")), shown.inert(now.get(key, "")))


def _documents(record: ModelRecord) -> dict[str, str]:
    """Settings files of all parts -> object of the vault."""
    return {
        file if part.name == "model" else f"{part.name}/{file}": sealed
        for part in record.parts()
        for file, sealed in part.files.items()
        if file.endswith(".json") and file not in VOCABULARIES
    }


def _settings(vault: Vault, sealed: str) -> dict[str, str]:
    """A settings file as flat keys; nothing where it is not one."""
    try:
        document = json.loads(vault.get(FILE_KIND, sealed).decode())
    except (ValueError, RecursionError):
        return {}
    return dict(_flat("", document))


def _flat(key: str, value: object) -> Iterator[tuple[str, str]]:
    """`vision_config.image_size`, `["8"]`: a list of values is one value, any other goes on."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}" if key else str(name), inner)
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for number, inner in enumerate(value):
            yield from _flat(f"{key}.{number}", inner)
    else:
        yield key, json.dumps(value, ensure_ascii=False)


# -- audits of both ----------------------------------------------------------------------------------------


def _exposure(
    before: ModelRecord, after: ModelRecord, audits: Sequence[AuditView]
) -> tuple[ExposureChange | None, str]:
    """The last audits of both on one panel, or what is missing."""
    old = [view for view in audits if view.model_digest == before.digest and view.row.model == before.name]
    new = [view for view in audits if view.model_digest == after.digest and view.row.model == after.name]
    if not new:
        return None, tell("watch.missing.after", model=shown.inert(after.name))
    if not old:
        return None, tell("watch.missing.before", model=shown.inert(before.name))
    pairs = ((one, other) for other in new for one in old if one.cohort_digest == other.cohort_digest)
    found = next(pairs, None)
    if found is None:
        return None, tell("watch.missing.panel")
    one, other = found
    rows = [row for row in compared(one, other).rows if row.part in ("verdict", "exposure")]
    points = (audit_point(one), audit_point(other))
    return ExposureChange(one.row, other.row, points, tuple(rows), _memory(one, other)), ""


def _memory(one: AuditView, other: AuditView) -> tuple[MemoryChange, ...]:
    """By layer; the layers that only one audit lists come last."""
    old, new = dict(one.result.memory_by_layer), dict(other.result.memory_by_layer)
    found = [MemoryChange(layer, old.get(layer), new.get(layer)) for layer in dict.fromkeys([*new, *old])]
    return tuple(sorted(found, key=_step, reverse=True))


def _step(change: MemoryChange) -> float:
    if change.before is None or change.after is None:
        return -1.0
    return abs(change.after - change.before)


# -- in sentences ------------------------------------------------------------------------------------------


def _sentences(
    row: ChangeRow,
    before: ModelRecord,
    changed: int,
    tensors: int,
    audited: int,
    exposure: ExposureChange | None,
    missing: str,
) -> Iterator[str]:
    if row.equal_to:
        yield tell("watch.equal_whole", version=row.equal_to)
    if not before.tensors:
        yield tell("watch.unsealed")
    elif changed:
        yield count("watch.tensors", changed, tensors=f"{tensors:,}", audited=f"{audited:,}")
    else:
        yield tell("watch.no_tensor")
    if exposure is None:
        yield missing
    else:
        yield from _audits_said(exposure)
        yield from _memory_said(exposure)


def _audits_said(exposure: ExposureChange) -> Iterator[str]:
    rows = {one.what: one for one in exposure.rows}
    words, tiers = rows["word"], rows["tier"]
    yield tell(
        "watch.verdict",
        before=words.first, after=words.second, tier_before=tiers.first, tier_after=tiers.second,
    )  # fmt: skip
    yield tell("watch.flagged", before=rows["flagged"].first, after=rows["flagged"].second)
    share = rows["estimated share"]
    if tell("compared.unstated") in (share.first, share.second):
        bound = rows["exposed share"]
        yield tell("watch.bound", before=bound.first, after=bound.second)
        return
    how = {
        Standing.CLOSE: tell("watch.overlap"),
        Standing.SAME: tell("watch.overlap"),
        Standing.DIFFERS: tell("watch.apart"),
        Standing.APART: tell("watch.incomparable", why=share.why),
    }[share.standing]
    yield tell("watch.share", before=share.first, after=share.second, standing=how)


def _memory_said(exposure: ExposureChange) -> Iterator[str]:
    first = next(iter(exposure.memory), None)
    if first is not None and first.before is not None and first.after is not None:
        yield tell("watch.memory", layer=first.layer, before=_gap(first.before), after=_gap(first.after))


def _gap(value: float) -> str:
    """A mean sensitivity gap, as the screens write it."""
    return f"{value:.3f}"
