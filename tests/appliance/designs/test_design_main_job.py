"""Evidence by design by command line: coins before data leave, a model that learnt them, one that did not."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from appliance.demo.material import read_material
from audit_core.adapters.families import GENERATIVE
from audit_core.adapters.loading import OFFLINE_SWITCHES
from audit_core.results import Role
from audit_core.samples import Sample
from medio.ingest import read_file
from tests import warm
from tests.appliance.test_command_line import MODELS, STUDIES, Site

ASSETS = STUDIES.parent
LATER = "9999-01-01"
# The same keys and coins in every run: by chance alone a gate would be missed in one run of a few hundred.
WITH_KNOWN_CHANCE = """
import random, secrets, sys
dice = random.Random(sys.argv.pop(1))
secrets.token_bytes = lambda number=32: dice.randbytes(number)
from appliance.cli import main
main()
"""


class DesignSite(Site):
    """A site whose random numbers are known beforehand."""

    def known(self, chance: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """One command with numbers that follow from `chance`."""
        environment = os.environ | {
            "GRADAUDIT_WORKSPACE": str(self.root),
            "GRADAUDIT_PASSPHRASE_FILE": str(self.secret),
            "OMP_NUM_THREADS": "1",
        }
        return warm.program(WITH_KNOWN_CHANCE, chance, *arguments, environment=environment)

    def reveal(self, model: str) -> tuple[int, dict[str, object]]:
        """Exit code and audit of one model against the design."""
        done = self.run("design", "reveal", "spring", "--model", model, "--policy", "demo", "--json")
        assert done.stdout, done.stderr
        found = json.loads(done.stdout)
        assert isinstance(found, dict)
        return done.returncode, found


def _planted(folder: Path) -> list[Sample]:
    """What a vendor finds in the output, read as any study: one sample a study."""
    frames, texts = {}, {}
    for path in sorted((folder / "studies").iterdir()):
        content = read_file(path)
        if content.frame is not None and content.instance is not None:
            frames[content.instance.StudyInstanceUID] = content.frame.pixels
        for report in content.reports:
            texts[report.StudyInstanceUID] = report.text
    return [Sample(study, study, Role.BANK, frames[study], texts[study]) for study in sorted(frames)]


def _train(delivered: Sequence[Sample], out: Path) -> None:
    os.environ.update(OFFLINE_SWITCHES)  # hub libraries read them when they are imported
    from appliance.demo.training import Schedule, train_checkpoint

    schedule = Schedule(epochs=6, lr=2e-3, batch=8)
    train_checkpoint(MODELS / "lumen-base", out, GENERATIVE, delivered, schedule, 0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DesignSite:
    """Studies ingested, a design committed, and a vendor that trains on whatever left."""
    folder = tmp_path_factory.mktemp("design")
    made = DesignSite(folder)
    assert made.known("keys", "init", "--site", "Test").returncode == 0
    assert made.run("ingest", STUDIES).returncode == 0
    with (ASSETS / "bank.csv").open(encoding="utf-8") as file:
        base_knows = {row["AccessionNumber"] for row in csv.DictReader(file)}
    material = read_material(ASSETS).patients
    leaving = folder / "leaving.csv"
    leaving.write_text("AccessionNumber\n" + "\n".join(sorted(set(material) - base_knows)) + "\n")
    new = ("design", "new", "spring", "--patients", leaving, "--canaries", "24", "-o", folder / "out")
    done = made.known("coins", *new)
    assert done.returncode == 0, done.stderr
    listed = made.run("design", "show", "spring", "--release", "--json").stdout.splitlines()
    released = {accession for line in listed for accession in json.loads(line)["accessions"]}
    delivered = [material[one] for one in sorted(released & set(material))] + _planted(folder / "out")
    _train(delivered, folder / "leaky")
    for name, model, date in (
        ("leaky", folder / "leaky", LATER),
        ("clear", MODELS / "clear-vlm", LATER),
        ("old", MODELS / "clear-vlm", "2020-01-01"),
    ):
        base = ("--base", MODELS / "lumen-base") if name == "leaky" else ()
        done = made.run("models", "add", name, model, *base, "--released", date)
        assert done.returncode == 0, done.stderr
    return made


def test_a_model_older_than_the_design_is_refused_before_anything_is_opened(site: DesignSite) -> None:
    """Exit 2, and the canaries stay secret."""
    site.refused(2, "design", "reveal", "spring", "--model", "old", "--policy", "demo")
    site.refused(2, "design", "reveal", "spring", "--model", "leaky", "--policy", "no-such-policy")
    shown = json.loads(site.run("design", "show", "spring", "--json").stdout)
    audits = site.run("audit", "ls", "--json").stdout
    assert (shown["seed"] != "") == (audits != "")  # only an audit of another test can have revealed it


def test_a_model_that_learnt_what_left_fails_at_the_highest_tier(site: DesignSite, tmp_path: Path) -> None:
    """FAIL with E4, canaries found, no canary counted as a patient; the pack lets anyone check the coins."""
    code, audit = site.reveal("leaky")
    result, verdict = audit["result"], audit["verdict"]
    assert isinstance(result, dict)
    assert isinstance(verdict, dict)
    assert (code, verdict["word"], verdict["line"], result["tier"]) == (11, "FAIL", 3, "E4")
    canaries = result["canaries"]
    assert canaries["ids"] == 24
    assert canaries["p_value"] < 0.01
    assert canaries["correct"] >= 10
    assert canaries["sentence"] == verdict["reasons"][-1]
    view = json.loads(site.run("design", "show", "spring", "--json").stdout)
    assert result["exposure"]["patients"] == view["released"]
    assert result["counts"] == {
        "target": view["released"],
        "fitting": result["counts"]["fitting"],
        "calibration": view["held_back"] - result["counts"]["fitting"],
    }
    row = audit["row"]
    assert isinstance(row, dict)
    shown = site.run("audit", "show", row["audit_id"])
    assert "canaries were planted" in shown.stdout
    _check_pack(site, row["audit_id"], tmp_path / "pack.zip")


def _check_pack(site: DesignSite, audit_id: str, pack: Path) -> None:
    """With the pack alone: seed and digest that were opened give the commitment that was logged before."""
    assert site.run("evidence", "pack", audit_id, "-o", pack).returncode == 0
    with zipfile.ZipFile(pack) as opened:
        entries = [json.loads(line) for line in opened.read("log/entries.jsonl").splitlines()]
        data = json.loads(opened.read("data.json"))
        everything = b"".join(opened.read(name) for name in opened.namelist())
    (committed,) = [entry for entry in entries if entry["act"] == "design.commit"]
    (revealed,) = [entry for entry in entries if entry["act"] == "design.open"]
    line = b"gradaudit design commitment v1\0"
    by_hand = hashlib.sha256(line + bytes.fromhex(revealed["detail"]) + bytes.fromhex(revealed["result"]))
    assert committed["detail"] == by_hand.hexdigest()
    assert list(data["committed_design"]) == [by_hand.hexdigest()]
    assert committed["id"] < revealed["id"]
    assert not re.search(rb"P-[0-9a-f]{8}", everything)  # a page has any two bytes by chance


def test_a_model_that_learnt_nothing_does_not_fail(site: DesignSite) -> None:
    """Neither FAIL nor PASS without known positives; the canaries show no bound."""
    code, audit = site.reveal("clear")
    result, verdict = audit["result"], audit["verdict"]
    assert isinstance(result, dict)
    assert isinstance(verdict, dict)
    assert verdict["word"] in ("INCONCLUSIVE", "REVIEW")
    assert code in (10, 12)
    assert result["canaries"]["p_value"] > 0.01
    assert result["canaries"]["epsilon_lower"] < 1.0


def test_words_do_not_commit(site: DesignSite) -> None:
    """`--design committed` by hand is refused with the command that gives it."""
    told = site.refused(2, "cohort", "create", "mine", "--targets", "all", "--design", "committed")
    assert "design reveal" in told
