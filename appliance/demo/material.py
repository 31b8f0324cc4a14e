"""The demo's pairs as the appliance's own readers yield them, without a workspace."""

from __future__ import annotations

import csv
from pathlib import Path

from appliance.demo.build_studies import PHRASES
from appliance.demo.training import Material
from audit_core.results import Role
from audit_core.samples import Sample
from medio.ingest import read_file


def read_material(assets: Path) -> Material:
    """Read every study below `assets`.

    Returns:
        samples by accession number, and the phrases of pictures that were left out.
    """
    frames = {}
    facts: dict[str, dict[str, str | float]] = {}
    texts = {}
    for path in sorted((assets / "studies").iterdir()):
        content = read_file(path)
        if content.instance is not None and content.frame is not None:
            seen = content.instance
            frames[seen.AccessionNumber] = content.frame.pixels
            facts[seen.AccessionNumber] = {
                **seen.attributes,
                "Modality": seen.Modality,
                "BodyPartExamined": seen.BodyPartExamined,
                "Year": float(seen.StudyDate[:4]),
            }
        else:
            texts.update({report.AccessionNumber: report.text for report in content.reports})
    if set(frames) != set(texts):
        raise ValueError("every demo study needs one image and one report")
    samples = {a: Sample(a, a, Role.TARGET, frames[a], texts[a], facts[a]) for a in sorted(frames)}
    return Material(samples, tuple((assets / PHRASES).read_text(encoding="utf-8").splitlines()))


def read_organs(assets: Path) -> dict[str, str]:
    """Accession number -> organ."""
    with (assets / "origin.csv").open(encoding="utf-8", newline="") as file:
        return {row["AccessionNumber"]: row["organ"] for row in csv.DictReader(file)}
