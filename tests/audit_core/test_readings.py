"""Readings against slow obvious versions, and what they must never do."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.loading import open_model
from audit_core.batches import Feed, Pace
from audit_core.collect import collect_signals
from audit_core.detectors.seam import all_detectors
from audit_core.errors import BadSample
from audit_core.readings import generated_text, neurons, prefixes, word_frequency
from audit_core.readings.images import CORRUPTIONS, corrupted
from audit_core.readings.prices import OF_BASE, PASSES, READ_BY, passes
from audit_core.readings.seam import Scene, readings, suited
from audit_core.samples import Sample, Settings
from audit_core.store import MemoryStore, Shelf
from audit_core.thresholds import OFFICERS
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.generative_models import write_llava

LANGUAGE, CONTRASTIVE = "image-text-to-text", "contrastive"
SETTINGS = Settings(batch_size=4, minimum_bank=4, max_text_tokens=40)
PAIRS = [
    replace(tiny.sample(n), text=text)
    for n, text in enumerate(
        (
            "No acute finding",
            "Left lung is clear",
            "Normal heart",
            "Opacity Right LUNG",
            "no poison",
            "IS clear",
        )
    )
]
BANK = [tiny.sample(n) for n in range(50, 58)]


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> ModelAdapter:
    return open_model(write_llava(tmp_path_factory.mktemp("model") / "llava"), LANGUAGE)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> ModelAdapter:
    return open_model(tiny.write_clip(tmp_path_factory.mktemp("model")), CONTRASTIVE)


def scene(adapter: ModelAdapter) -> Scene:
    """Two members, two controls, two others."""
    anchors = adapter.anchors(BANK, 40, 4)
    feed = Feed(adapter, anchors, SETTINGS, lambda step: None, Pace(4))
    return Scene(feed, tuple(PAIRS[:2]), tuple(PAIRS[2:4]))


def read(
    name: str, adapter: ModelAdapter, pairs: Sequence[Sample] = PAIRS
) -> Mapping[str, NDArray[np.float64]]:
    found = readings()[name].open(scene(adapter))(pairs)
    assert set(found) == set(readings()[name].scalars)
    return found


def test_report_entropies_are_those_the_forward_pass_gives(llava: ModelAdapter, clip: ModelAdapter) -> None:
    """Shannon over all positions is the mean entropy, ∞ the best log-probability, of both families."""
    for adapter in (llava, clip):
        found, batch = read("renyi", adapter), adapter.encode(PAIRS, 40)
        scalars = adapter.forward(batch, adapter.anchors(BANK, 40, 4)).scalars
        for name, own in (("renyi_text_100_1", "neg_entropy"), ("renyi_text_100_inf", "max_logp")):
            np.testing.assert_allclose(found[name], scalars[own].numpy(), atol=1e-4)


def test_both_slices_are_one_after_the_other(llava: ModelAdapter) -> None:
    """The mean over image and report is the mean of theirs, weighted by their numbers of positions."""
    of_image, of_text = read("renyi_image", llava), read("renyi", llava)
    batch = llava.encode(PAIRS, 40)
    told = np.array([len(ids) for ids in llava.report_ids(batch)])
    seen = (batch.tensors["input_ids"] == llava.image_token_id).sum(1).numpy()  # type: ignore[attr-defined]
    wanted = seen * of_image["renyi_image_100_2"] + told * of_text["renyi_text_100_2"]
    np.testing.assert_allclose(of_image["renyi_both_100_2"], wanted / (seen + told), atol=1e-4)
    larger = np.minimum(of_image["renyi_image_max_1"], of_text["renyi_text_max_1"])
    np.testing.assert_allclose(of_image["renyi_both_max_1"], larger, atol=1e-4)


def test_the_divergence_is_that_of_every_corruption(clip: ModelAdapter) -> None:
    """The mean over corruptions of the KL of both softmaxes, each by hand from the logits."""
    found = read("augmentation_kl", clip)["augmentation_kl"]
    anchors = clip.anchors(BANK, 40, 4)
    wanted = np.zeros(len(PAIRS))
    for how in CORRUPTIONS:
        both = [PAIRS, [corrupted(pair, how) for pair in PAIRS]]
        own, moved = (clip.predictions(clip.encode(pairs, 40), anchors) for pairs in both)
        for b in range(len(PAIRS)):
            p, q = (torch.softmax(x[b].states_PD.double(), dim=1) for x in (own, moved))
            wanted[b] += float((p * (p / q).log()).sum(1).mean()) / len(CORRUPTIONS)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)
    assert (found > 0).all()


def test_the_similarity_is_that_of_every_corruption(llava: ModelAdapter, clip: ModelAdapter) -> None:
    """The mean over corruptions of the cosine of the images' vectors, pair by pair."""
    for adapter in (llava, clip):
        found = read("image_similarity", adapter)["image_similarity"]
        for b, pair in enumerate(PAIRS):
            own = adapter.image_vectors(adapter.encode([pair], 40))[0]
            moved = [
                adapter.image_vectors(adapter.encode([corrupted(pair, how)], 40))[0] for how in CORRUPTIONS
            ]
            assert found[b] == pytest.approx(np.mean([float(own @ other) for other in moved]), abs=1e-4)


