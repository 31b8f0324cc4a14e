"""The site of the simulated year: people and pairs without an ingest, vendors' folders, panels, policies."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

from appliance import policy_file
from appliance.api import Appliance
from appliance.cohorts import CohortRequest
from appliance.workspace.workspace import Workspace
from tests.appliance.designs.design_site import _fill

PASSPHRASE = "four random words"
PATIENTS = 220
ROLES = {"member": 40, "control": 110, "target": 60}
DRAWS = {"panel": 5, "spring": 1}
"""Panel -> a draw of its roles by which the groups do not differ without a model."""


def made(folder: Path) -> Path:
    """A workspace with people and two frozen panels, `panel` and `spring`; returns its root."""
    root = folder / "workspace"
    with Appliance(Workspace.create(root, PASSPHRASE, "Simulated", unsafe_fast_kdf=True)) as site:
        _fill(site._workspace, PATIENTS, ())
        for name, draw in DRAWS.items():
            file = _roles(folder / f"{name}.csv", draw)
            site.create_cohort(CohortRequest(name, {}, "random", "L1", 0.4, draw, str(file)))
    return root


def _roles(file: Path, seed: int) -> Path:
    """Who plays which role, by a draw."""
    people = random.Random(seed).sample(range(1, PATIENTS), sum(ROLES.values()))
    with file.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["PatientID", "role"])
        for role, count in ROLES.items():
            rows.writerows([f"MRN{people.pop():07}", role] for _ in range(count))
    return file


def policy(folder: Path, name: str, version: str = "1", **changed: object) -> Path:
    """A site's own policy file, as demo.toml with few draws and no spike-in, and some keys changed."""
    wanted: dict[str, object] = {
        "name": name, "version": version, "bootstrap": 200, "simulations": 60, "permutations": 5,
        "spike_in_epochs": 0, "small_sample_note": False, "required": [], **changed,
    }  # fmt: skip
    lines = (policy_file.FOLDER / "demo.toml").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        key = line.partition(" = ")[0]
        if key in wanted:
            lines[number] = f"{key} = {json.dumps(wanted[key])}"
    file = folder / f"{name}-{version}.toml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
