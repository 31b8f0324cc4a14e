"""Scores to figures: AUROC and TPR against their definitions, intervals by patient, comparisons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from detection.exposures import EXPOSURES
from detection.figures import auroc, comparisons, interval, musts, roc, rows, tpr_at
from detection.jobs import setting_of
from detection.page import NoMarks, measured, put, robustness
from detection.pictures import draw
from detection.scoring import Outcome, Scores
from detection.tables import markdown, result
from sklearn.metrics import roc_auc_score, roc_curve


def _scores(
    detector: str = "one", effect: float = 1.0, seed: int = 0, *, size: int = 140, needs_base: bool = False
) -> Scores:
    rng = np.random.default_rng([seed, len(detector)])
    patients = [f"p{number}" for number in np.random.default_rng(seed).permutation(3 * size)[: 2 * size]]
    return Scores(
        "setting", detector, seed, rng.normal(effect, 1, size), rng.normal(0, 1, size),
        tuple(patients[:size]), tuple(patients[size:]), needs_base,
    )  # fmt: skip


@pytest.mark.parametrize("ties", [False, True])
def test_auroc_and_tpr_are_as_defined(ties: bool) -> None:
    """They equal scikit-learn's, with ties too."""
    rng = np.random.default_rng(4)
    members, others = rng.normal(0.7, 1, 90), rng.normal(0, 1, 110)
    if ties:
        members, others = np.round(members), np.round(others)
    truth, values = np.r_[np.ones(90), np.zeros(110)], np.r_[members, others]
    false, true, _ = roc_curve(truth, values, drop_intermediate=False)
    assert auroc(members, others) == pytest.approx(roc_auc_score(truth, values))
    for level in (0.01, 0.05, 0.3):
        assert tpr_at(members, others, level) == pytest.approx(true[false <= level].max())


def test_a_curve_ends_at_one() -> None:
    """At a false positive rate of 1 everything is found; it never falls."""
    curve = roc([_scores(), _scores(seed=1)], np.linspace(0, 1, 51))
    assert curve[-1] == 1.0
    assert (np.diff(curve) >= 0).all()


def test_three_seeds_over_the_same_patients_are_not_three_times_the_evidence() -> None:
    """The same scores in three seeds have the interval of one; other patients in each narrow it."""
    one = _scores()
    again = [replace(one, seed=seed) for seed in range(3)]
    apart = [
        replace(
            _scores(seed=seed),
            member_patients=tuple(f"{seed} {p}" for p in one.member_patients),
            other_patients=tuple(f"{seed} {p}" for p in one.other_patients),
        )
        for seed in range(3)
    ]
    (single,), (same,), (more,) = (rows(group, ["setting"]) for group in ([one], again, apart))
    width = [high - low for low, high in (single.ci, same.ci, more.ci)]
    assert width[1] == pytest.approx(width[0])
    assert width[2] < 0.75 * width[0]


def test_intervals_cover_the_truth() -> None:
    """Of 60 intervals for detectors of known AUROC (.760), few miss it."""
    found = [rows([_scores(seed=seed, size=60)], ["setting"])[0] for seed in range(60)]
    missed = sum(not row.ci[0] <= 0.760 <= row.ci[1] for row in found)
    assert missed <= 9


def test_rates_are_printed_only_where_they_are_resolved() -> None:
    """Fewer than one expected false positive: no figure; fewer than ten: rough (METHOD §7)."""
    few, some, many = (
        rows([_scores(seed=s, size=size) for s in range(seeds)], ["setting"])[0].plain()
        for size, seeds in ((15, 1), (140, 1), (140, 8))
    )
    assert (None, None, []) == (few["tpr5"], few["tpr1"], few["rough"])
    assert ["tpr5", "tpr1"] == some["rough"]
    assert [] == many["rough"]
    assert many["tpr1"] is not None


