"""Audits across a change: each keeps the very version it was asked for, and the two stand side by side."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance import policy_file
from appliance.api import Appliance
from appliance.runs import launching, queue
from appliance.views import Progress
from appliance.worker import Worker
from audit_core.results import ControlName, ControlStatus
from tests.appliance import small_site
from tests.audit_core import engine_models as tiny

POLICY = {"name": '"quick"', "bootstrap": "100", "simulations": "50", "permutations": "5"}


def _policy(folder: Path) -> str:
    """The demo's policy with few repetitions: the versions are looked at, not statistics."""
    text = (policy_file.FOLDER / "demo.toml").read_text()
    for key, value in POLICY.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
    file = folder / "quick.toml"
    file.write_text(text)
    return str(file)


def _silent(step: Progress) -> None: ...


def _stop(step: Progress) -> None:
    raise KeyboardInterrupt


def test_an_audit_keeps_its_version_when_the_model_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off before the change, it goes on with the weights it began with; so does one in the queue."""
    root, policy = small_site.make(tmp_path), _policy(tmp_path)
    monkeypatch.setattr(launching, "start", lambda *_: None)
    with Appliance.unlock(root, small_site.PASSPHRASE) as site, Worker([], "audit", threads=1) as worker:
        site._quiet_s = 0.0
        with pytest.raises(KeyboardInterrupt):
            site.run_audit("tiny", "spring", policy, _stop)
        cut_off = site.audits()[0].audit_id
        waiting = site.queue_audit("tiny", "spring", policy).run_id
        tiny.write_llava(tmp_path / "model", seed=4)
        assert site.watch_models(worker=worker)[0].model == "tiny@2"
        assert site.queue_audit("tiny", "spring", policy).model == "tiny@2"
        job = queue.job(site._workspace.catalogue, waiting)
        assert job is not None and job.model == "tiny"
        assert site._asked_for(job.model, job.cohort, job.asked)[0].version == 1

        first = site.resume_audit(cut_off, _silent)
        second = site.run_audit("tiny", "spring", policy, _silent, worker=worker)
        before, after = site.model("tiny@1"), site.model("tiny@2")
        assert (first.row.model, first.model_digest) == ("tiny", before.digest)
        assert (second.row.model, second.model_digest) == ("tiny@2", after.digest)
        for view, said in ((first, "not there (model, base)"), (second, "digests they were registered with")):
            (identity,) = (one for one in view.result.controls if one.name == ControlName.IDENTITY)
            assert (identity.status, said in identity.sentence) == (ControlStatus.PASSED, True)
        series = site.audit_series(second.row.audit_id)
        assert [point.name for point in series.points] == ["tiny", "tiny@2"]
        change = site.model_change("tiny@2")
        assert change.exposure is not None and change.exposure.before.audit_id == cut_off
        assert any("Verdict:" in sentence for sentence in change.sentences)
        assert {row.model: row.audit_id for row in site.overview().models} == {"tiny@2": second.row.audit_id}
        (tree,) = site.lineage(["tiny"])
        assert [row.audit_id for row in tree.below[0].versions] == [cut_off, second.row.audit_id]
