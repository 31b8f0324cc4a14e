"""Coins: every one follows from seed and name, and from nothing else; shares and doses come out as asked."""

from __future__ import annotations

from fractions import Fraction

import pytest

from appliance.designs import draw
from appliance.errors import UsageError

SEED = bytes(range(32))
PEOPLE = [f"P-{number:06}" for number in range(20_000)]


def test_a_coin_is_frozen() -> None:
    """The draw is a format: whoever has a seed of today can redraw it in ten years."""
    assert draw.lot(SEED, "patient", "P-1").hex()[:16] == "ab53084f4afd3f09"
    assert draw.copies(SEED, "c") == 0


@pytest.mark.parametrize("share", ["0.5", "0.2", "0.05"])
def test_as_many_stay_as_the_share_says(share: str) -> None:
    """Within four standard deviations over twenty thousand people."""
    asked = draw.share_of(share)
    held = sum(draw.stays(SEED, one, asked) for one in PEOPLE)
    expected = float(asked) * len(PEOPLE)
    assert abs(held - expected) < 4 * (expected * (1 - float(asked))) ** 0.5


def test_coins_say_nothing_about_each_other() -> None:
    """Another seed gives another half of the same people; patients' and canaries' coins are apart."""
    half = Fraction(1, 2)
    first = [draw.stays(SEED, one, half) for one in PEOPLE]
    second = [draw.stays(bytes(32), one, half) for one in PEOPLE]
    canaries = [draw.copies(SEED, one) > 0 for one in PEOPLE]
    for other in (second, canaries, [*first[1:], first[0]]):
        agree = sum(one == two for one, two in zip(first, other, strict=True))
        assert abs(agree - 10_000) < 300


def test_half_of_the_canaries_are_planted_in_one_four_or_sixteen_copies() -> None:
    """A fair coin for planting, a fair die for the dose."""
    counts = [draw.copies(SEED, one) for one in PEOPLE]
    assert set(counts) == {0, *draw.DOSES}
    assert abs(counts.count(0) - 10_000) < 300
    assert all(abs(counts.count(dose) - 3_333) < 250 for dose in draw.DOSES)


def test_parts_of_a_name_cannot_be_moved() -> None:
    """("ab", "c") and ("a", "bc") are two things."""
    assert draw.lot(SEED, "x", "ab", "c") != draw.lot(SEED, "x", "a", "bc")
    assert draw.lot(SEED, "xa", "b") != draw.lot(SEED, "x", "ab")


@pytest.mark.parametrize("share", ["0", "1", "0.0", "1.0", "-0.5", "half", "0.1234567", ".5", "5e-1", "0,5"])
def test_a_share_that_is_no_share_is_refused(share: str) -> None:
    """Neither nobody nor everybody can be held back."""
    with pytest.raises(UsageError, match="share"):
        draw.share_of(share)


@pytest.mark.parametrize(("canaries", "guesses"), [(0, 0), (8, 4), (10, 4), (64, 32)])
def test_half_of_the_canaries_are_guessed(canaries: int, guesses: int) -> None:
    """A quarter above and a quarter below, an even number."""
    assert draw.guesses(draw.canary_ids(SEED, canaries)) == guesses
