"""Where data alone tell targets from controls, no page, text or screen states a share."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from appliance import codec
from appliance.pack.pages import wording
from appliance.pack.pages.page import verdict_page
from appliance.pack.pages.text import verdict_text
from appliance.views import AuditView
from audit_core.results import AuditResult, ControlStatus, VerdictWord
from tests.appliance.evidence_case import view
from tests.appliance.test_limits_shown import FACTS
from tui.widgets.exposure import ExposureBlock

WHY = {
    ControlStatus.FAILED: "not stated: targets and controls can be told apart without the model",
    ControlStatus.NOT_APPLICABLE: "not stated: targets and controls were not compared without the model",
}


def seen(alike: ControlStatus | None) -> AuditView:
    """A REVIEW in which the blind baseline of targets ended so."""
    found = view(VerdictWord.REVIEW)
    assert found.result.exposure is not None
    number = {} if alike in (None, ControlStatus.PASSED) else {"prevalence_lower": 0.0}
    exposure = replace(found.result.exposure, targets_alike=alike, **number)
    if number:
        exposure = replace(exposure, prevalence_estimate=None, prevalence_ci=None)
    return replace(found, result=replace(found.result, exposure=exposure))


def everywhere(found: AuditView) -> list[str]:
    """The audit as page, as text and as the screen's block."""
    block = ExposureBlock(found.result, found.verdict.word)
    screen = " ".join(content.plain.strip() for content in block.draw(96))
    return [verdict_page(found, FACTS), verdict_text(found), screen]


@pytest.mark.parametrize("alike", list(WHY))
def test_no_share_is_shown_and_the_reason_is(alike: ControlStatus) -> None:
    """Page, text and screen name the reason, and neither bound nor estimate."""
    for shown in everywhere(seen(alike)):
        assert WHY[alike] in " ".join(shown.split())
        assert "lower bound" not in shown and "% bound" not in shown and "stimate" not in shown


def test_a_count_of_flags_has_no_interval() -> None:
    """Page, text and screen count flags; an interval would be read as that of the exposed share."""
    found = seen(ControlStatus.PASSED)
    assert found.result.exposure is not None
    for shown in everywhere(found):
        counted = " ".join(shown.split())
        assert "flagged as exposed" in counted and "flagged as exposed (" not in counted
        assert wording.percent_interval(found.result.exposure.flagged_ci) not in counted


def test_flags_hang_on_controls_like_targets() -> None:
    """Page and screen tell what false flags depend on, only where data alone disprove it."""
    for place in (0, 2):
        assert "which data alone disprove" in " ".join(everywhere(seen(ControlStatus.FAILED))[place].split())
        assert "which data alone" not in everywhere(seen(ControlStatus.PASSED))[place]


@pytest.mark.parametrize("alike", [ControlStatus.PASSED, None])
def test_shares_are_shown_where_the_groups_are_alike(alike: ControlStatus | None) -> None:
    """Passed, and closed by an earlier version: bound and estimate are there."""
    for shown in everywhere(seen(alike)):
        assert "35 %" in shown and "49 %" in shown and "not stated" not in shown


def test_an_exposure_of_an_earlier_version_loads() -> None:
    """A stored exposure without the outcome of the gate loads, and has none."""
    document = json.loads(codec.dump(view().result))
    del document["exposure"]["targets_alike"]
    loaded = codec.load(AuditResult, json.dumps(document))
    assert loaded.exposure is not None and loaded.exposure.targets_alike is None
    assert wording.share_bounds(loaded, VerdictWord.FAIL).startswith("at least 35 %")
