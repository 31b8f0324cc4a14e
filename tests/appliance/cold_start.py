"""From nothing to a verdict by command line: one workspace, any number of model folders.

`python -m tests.appliance.cold_start [FAMILY …]` makes a checkpoint of every family (or of those named) and
audits each by the command line alone; it prints one line a model.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.appliance.test_command_line import STUDIES, Site
from tests.audit_core.families.two_tower_models import TWO_TOWER_MODELS, write_lora

ASSETS = STUDIES.parent
ROOT = STUDIES.parents[3]
ROLES = {
    "members": ("disclosure-harbor.csv", 8),
    "controls": ("controls.csv", 20),
    "targets": ("targets.csv", 6),
    "bank": ("bank.csv", 9),
}
SMALL = {
    "name": '"small"',
    "members": 5, "fitting": 5, "calibration": 10, "targets": 5, "bank": 8,
    "permutations": 5, "spike_in_epochs": 0, "max_text_tokens": 48, "bootstrap": 200, "simulations": 50,
}  # fmt: skip
"""The demonstration's policy for a cohort of this size; verdicts mean nothing here."""


def writers() -> dict[str, Callable[[Path], Path]]:
    """Every family's checkpoint in its vendor's layout, by name."""
    from tests.audit_core.families.generative_models import GENERATIVE_MODELS

    return {**GENERATIVE_MODELS, **TWO_TOWER_MODELS}


class ColdStart(Site):
    """A site with a few studies, a frozen cohort and a policy for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        inbox = folder / "inbox"
        inbox.mkdir()
        lists: list[str | Path] = []
        for role, (file, count) in ROLES.items():
            chosen = (ASSETS / file).read_text().split()[1 : 1 + count]
            (folder / file).write_text("\n".join(["AccessionNumber", *chosen]) + "\n")
            lists += [f"--{role}", folder / file]
            for accession in chosen:
                for study in STUDIES.glob(f"{accession}*"):
                    shutil.copy(study, inbox)
        self.policy = folder / "small.toml"
        self.policy.write_text(_policy())
        self.sure("init", "--site", "Test")
        self.sure("ingest", inbox)
        how = ("--design", "random", "--references", "L1", "--fitting-share", "0.4")
        self.sure("cohort", "create", "spring", *lists, *how)

    def sure(self, *arguments: str | Path) -> str:
        """A command that must succeed; its answer."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def audited(self, name: str, folder: Path, *options: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """Register a model and audit it: the model as shown, the audit as printed."""
        shown = json.loads(self.sure("models", "add", name, folder, *options, "--json"))
        done = self.run(
            "audit", "run", "--model", name, "--cohort", "spring", "--policy", self.policy, "--json"
        )
        assert done.returncode in (0, 10, 11, 12, 13), done.stderr
        return shown, json.loads(done.stdout)


def check(shown: dict[str, Any], audit: dict[str, Any]) -> None:
    """An audit that read its model: its gradients, on the layers that the trial had named."""
    assert audit["verdict"]["word"] != "VOID", audit["verdict"]["reasons"]
    assert shown["matrices"] > 0
    facts = audit["result"]["model_facts"]
    assert int(facts["audited_matrices"]) == shown["matrices"]
    assert facts["reference_members"] == str(ROLES["members"][1])


def _policy() -> str:
    lines = []
    for line in (ROOT / "policies" / "demo.toml").read_text().splitlines():
        key = line.split("=")[0].strip()
        lines.append(f"{key} = {SMALL[key]}" if key in SMALL else line)
    return "\n".join(lines) + "\n"


def main(wanted: list[str]) -> int:
    """Audit every family by command line alone."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="gradaudit-cold-") as scratch:
        folder = Path(scratch)
        site = ColdStart(folder)
        every = writers()
        given: list[tuple[str, Path, tuple[str | Path, ...]]] = []
        for name in wanted or every:
            given.append((name, every[name](folder / name), ()))
        for name in wanted or ("llava", "medsiglip"):
            for kind, dora in (("lora", False), ("dora", True)):
                adapter = write_lora(folder / f"{name}-{kind}", folder / name, dora=dora)
                given.append((f"{name}-{kind}", folder / name, ("--adapter", adapter)))
        for name, path, options in given:
            began = time.monotonic()
            try:
                shown, audit = site.audited(name, path, *options)
                check(shown, audit)
                said = f"{audit['verdict']['word']}, {shown['matrices']} matrices: {shown['audited']}"
            except AssertionError as wrong:
                failed += 1
                said = f"FAILED: {str(wrong)[:300]}"
            sys.stdout.write(f"{name:24} {time.monotonic() - began:5.1f} s  {said}\n")
            sys.stdout.flush()
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
