"""An audit as published from the door of the appliance: one policy of its own, also after an interruption."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import policy_file
from appliance.api import Appliance
from appliance.errors import PolicyError, UsageError
from appliance.views import Progress
from tests.appliance import small_site


class Stopped(Exception):
    """What a person does who presses escape."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace up to the frozen cohort."""
    return small_site.build(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo's policy with few repetitions."""
    text = (policy_file.FOLDER / "demo.toml").read_text().replace('name = "demo"', 'name = "quick"')
    for old, new in (("bootstrap = 10000", "bootstrap = 100"), ("simulations = 400", "simulations = 50")):
        assert old in text
        text = text.replace(old, new)
    file = tmp_path_factory.mktemp("policy") / "quick.toml"
    file.write_text(text)
    return str(file)


def silent(progress: Progress) -> None: ...


def stop_in_the_middle(progress: Progress) -> None:
    if progress.phase == "signals" and progress.done >= progress.total // 2:
        raise Stopped


def test_it_goes_on_as_it_began(site: Path, policy: str) -> None:
    """Cut off and resumed: still as published, under the digest of the policy made for it."""
    with Appliance.unlock(site, small_site.PASSPHRASE) as appliance:
        with pytest.raises(Stopped):
            appliance.run_audit(
                "tiny", "spring", policy, stop_in_the_middle, as_published=True, mask="adaptive_keep"
            )
        (row,) = appliance.audits()
        view = appliance.resume_audit(row.audit_id, silent)
    expected = policy_file.published(policy_file.load(policy), "adaptive_keep")
    assert (view.row.policy, view.policy_digest) == (expected.policy.name, expected.digest)
    assert (view.result.as_published, view.result.deciding_detector) == (True, "gradaudit")
    assert "as published" in view.sample_note


def test_what_cannot_be_as_published_is_refused_before_anything_is_written(site: Path, policy: str) -> None:
    """A mask of ours, a mask without the option: no audit, no entry in the log."""
    with Appliance.unlock(site, small_site.PASSPHRASE) as appliance:
        before = [row.audit_id for row in appliance.audits()], appliance.log_count()
        with pytest.raises(PolicyError, match="tau_and_z"):
            appliance.run_audit("tiny", "spring", policy, silent, as_published=True, mask="tau_and_z")
        with pytest.raises(UsageError, match="--as-published"):
            appliance.run_audit("tiny", "spring", policy, silent, mask="fixed_tau")
        assert before == ([row.audit_id for row in appliance.audits()], appliance.log_count())