def test_detectors_are_compared_with_those_that_had_the_same_inputs() -> None:
    """With base: against all singles. Without: against those that need none. Never against a combination."""
    found = rows(
        [
            _scores("fused", 3.0, needs_base=True),
            _scores("fused without base", 1.5),
            _scores("rank_average", 9.0),
            _scores("base_referenced", 2.5, needs_base=True),
            _scores("loss", 1.0),
            _scores("gradaudit", 0.5),
        ],
        ["setting"],
    )
    best = {
        line["detector"]: line["against"]
        for line in comparisons(found)
        if line["must"] == "fused - best single"
    }
    assert {"fused": "base_referenced", "fused without base": "loss"} == best


def test_one_line_per_must_names_the_worst_setting() -> None:
    """Least, mean and where the least is; GradAudit counts where it leaves room."""
    lines = [
        {"detector": "fused", "must": "fused - best single", "setting": "a", "auroc_difference": 0.02,
         "against_auroc": 0.9},
        {"detector": "fused", "must": "fused - best single", "setting": "b", "auroc_difference": -0.01,
         "against_auroc": 0.9},
        {"detector": "fused", "must": "fused - gradaudit", "setting": "a", "auroc_difference": 0.3,
         "against_auroc": 0.6, "tpr5_ratio": 4.0},
        {"detector": "fused", "must": "fused - gradaudit", "setting": "b", "auroc_difference": 0.01,
         "against_auroc": 0.97, "tpr5_ratio": 1.0},
    ]  # fmt: skip
    single, gain, ratio = musts(lines)
    assert (-0.01, "b", 0.005, 2) == tuple(single[k] for k in ("least", "least_at", "mean", "settings"))
    assert (0.3, "a", 1) == tuple(gain[k] for k in ("least", "least_at", "settings"))
    assert 4.0 == ratio["least"]


def test_a_difference_has_the_interval_of_paired_draws() -> None:
    """A detector against itself differs by nothing, with an interval of nothing."""
    (one,) = rows([_scores()], ["setting"])
    assert (0.0, 0.0) == interval(one.draws - one.draws)
    (two,) = rows([replace(_scores(), detector="other")], ["setting"])
    assert (0.0, 0.0) == interval(one.draws - two.draws)


def test_the_page_takes_figures_between_its_marks(tmp_path: Path) -> None:
    """What stood there is replaced, the rest of the page stays; a page without marks is left alone."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- paper -->\nold\n<!-- end of paper -->\nafter\n", encoding="utf-8")
    put(page, "paper", "new")
    put(page, "paper", "newer")
    text = page.read_text(encoding="utf-8")
    assert "before\n<!-- paper -->\n\nnewer\n\n<!-- end of paper -->\nafter\n" == text
    with pytest.raises(NoMarks):
        put(page, "detectors", "new")
    assert text == page.read_text(encoding="utf-8")


def test_every_row_reaches_the_page() -> None:
    """Detectors of an audit with intervals and rates, published ones by AUROC, perturbations by condition."""
    names = ("fused", "fused without base", "loss", "gradaudit", "somebody_s")
    exposure, condition = EXPOSURES[1].name, setting_of("blur")
    scores = [replace(_scores(name), setting=where) for name in names for where in (exposure, condition)]
    _, plain = result([Outcome(scores=scores)], {"patients": 280, "base_only": 0}, 60)
    text = measured(plain, [Path("pictures/detection-roc.png")])
    for name in names:
        assert name in text
    assert "(pictures/detection-roc.png)" in text
    assert "| blur |" not in text and "| blur |" in robustness(plain)
    assert "fused - best single, AUROC: least" in text
    assert markdown(plain).count("\n| fine-tuned 3 epochs | ") >= len(names)


def test_pictures_are_drawn_of_whatever_there_is(tmp_path: Path) -> None:
    """One setting or several, with and without weak ones: the pictures that apply are written."""
    strong = [replace(_scores(name), setting="strong") for name in ("fused", "fused without base", "loss")]
    weak = [replace(one, setting="weak") for one in strong]
    few = draw(rows(strong, ["strong"]), ["weak"], tmp_path / "few")
    all_of_them = draw(rows([*strong, *weak], ["strong", "weak"]), ["weak"], tmp_path / "all")
    assert ["detection-roc.png", "detection-roc-log.png"] == [path.name for path in few]
    assert "detection-weak.svg" == all_of_them[-1].name
    assert all(path.stat().st_size > 2000 for path in (*few, *all_of_them))