@pytest.mark.parametrize("how", CORRUPTIONS)
def test_a_corruption_is_mild(how: str) -> None:
    """It keeps shape and kind, moves something, and no pixel of a smooth image by more than a sixth."""
    ramp = np.linspace(0, 200, 64 * 48 * 3).reshape(64, 48, 3).astype(np.uint8)
    moved = CORRUPTIONS[how](ramp)
    assert (moved.shape, moved.dtype) == (ramp.shape, np.uint8)
    change = np.abs(moved.astype(int) - ramp.astype(int))
    assert 0 < change.max() <= 256 / 6


def test_lower_case_is_read_off_the_other_text(llava: ModelAdapter) -> None:
    """−L of the lowered text: the same where nothing is a capital, another number where something is."""
    known = scene(llava)
    known.feed.encode(PAIRS)  # as written, and kept: the other text must not be taken for it
    found = readings()["lower_case"].open(known)(PAIRS)["neg_loss_lower_case"]
    own = -llava.forward(llava.encode(PAIRS, 40)).losses_B.detach().numpy()
    lowered = [replace(pair, text=pair.text.lower()) for pair in PAIRS]
    wanted = -llava.forward(llava.encode(lowered, 40)).losses_B.detach().numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert [pair.text == pair.text.lower() for pair in PAIRS] == np.isclose(found, own, atol=1e-5).tolist()


def test_bytes_are_of_what_reaches_the_model(llava: ModelAdapter) -> None:
    """The compressed text is that of the tokens within the limit, not of the whole report."""
    short = replace(PAIRS[0], text="lung " * 40)
    found = read("compressed_text", llava, [PAIRS[0], short])["text_bytes"]
    told = [" No acute finding", (" lung" * 40)[:40]]  # one token a byte
    assert found.tolist() == [len(zlib.compress(text.encode())) for text in told]


def test_dc_pdd_is_the_formula(llava: ModelAdapter) -> None:
    """A plain loop over first occurrences, frequencies counted word by word."""
    counts = word_frequency.word_counts()
    shares = word_frequency.token_shares(llava, {"lung": 3, "Left": 2})
    by_hand = [1] * llava.outcomes
    for word, count in (("lung", 3), ("Left", 2)):
        for token in llava.token_ids(word):
            by_hand[token] += count
    np.testing.assert_allclose(shares, np.array(by_hand) / sum(by_hand))
    assert counts["lung"] > 10 and shares.min() > 0
    p, ids = np.array([0.5, 1e-4, 0.9, 2e-4]), np.array([7, 9, 7, 3])
    surprise = -np.log(np.linspace(0.01, 0.1, 10))
    terms = [min(p[t] * surprise[ids[t]], 0.01) for t in (0, 1, 3)]
    assert word_frequency.calibrated(p, ids, surprise) == pytest.approx(sum(terms) / 3)


