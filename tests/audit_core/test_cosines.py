"""Cosines in a store give what an array gives, and a long table is never whole in memory."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

import audit_core.collect
from audit_core.adapters.loading import open_model
from audit_core.collect import collect_signals
from audit_core.cosines import Block, StreamedCosines, blocks, stacked, taken
from audit_core.detectors.slice_model import weighted_means
from audit_core.errors import AuditError
from audit_core.judgement import judge
from audit_core.signal_rows import read_cosines
from audit_core.signals import SignalTable
from audit_core.store import MemoryStore, Shelf
from tests.audit_core import engine_models as tiny
from tests.audit_core.planted import FAST, IDENTITY, World, planted, silent
from tests.audit_core.test_audit import SETTINGS


def cut(values: np.ndarray, sizes: tuple[int, ...], seed: int = 0) -> StreamedCosines:
    """The same values in blocks of these sizes, rows dealt out at random."""
    order = np.random.default_rng(seed).permutation(values.shape[0])
    parts, start = [], 0
    for size in sizes:
        rows = order[start : start + size]
        block = values[rows]
        parts.append(Block(rows, np.arange(size), lambda block=block: block))  # type: ignore[misc]
        start += size
    assert start == values.shape[0]
    return StreamedCosines(tuple(parts), (values.shape[0], values.shape[1]))


@pytest.fixture
def values() -> np.ndarray:
    drawn = np.random.default_rng(1).normal(size=(30, 11)).astype(np.float32)
    drawn[4, 3] = np.nan
    return drawn


def test_indexing_is_that_of_an_array(values: np.ndarray) -> None:
    """Rows in any order, twice or not at all; any range of slices."""
    streamed = cut(values, (7, 12, 11))
    for rows in (np.array([3, 29, 0, 3]), np.array([], dtype=np.int64), slice(None)):
        for part in (slice(None), slice(2, 9), slice(8, 99)):
            np.testing.assert_array_equal(streamed[rows, part], values[rows, part])


def test_taking_and_stacking_are_those_of_an_array(values: np.ndarray) -> None:
    """Rows taken in an order of one's own, then other rows below, held or streamed."""
    streamed, every = cut(values, (7, 12, 11)), (slice(None), slice(None))
    rows = np.array([5, 28, 1, 17])
    np.testing.assert_array_equal(taken(streamed, rows)[every], values[rows])
    np.testing.assert_array_equal(taken(taken(streamed, rows), np.array([3, 0]))[every], values[rows[[3, 0]]])
    below = values[:4] * 2
    for first, second in ((streamed, below), (values, cut(below, (1, 3))), (streamed, cut(below, (4,)))):
        np.testing.assert_array_equal(stacked(first, second)[every], np.concatenate([values, below]))
    assert isinstance(stacked(values, below), np.ndarray)
    seen = np.concatenate([where for where, _ in blocks(stacked(streamed, below))])
    assert sorted(seen.tolist()) == list(range(34))


def test_blocks_that_are_not_asked_for_are_not_read(values: np.ndarray) -> None:
    """References lie in few blocks; the others stay where they are."""

    def unread() -> np.ndarray:
        raise AssertionError("read")

    first = Block(np.arange(10), np.arange(10), lambda: values[:10])
    streamed = StreamedCosines((first, Block(np.arange(10, 30), np.arange(20), unread)), (30, 11))
    np.testing.assert_array_equal(streamed[np.array([2, 7]), slice(0, 4)], values[[2, 7], :4])
    np.testing.assert_array_equal(taken(streamed, np.array([9, 1]))[slice(None), slice(None)], values[[9, 1]])


def test_weighted_means_are_the_same(values: np.ndarray) -> None:
    """Every pair's mean, block by block."""
    weights = np.random.default_rng(2).normal(size=(4, 11))
    np.testing.assert_allclose(
        weighted_means(cut(values, (7, 12, 11)), weights), weighted_means(values, weights), atol=1e-6
    )


def test_an_audit_is_judged_alike() -> None:
    """Flags, tests and bounds do not depend on where the cosines lie."""
    cohort = planted(World(effect=1.0), 3)
    sizes = (40, 50, 60)
    table = replace(cohort.table, cosines=cut(np.asarray(cohort.table.cosines), sizes))

    def judged(one: SignalTable) -> object:
        result, findings = judge(
            one, cohort.base, cohort.facts, FAST, identity=IDENTITY, spike=None, shuffled=None,
            progress=silent,
        )  # fmt: skip
        return result.exposure, result.slices_kept, [finding.flagged for finding in findings]

    assert judged(table) == judged(cohort.table)


def test_cosines_that_are_gone_are_an_error() -> None:
    """A finished step without its cosines gives no numbers."""
    with pytest.raises(AuditError, match="are gone"):
        read_cosines(Shelf(MemoryStore(), {"step": 1}), 4)


class FileStore:
    """A store on disk, so that what is kept is not in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> bytes | None:
        file = self.folder / key
        return file.read_bytes() if file.exists() else None

    def put(self, key: str, blob: bytes) -> None:
        (self.folder / key).write_bytes(blob)


def test_rows_leave_memory_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the cosines of all pairs take is all but gone where they go to the store step by step."""
    llava = open_model(tiny.write_llava(tmp_path / "model"), "image-text-to-text")
    members = [tiny.sample(n).pair_id for n in range(4)]

    def peak(count: int, held: int) -> tuple[int, int]:
        pairs = [tiny.sample(n) for n in range(count)]
        store = FileStore(Path(mkdtemp(dir=tmp_path)))
        monkeypatch.setattr(audit_core.collect, "HELD_BYTES", held)
        gc.collect()  # else what earlier work left in cycles goes, or comes, while this is measured
        tracemalloc.start()
        table, _ = collect_signals(
            llava, pairs, members, bank=(), base=None, settings=SETTINGS, progress=silent,
            shelf=Shelf(store),
        )  # fmt: skip
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found, 4 * count * table.cosines.shape[1]

    peak(33, 0)  # what is made once and kept (caches, imports) is not of the table
    (many, size), (whole, _) = peak(128, 0), peak(128, 1 << 40)
    assert whole - many > 0.9 * size
