"""How often does the demo get it right? New lots and new training for every seed, the demo's policy for all.

    python benchmarks/demo_seeds.py [--seeds 20] [--first 0] [--json] [--keep DIR]

For every seed the 174 demo patients are dealt new lots, all five checkpoints are trained anew, and the three
audited models are audited as `gradaudit demo` audits them, without the workspace around it. Right is FAIL for
the two models that leak, and neither FAIL nor VOID for the one that saw no patient. REVIEW of a clean model
is a false alarm that the policy allows in about 5 % of audits; the counts of all words are printed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance import policy_file
from appliance.demo.build_studies import ASSETS
from appliance.demo.roles import Split, split
from appliance.demo.train_models import quiet_single_thread
from audit_core.policy import decide, settings
from audit_core.results import AuditResult, Design, References, Role, Verdict
from audit_core.samples import ModelSource, Sample

if TYPE_CHECKING:
    from appliance.demo.training import Material


TRAINED = "trained"  # marks a folder in which all five checkpoints are complete


@dataclass(frozen=True, slots=True)
class Asked:
    """One audited model of the demo: its base, what is known about it, and the right answers."""

    name: str
    family: str
    base: str | None
    references: References
    right: tuple[str, ...]


AUDITED = (
    Asked("lumen-vlm", "image-text-to-text", "lumen-base", References.L1, ("FAIL",)),
    Asked("harbor-clip", "contrastive", "harbor-start", References.L1, ("FAIL",)),
    Asked("clear-vlm", "image-text-to-text", None, References.L4, ("PASS", "INCONCLUSIVE", "REVIEW")),
)


def cohort(lots: Split, material: Material, asked: Asked) -> list[Sample]:
    """The samples of one audit with the roles a hospital would give them; no members where none are named."""
    samples = []
    for patient, sample in material.patients.items():
        role = Role(lots.cohort_role(patient))
        if role is Role.MEMBER and asked.references is References.L4:
            continue
        samples.append(replace(sample, role=role))
    return samples


def source(models: Path, asked: Asked) -> ModelSource:
    """The model as it would be registered."""
    from audit_core.adapters.folder import inspect_folder

    path = models / asked.name
    base = None if asked.base is None else models / asked.base
    return ModelSource(
        path=path,
        family=asked.family,
        digests=inspect_folder(path).digests,
        base=base,
        base_digests={} if base is None else inspect_folder(base).digests,
    )


def audit(models: Path, lots: Split, material: Material, asked: Asked) -> tuple[AuditResult, Verdict, float]:
    """Audit one model; gives back the seconds it took as well."""
    from audit_core.audit import run_audit

    policy = policy_file.load("demo").policy
    began = time.monotonic()
    result, _ = run_audit(
        source(models, asked),
        cohort(lots, material, asked),
        settings(policy, asked.references, Design.RANDOM),
        lambda step: None,
    )
    return result, decide(policy, result), time.monotonic() - began


def row(seed: int, asked: Asked, result: AuditResult, verdict: Verdict, seconds: float) -> dict[str, Any]:
    """What is kept of one audit."""
    deciding = next(d for d in result.detectors if d.decides)
    return {
        "seed": seed,
        "model": asked.name,
        "verdict": verdict.word.value,
        "right": verdict.word.value in asked.right,
        "line": verdict.line,
        "tier": result.tier.name,
        "p": result.exposure.rank_test_p if result.exposure else None,
        "flagged": result.exposure.flagged if result.exposure else None,
        "detector": deciding.name,
        "reference_auroc": deciding.reference_auroc,
        "target_auroc": deciding.target_auroc,
        "detectable": result.detectable.share,
        "failed_controls": [c.name for c in result.controls if c.status.value == "failed"],
        "reasons": list(verdict.reasons),
        "seconds": round(seconds, 2),
    }


def run_seed(
    seed: int, material: Material, organs: dict[str, str], keep: Path | None
) -> list[dict[str, Any]]:
    """Split, train and audit once; kept models of this seed are audited as they are."""
    from appliance.demo.training import train_all

    lots = split(seed, organs)
    with tempfile.TemporaryDirectory() as scratch:
        models = (keep or Path(scratch)) / f"seed-{seed}"
        if not (models / TRAINED).exists():
            shutil.rmtree(models, ignore_errors=True)
            models.mkdir(parents=True)
            train_all(seed, models, lots, material)
            (models / TRAINED).touch()
        return [row(seed, asked, *audit(models, lots, material, asked)) for asked in AUDITED]


def main(arguments: Sequence[str]) -> int:
    """Run the seeds; exit 0 when every verdict is right."""
    parser = argparse.ArgumentParser(description="right verdicts of the demo over seeds")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--keep", type=Path, default=None, help="keep models below this folder, and reuse them"
    )
    asked = parser.parse_args(arguments)
    quiet_single_thread()
    from appliance.demo.material import read_material, read_organs

    material, organs = read_material(ASSETS), read_organs(ASSETS)
    rows: list[dict[str, Any]] = []
    for seed in range(asked.first, asked.first + asked.seeds):
        rows += run_seed(seed, material, organs, asked.keep)
        for found in rows[-len(AUDITED) :]:
            print(json.dumps(found), file=sys.stderr, flush=True)
    right = {a.name: sum(r["right"] for r in rows if r["model"] == a.name) for a in AUDITED}
    words = {a.name: Counter(r["verdict"] for r in rows if r["model"] == a.name) for a in AUDITED}
    summary = {"seeds": asked.seeds, "right": right, "verdicts": words, "rows": rows}
    if asked.json:
        print(json.dumps(summary))
    else:
        for name, count in right.items():
            print(f"{name}: {count} of {asked.seeds} right, {dict(words[name])}")
    return 0 if all(count == asked.seeds for count in right.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