def test_dc_pdd_takes_the_models_own_probabilities(llava: ModelAdapter) -> None:
    """Token by token from the forward pass of a single pair."""
    found = read("word_frequency", llava)["dc_pdd"]
    surprise = -np.log(word_frequency.token_shares(llava, word_frequency.word_counts()))
    for b, pair in enumerate(PAIRS):
        batch = llava.encode([pair], 40)
        tokens = llava.forward(batch).tokens_PC
        assert tokens is not None
        seen: dict[int, float] = {}
        for token, logp in zip(llava.report_ids(batch)[0], tokens[:, 0].tolist(), strict=True):
            seen.setdefault(token, min(math.exp(logp) * surprise[token], 0.01))
        assert found[b] == pytest.approx(np.mean(list(seen.values())), rel=1e-4)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no acute finding", "no acute finding"),
        ("No, acute finding!", "no acute finding in the left lung"),
        ("lung left the clear is", "the left lung is clear"),
        ("", "the left lung"),
        ("right", "left"),
    ],
)
def test_rouge_is_the_longest_common_subsequence(said: str, told: str) -> None:
    """Against the recursion over all suffixes."""
    a, b = ("".join(c if c.isalnum() else " " for c in text.lower()).split() for text in (said, told))

    @cache
    def longest(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return 0
        if a[i] == b[j]:
            return 1 + longest(i + 1, j + 1)
        return max(longest(i + 1, j), longest(i, j + 1))

    wanted = 2 * longest(0, 0) / (len(a) + len(b))
    assert generated_text.rouge_l(said, told) == pytest.approx(wanted)


def test_a_pair_is_never_its_own_prefix() -> None:
    """No report before a pair's own is of its patient, and every other pair has the same ones before it."""
    donors = [replace(tiny.sample(n), text=f"text {n}") for n in range(7)]
    usual = prefixes.prefix(tiny.sample(20), donors)
    assert usual == tuple(f"text {n}" for n in range(prefixes.SHOTS))
    for donor in donors:
        own = prefixes.prefix(donor, donors)
        assert donor.text not in own and len(own) == prefixes.SHOTS
        sibling = prefixes.prefix(replace(tiny.sample(30), patient=donor.patient), donors)
        assert sibling == own
    assert prefixes.prefix(donors[0], donors[:1]) == ()


def test_a_prefix_is_read_before_the_report(llava: ModelAdapter) -> None:
    """−L of each pair alone behind its own prefix, whatever batch it is read in."""
    donors = {"after_controls": PAIRS[2:4], "after_members": PAIRS[:2]}
    for name, own in donors.items():
        found = read(name, llava)[f"neg_loss_{name}"]
        for b, pair in enumerate(PAIRS):
            batch = llava.encode_after([pair], prefixes.prefix(pair, own), 40)
            assert found[b] == pytest.approx(-llava.forward(batch).losses_B.item(), abs=1e-4)


def test_neurons_are_compared_as_by_hand(llava: ModelAdapter, clip: ModelAdapter) -> None:
    """Patterns pair by pair, means over the other references, cosines layer by layer."""
    for adapter in (llava, clip):
        found = read("neurons", adapter)["neuron_similarity"]
        by_hand = [neurons.patterns(scene(adapter).feed, [pair], adapter.feed_forward()) for pair in PAIRS]
        for b in range(len(PAIRS)):
            gaps = []
            for layer in adapter.feed_forward():
                own = by_hand[b][layer][0].numpy()
                means = [
                    np.mean([by_hand[i][layer][0].numpy() for i in group if i != b], axis=0)
                    for group in ((0, 1), (2, 3))
                ]
                close = [own @ m / np.linalg.norm(own) / np.linalg.norm(m) for m in means]
                gaps.append(close[0] - close[1])
            assert found[b] == pytest.approx(np.mean(gaps), abs=1e-6)


def test_patterns_are_shares_of_the_positions_that_count(llava: ModelAdapter) -> None:
    """By hand from the neurons at the positions that predict the report; padding changes nothing."""
    names = llava.feed_forward()
    found = neurons.patterns(scene(llava).feed, PAIRS, names)
    for b, pair in enumerate(PAIRS):
        batch, seen = llava.encode([pair], 40), {}
        llava.neurons(batch, None, names, seen.__setitem__)
        told = llava.text_positions(batch)[0]
        for name in names:
            wanted = (seen[name][0][told] > 0).double().mean(0)
            torch.testing.assert_close(found[name][b], wanted)
            assert 0 < wanted.mean() < 1


def test_a_member_like_pair_is_above_a_control_like_one(llava: ModelAdapter) -> None:
    """Where members all say one thing and controls another, who says the members' is scored higher."""
    say = lambda n, text: replace(tiny.sample(n), text=text)  # noqa: E731
    members = tuple(say(n, "lung lung lung") for n in range(4))
    controls = tuple(say(n, "NO 1234 !!") for n in range(10, 14))
    look = neurons.opened(replace(scene(llava), members=members, controls=controls))
    up, down = look([say(30, "lung lung lung"), say(31, "NO 1234 !!")])["neuron_similarity"]
    assert up > 0.01 > -0.01 > down


def test_a_reference_that_cannot_be_read_is_in_no_mean(llava: ModelAdapter) -> None:
    """An empty report among the members leaves the numbers of all others as they are without it."""
    plain = scene(llava)
    empty = replace(tiny.sample(40), text="")
    look = neurons.opened(replace(plain, members=(*plain.members, empty)))
    wanted = neurons.opened(plain)(PAIRS[4:])["neuron_similarity"]
    np.testing.assert_allclose(look(PAIRS[4:])["neuron_similarity"], wanted, atol=1e-9)
    with pytest.raises(BadSample):
        look([empty])


@pytest.mark.parametrize("family", [LANGUAGE, CONTRASTIVE])
def test_what_cannot_be_read_is_unscored_and_touches_nobody(
    family: str, llava: ModelAdapter, clip: ModelAdapter
) -> None:
    """With a bad pair in the batch every other pair has the numbers it has without it."""
    adapter = llava if family == LANGUAGE else clip
    bad = replace(tiny.sample(41), text=" ")
    chosen = [one for one in suited(readings(), family) if not one.needs_base]
    members = [pair.pair_id for pair in PAIRS[:2]]
    quiet = lambda step: None  # noqa: E731
    folds = {pair.pair_id: n % 2 for n, pair in enumerate(PAIRS[:4])}
    tables = [
        collect_signals(
            adapter,
            pairs,
            members,
            folds=folds,
            readings=chosen,
            bank=BANK,
            base=None,
            settings=SETTINGS,
            progress=quiet,
        )[0]
        for pairs in (PAIRS, [*PAIRS[:3], bad, *PAIRS[3:]])
    ]
    assert set(tables[1].unscored) == {bad.pair_id} and not tables[0].unscored
    wanted = {scalar for one in chosen for scalar in one.scalars}
    assert wanted <= set(tables[0].scalars)
    rows = [n for n, pair in enumerate(tables[1].pair_ids) if pair != bad.pair_id]
    for name, values in tables[0].scalars.items():
        np.testing.assert_allclose(values, tables[1].scalars[name][rows], rtol=2e-3, atol=2e-4, err_msg=name)


def test_every_reading_has_its_price() -> None:
    """Prices and needs, written down because an estimate must not import torch, are those of the registry."""
    assert {name: one.passes for name, one in readings().items()} == PASSES
    assert {name for name, one in readings().items() if one.needs_base} == OF_BASE
    needs = {name: one.readings for name, one in all_detectors().items() if one.readings}
    assert needs == READ_BY
    assert passes("con_recall", False) == PASSES["after_controls"] + PASSES["after_members"]
    assert passes("renyi_text_10_2", True) == PASSES["renyi"] + PASSES["word_rows"]
    assert {passes(name, False) for name in OFFICERS} == {0.0}


def test_a_reading_needs_references_on_both_sides(llava: ModelAdapter) -> None:
    """Without fitting controls nothing is read after them, and no number stands where it would."""
    chosen = suited(("after_controls", "neurons", "lower_case"), LANGUAGE)
    table, _ = collect_signals(
        llava, PAIRS, [pair.pair_id for pair in PAIRS[:2]], bank=(), base=None, settings=SETTINGS,
        progress=lambda step: None, readings=chosen,
    )  # fmt: skip
    assert "neg_loss_lower_case" in table.scalars
    assert not {"neg_loss_after_controls", "neuron_similarity"} & set(table.scalars)


def test_a_reading_is_kept_by_the_references_it_looked_at(llava: ModelAdapter) -> None:
    """Finished steps are found bit by bit; after other controls the numbers are read anew."""
    shelf = Shelf(MemoryStore())
    chosen = suited(("after_controls",), LANGUAGE)

    def again(controls: Sequence[int]) -> list[float]:
        folds = {PAIRS[n].pair_id: n % 2 for n in (0, 1, *controls)}
        table, _ = collect_signals(
            llava, PAIRS, [pair.pair_id for pair in PAIRS[:2]], bank=(), base=None, settings=SETTINGS,
            progress=lambda step: None, readings=chosen, folds=folds, shelf=shelf,
        )  # fmt: skip
        return table.scalars["neg_loss_after_controls"].tolist()

    first = again((2, 3))
    assert first == again((2, 3))
    assert first != again((4, 5))
