"""The blind baseline: can a pair's role be told from the data alone, without any model?

If it can, a detector that separates the roles may be reading the data's origin instead of the model's memory
(METHOD §6). Text, acquisition facts and pixels are tried each on its own and together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core import logistic
from audit_core.ranking import Resampler, auroc
from audit_core.results import Interval
from audit_core.samples import PairFacts, Sample

Floats = NDArray[np.float64]

FOLDS = 5
REPEATS = 3
"""Ways of dealing out the folds, averaged: a single one moves the AUROC more than its interval says."""
GRID = 8
BINS = 16
PIXEL_FEATURES = 3 + BINS + 4 + 2 + GRID * GRID
C = 0.1
MAX_TERMS = 2000
MAX_TEMPLATES = 50
WORDS = "words"


@dataclass(frozen=True, slots=True)
class BlindResult:
    """One contrast: out-of-fold scores [n] in the order given, and the best block.

    Attributes:
        scores: all blocks together, larger = looks more like the first group.
        auroc: of `scores`.
        best_block: the block whose lower bound is highest, with its AUROC and interval. Intervals are
            widened for the number of blocks, so that looking at several does not raise false alarms.
    """

    scores: Floats
    auroc: float
    best_block: str
    best_auroc: float
    best_ci: Interval


def pair_facts(sample: Sample) -> PairFacts:
    """Data-only facts of a sample; after this the image is not needed for the controls."""
    return PairFacts(
        sample.pair_id,
        sample.patient,
        sample.role,
        sample.text,
        sample.covariates,
        pixel_features(sample.image),
    )


def pixel_features(image: NDArray[np.uint8]) -> Floats:
    """[PIXEL_FEATURES] mean, sd, colour, histogram, border brightness, JPEG blockiness, 8x8 thumbnail."""
    pixels = image.astype(np.float64) / 255.0
    grey = pixels.mean(axis=2)
    colour = float(np.abs(pixels - grey[:, :, None]).mean())
    histogram = np.histogram(grey, bins=BINS, range=(0.0, 1.0))[0] / grey.size
    borders = [grey[0].mean(), grey[-1].mean(), grey[:, 0].mean(), grey[:, -1].mean()]
    rows = np.linspace(0, grey.shape[0] - 1, GRID).round().astype(int)
    columns = np.linspace(0, grey.shape[1] - 1, GRID).round().astype(int)
    thumbnail = grey[np.ix_(rows, columns)].ravel()
    block = [_blockiness(grey), _blockiness(grey.T)]
    return np.concatenate([[grey.mean(), grey.std(), colour], histogram, borders, block, thumbnail])


def _blockiness(grey: Floats) -> float:
    """Jumps across 8-pixel boundaries over jumps elsewhere (JPEG leaves some); 0 for tiny images."""
    if grey.shape[0] < 17:
        return 0.0
    jumps = np.abs(np.diff(grey, axis=0)).mean(axis=1)
    at_boundary = np.arange(1, grey.shape[0]) % 8 == 0
    return float(np.log((jumps[at_boundary].mean() + 1e-4) / (jumps[~at_boundary].mean() + 1e-4)))


def blind_baseline(
    facts: Sequence[PairFacts], first: NDArray[np.bool_], replicates: int, rng: np.random.Generator
) -> BlindResult:
    """Predict the group from data alone, five folds dealt out three times, one pair per patient.

    Args:
        facts: [n] of both groups, one pair per patient, so that folds are grouped by patient.
        first: [n] True for the first group.
        replicates: bootstrap draws.
        rng: the audit's generator.
    """
    splits = [stratified_folds(first, FOLDS, rng) for _ in range(REPEATS)]
    blocks = {
        name: np.mean([_out_of_fold(values, first, folds, name == WORDS) for folds in splits], axis=0)
        for name, values in feature_blocks(facts).items()
        if values.shape[1]
    }
    together = np.mean(list(blocks.values()), axis=0)
    blocks["all together"] = together
    draws = Resampler(int(first.sum()), int((~first).sum()), replicates, rng)
    level = 1.0 - 0.05 / len(blocks)
    intervals = {
        name: draws.interval(scores[first], scores[~first], level) for name, scores in blocks.items()
    }
    best = max(intervals, key=lambda name: intervals[name].low)
    return BlindResult(
        together,
        auroc(together[first], together[~first]),
        best,
        auroc(blocks[best][first], blocks[best][~first]),
        intervals[best],
    )


def stratified_folds(first: NDArray[np.bool_], folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """[n] fold numbers, each group dealt out evenly and at random."""
    chosen = np.empty(first.size, dtype=np.int64)
    for group in (first, ~first):
        chosen[group] = rng.permutation(np.arange(int(group.sum())) % folds)
    return chosen


def feature_blocks(facts: Sequence[PairFacts]) -> Mapping[str, Floats]:
    """Feature matrices [n, d] by block: words, text shape, acquisition, pixels."""
    return {
        WORDS: _words([fact.text for fact in facts]),
        "text shape": _text_shapes([fact.text for fact in facts]),
        "acquisition": _acquisition([fact.covariates for fact in facts]),
        "pixels": np.array([fact.pixels for fact in facts]),
    }


def _words(texts: Sequence[str]) -> Floats:
    # scikit-learn takes over a second to import; only the worker that runs controls pays for it.
    from sklearn.feature_extraction.text import TfidfVectorizer

    counted = TfidfVectorizer(ngram_range=(1, 2), min_df=2, max_features=MAX_TERMS, sublinear_tf=True)
    try:
        found: Floats = counted.fit_transform(texts).toarray().astype(np.float64)
    except ValueError:  # no term occurs twice: there is nothing to compare
        return np.empty((len(texts), 0))
    # The ridge model works on the n×n Gram matrix's axes: same fit, n columns instead of 2,000.
    left, size, _ = np.linalg.svd(found, full_matrices=False)
    axes: Floats = left * size
    return axes


def _text_shapes(texts: Sequence[str]) -> Floats:
    """[n, d] numbers of every text, and one-hot which template it follows where others follow it too."""
    numbers = np.array([_text_shape(text) for text in texts])
    alike = Counter(_masked(text) for text in texts)
    templates = [
        masked if alike[masked] > 1 else _headings(text)
        for text, masked in zip(texts, map(_masked, texts), strict=True)
    ]
    counted = Counter(templates)
    frequent = sorted(counted, key=lambda one: (-counted[one], one))[:MAX_TEMPLATES]
    columns = [
        [float(one == template) for one in templates]
        for template in frequent
        if 1 < counted[template] < len(texts)
    ]
    return np.column_stack([numbers, *columns])


def _masked(text: str) -> str:
    """The text but for its numbers, spacing and case: the same for two fillings of one template."""
    return " ".join(re.sub(r"\d", "0", text).casefold().split())


def _headings(text: str) -> str:
    """What stands before colons at the start of lines, in order: `findings|impression`."""
    found = re.findall(r"(?m)^[ \t]*([^\W\d_][^:\n]{0,40}):", text)
    return "|".join(" ".join(one.casefold().split()) for one in found)


def _text_shape(text: str) -> list[float]:
    letters = max(len(text), 1)
    words = text.split()
    return [
        float(np.log1p(len(text))),
        float(np.log1p(len(words))),
        sum(character.isdigit() for character in text) / letters,
        sum(character.isupper() for character in text) / letters,
        sum(not character.isalnum() and not character.isspace() for character in text) / letters,
        float(text.count("\n")),
    ]


def _acquisition(covariates: Sequence[Mapping[str, str | float]]) -> Floats:
    """Numbers as they are (missing: the mean), words one-hot, and whether each is there at all."""
    columns: list[list[float]] = []
    for key in sorted({key for entry in covariates for key in entry}):
        values = [entry.get(key) for entry in covariates]
        columns.append([float(value is not None) for value in values])
        numbers = [float(v) if isinstance(v, int | float) and np.isfinite(v) else None for v in values]
        known = [number for number in numbers if number is not None]
        if known:
            centre = sum(known) / len(known)
            columns.append([centre if number is None else number for number in numbers])
        for word in sorted({value for value in values if isinstance(value, str)}):
            columns.append([float(value == word) for value in values])
    return np.array(columns).T if columns else np.empty((len(covariates), 0))


def _out_of_fold(
    values: Floats, first: NDArray[np.bool_], folds: NDArray[np.int64], one_scale: bool
) -> Floats:
    """[n] log-odds of the first group, each fold scored by a model of the others, centred per fold model.

    Args:
        values: [n, d] features.
        first: [n] group.
        folds: [n].
        one_scale: all columns share a unit (axes of a Gram matrix), so they keep their relative size.
    """
    scores = np.zeros(first.size)
    for fold in range(FOLDS):
        train, asked = folds != fold, folds == fold
        if not asked.any() or not 0 < first[train].sum() < train.sum():
            continue
        centre, spread = values[train].mean(axis=0), values[train].std(axis=0)
        if one_scale:
            spread = np.full_like(spread, np.sqrt((spread**2).mean()))
        scale = np.where(spread > 1e-9, spread, np.inf)
        weights, _ = logistic.fit((values[train] - centre) / scale, first[train], C)
        scores[asked] = ((values[asked] - centre) / scale) @ weights
    return scores
