"""Detectors on real pairs: trains the small models it needs, audits each, prints AUROC and TPR per detector.

    OMP_NUM_THREADS=2 python benchmarks/detectors.py --pairs DIR [--seeds 3] [--only fine-tuned] [--json]

DIR holds a pairs.csv with columns id, image_path, text and patient_id. One pair per patient is used. Patients
are drawn by seed into base, members and non-members: contrasts are patient-disjoint and within one mixture
of sources. 36 % of members and non-members are references, the rest is tested.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from appliance.egress import OFFLINE_ENV

REFERENCE_SHARE = 0.36
FOLDS = 5
BANK = 255
TEXT_TOKENS = 64
TEXT_WIDTH = 192  # about 2 M parameters


@dataclass(frozen=True, slots=True)
class Setting:
    """One way in which members got into a model."""

    name: str
    family: str
    epochs: int
    lr: float
    from_base: bool


SETTINGS = (
    Setting("scratch, 5 epochs", "image-text-to-text", 5, 1e-3, False),
    Setting("fine-tuned, 3 epochs", "image-text-to-text", 3, 3e-4, True),
    Setting("fine-tuned, 6 epochs", "image-text-to-text", 6, 3e-4, True),
    Setting("fine-tuned, 1 epoch, lr 1e-4", "image-text-to-text", 1, 1e-4, True),
    Setting("fine-tuned, 1 epoch", "image-text-to-text", 1, 3e-4, True),
    Setting("fine-tuned, 2 epochs", "image-text-to-text", 2, 3e-4, True),
    Setting("contrastive, 10 epochs", "contrastive", 10, 1e-3, False),
    Setting("contrastive, 20 epochs", "contrastive", 20, 1e-3, False),
    Setting("contrastive, 40 epochs", "contrastive", 40, 1e-3, False),
)


@dataclass(frozen=True, slots=True)
class Lots:
    """Pairs by part, patient-disjoint; references and tested pairs of both classes."""

    base: Sequence[Any]
    members: Sequence[Any]
    others: Sequence[Any]

    def split(self, pairs: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """References, tested."""
        cut = round(REFERENCE_SHARE * len(pairs))
        return pairs[:cut], pairs[cut:]


@dataclass(slots=True)
class Table:
    """Figures per (setting, detector), one per seed."""

    rows: dict[tuple[str, str], list[tuple[float, float, float]]] = field(default_factory=dict)

    def add(self, setting: str, detector: str, members: NDArray[Any], others: NDArray[Any]) -> None:
        """AUROC, TPR at 5 % and at 1 % FPR of one seed."""
        from sklearn.metrics import roc_auc_score, roc_curve

        truth = np.r_[np.ones(len(members)), np.zeros(len(others))]
        scores = np.r_[members, others]
        false, true, _ = roc_curve(truth, scores)
        at = [float(true[false <= level].max()) for level in (0.05, 0.01)]
        self.rows.setdefault((setting, detector), []).append((float(roc_auc_score(truth, scores)), *at))

    def plain(self) -> list[dict[str, Any]]:
        """Rows as printed by --json: means over seeds."""
        return [
            {
                "setting": setting,
                "detector": detector,
                "auroc": round(mean(row[0] for row in rows), 4),
                "tpr5": round(mean(row[1] for row in rows), 4),
                "tpr1": round(mean(row[2] for row in rows), 4),
                "seeds": len(rows),
            }
            for (setting, detector), rows in self.rows.items()
        ]


def main() -> int:
    """Run the benchmark; the table goes to stdout, narration to stderr."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="", help="settings whose name contains this")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    pairs = list(_one_pair_per_patient(options.pairs))
    table = Table()
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as scratch:
            _run_seed(seed, pairs, [s for s in SETTINGS if options.only in s.name], Path(scratch), table)
    if options.json:
        print(json.dumps({"rows": table.plain()}))
    else:
        _print(table)
    return 0


def _one_pair_per_patient(folder: Path) -> Iterator[Any]:
    from audit_core.results import Role
    from audit_core.samples import Sample

    seen: set[str] = set()
    with (folder / "pairs.csv").open(newline="", encoding="utf-8") as stream:
        for row in sorted(csv.DictReader(stream), key=lambda row: row["id"]):
            if row["patient_id"] in seen or not row["text"].strip():
                continue
            seen.add(row["patient_id"])
            with Image.open(folder / row["image_path"]) as image:
                pixels = np.asarray(image.convert("RGB"))
            yield Sample(row["id"], row["patient_id"], Role.TARGET, pixels, row["text"])


