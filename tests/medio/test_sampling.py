from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medio.sampling import Stratum, drawn, largest_match, matched

LEVELS = st.tuples(st.sampled_from("XYZ"), st.sampled_from("12"))
STRATA = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), LEVELS, max_size=30)


@given(STRATA, st.data())
def test_a_draw_has_the_size_asked_for_and_is_even(strata: dict[str, Stratum], data: st.DataObject) -> None:
    """Exactly so many, and every stratum gives its share rounded up or down."""
    wanted, seed = data.draw(st.integers(0, len(strata))), data.draw(st.integers(0, 9))
    found = drawn(strata, wanted, seed=seed, purpose="test")
    assert len(found) == wanted and found <= strata.keys()
    for level in (1, 2):
        for stratum, count in Counter(stratum[:level] for stratum in strata.values()).items():
            share = wanted * count / len(strata)
            assert abs(sum(strata[one][:level] == stratum for one in found) - share) < 1


@given(STRATA)
def test_a_draw_does_not_depend_on_the_order(strata: dict[str, Stratum]) -> None:
    """The same handles, strata and seed give the same draw."""
    backwards = dict(reversed(strata.items()))
    wanted = len(strata) // 2
    assert drawn(strata, wanted, seed=3, purpose="a") == drawn(backwards, wanted, seed=3, purpose="a")


def test_everybody_has_the_same_chance() -> None:
    """Over many seeds each patient is drawn as often, also the only one of a stratum."""
    strata: dict[str, Stratum] = {f"p{n}": ("rare" if n == 0 else "usual",) for n in range(10)}
    times = Counter(one for seed in range(2000) for one in drawn(strata, 4, seed=seed, purpose="chance"))
    assert all(abs(times[one] / 2000 - 0.4) < 0.05 for one in strata)  # 4.5 standard errors


@given(STRATA, STRATA, st.data())
def test_a_match_has_the_shape_of_its_pattern(
    strata: dict[str, Stratum], pattern: dict[str, Stratum], data: st.DataObject
) -> None:
    """As many as can be matched are found, each stratum with the share it has in the pattern."""
    largest = largest_match(strata, pattern)
    wanted = data.draw(st.integers(0, largest))
    found = matched(strata, pattern, wanted, seed=1, purpose="test")
    assert len(found) == wanted
    shape = Counter(kind for kind, _ in pattern.values())
    assert {strata[one][0] for one in found} <= shape.keys()
    for kind, count in shape.items():
        assert abs(sum(strata[one][0] == kind for one in found) - wanted * count / len(pattern)) < 1


def test_more_than_there_are_is_an_error() -> None:
    """Nothing is made up."""
    with pytest.raises(ValueError, match="more are wanted"):
        drawn({"a": ("X",)}, 2, seed=0, purpose="test")
    with pytest.raises(ValueError, match="more are wanted"):
        matched({"a": ("X",)}, {"b": ("Y",)}, 1, seed=0, purpose="test")