def _run_seed(seed: int, pairs: list[Any], settings: Sequence[Setting], scratch: Path, table: Table) -> None:
    from appliance.demo.tiny_checkpoints import fresh_biomedclip, fresh_llava
    from appliance.demo.training import Schedule, train_checkpoint

    order = list(pairs)
    random.Random(f"benchmark {seed}").shuffle(order)
    cut = round(0.36 * len(order)), round(0.68 * len(order))
    lots = Lots(order[: cut[0]], order[cut[0] : cut[1]], order[cut[1] :])
    starts: dict[str, Path] = {}
    for family in dict.fromkeys(setting.family for setting in settings):
        starts[family] = scratch / f"{family}-start"
        texts = [pair.text for pair in lots.base]
        if family == "contrastive":
            fresh_biomedclip(starts[family], texts, seed)
        else:
            fresh_llava(starts[family], texts, seed, width=TEXT_WIDTH)
    base = scratch / "base"
    if any(setting.from_base for setting in settings):
        start = starts["image-text-to-text"]
        schedule = Schedule(epochs=10, lr=1e-3, constant=True)
        train_checkpoint(start, base, "image-text-to-text", lots.base, schedule, seed)
    for number, setting in enumerate(settings):
        began = time.monotonic()
        source = base if setting.from_base else starts[setting.family]
        out = scratch / f"model-{number}"
        schedule = Schedule(epochs=setting.epochs, lr=setting.lr, constant=True)
        train_checkpoint(source, out, setting.family, lots.members, schedule, seed)
        _score(setting, out, base if setting.from_base else None, lots, seed, table)
        print(f"seed {seed}: {setting.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _score(setting: Setting, model: Path, base: Path | None, lots: Lots, seed: int, table: Table) -> None:
    """One audit's signals, then every detector of an officer's audit on the tested pairs."""
    from audit_core.adapters.loading import open_model
    from audit_core.collect import collect_signals
    from audit_core.detectors.seam import Labelled, Signals, battery
    from audit_core.samples import Settings

    references, tested = zip(lots.split(lots.members), lots.split(lots.others), strict=True)
    samples = [*references[0], *references[1], *tested[0], *tested[1]]
    settings = Settings(seed=seed, max_text_tokens=TEXT_TOKENS, batch_size=32)
    known = len(references[0]) + len(references[1])
    folds = np.random.default_rng(seed).permutation(np.arange(known) % FOLDS)
    signals, base_signals = collect_signals(
        open_model(model, setting.family),
        samples,
        [sample.pair_id for sample in references[0]],
        bank=lots.base[:BANK],
        base=open_model(base, setting.family, base=True) if base is not None else None,
        settings=settings,
        progress=lambda step: None,
        folds={sample.pair_id: int(fold) for sample, fold in zip(samples[:known], folds, strict=True)},
    )
    if signals.unscored:
        raise SystemExit(f"{len(signals.unscored)} pairs could not be scored")
    labelled = Labelled(
        rows=np.arange(known),
        member=np.arange(known) < len(references[0]),
        folds=folds,
    )
    cut = known + len(tested[0])
    variants: Mapping[str, Signals] = {"": Signals(signals, base_signals)}
    if base_signals is not None:
        variants = {
            "": Signals(signals, base_signals),
            " without base": Signals(_without_base(signals), None),
        }
    for suffix, given in variants.items():
        for name, detector in battery().items():
            if detector.missing(given, labelled) or (suffix and name != "fused"):
                continue
            scores = detector.score(given, labelled, settings).scores[-1]
            if np.isfinite(scores[known:]).all():
                table.add(setting.name, name + suffix, scores[known:cut], scores[cut:])


def _without_base(table: Any) -> Any:
    from dataclasses import replace

    return replace(table, task_cosines=np.empty((len(table.pair_ids), 0), np.float32))


def _print(table: Table) -> None:
    print("| setting | detector | AUROC | TPR@5 % | TPR@1 % | seeds |\n|---|---|---|---|---|---|")
    for row in table.plain():
        figures = f"{row['auroc']:.3f} | {row['tpr5']:.2f} | {row['tpr1']:.2f} | {row['seeds']}"
        print(f"| {row['setting']} | {row['detector']} | {figures} |")


if __name__ == "__main__":
    import os

    os.environ.update(OFFLINE_ENV)
    raise SystemExit(main())
