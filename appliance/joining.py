"""Pairs of a whole workspace: what the catalogue holds, joined anew after every ingest."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from appliance import sealed
from appliance.workspace.rows import StoredInstance, StoredPair, StoredReport, StoredStudy
from appliance.workspace.workspace import Workspace
from medio.deidentify import pseudonym
from medio.pairing import PairableImage, Pairing, pair
from medio.records import Instance, Report, ReportSource, Study


def settle(workspace: Workspace) -> Pairing:
    """Pair everything the workspace holds, and store the pairs that stand.

    A report may arrive weeks after its images, so nothing is settled for good.
    """
    key = workspace.keys.pseudonym.raw
    found = pairing(workspace)
    workspace.catalogue.settle_pairs(
        StoredPair(**_shared(one, StoredPair), patient=pseudonym(key, one.IssuerOfPatientID, one.PatientID))
        for one in found.pairs
    )
    return found


def pairing(workspace: Workspace) -> Pairing:
    """What becomes of every image and report the workspace holds; nothing is stored.

    Frames and texts stay sealed but for those few that two records of equal standing make necessary.
    """
    catalogue = workspace.catalogue

    def same_words(one: Report, other: Report) -> bool:
        from medio.duplicates import same_text

        return one.text == other.text or same_text(*(sealed.text(workspace, r.text) for r in (one, other)))

    def same_picture(one: PairableImage, other: PairableImage) -> bool:
        return one.frame == other.frame or _same_picture(workspace, one, other)

    return pair(
        map(_image, catalogue.instances()),
        map(_report, catalogue.reports()),
        map(_study, catalogue.studies()),
        same_words=same_words,
        same_picture=same_picture,
    )


def _same_picture(workspace: Workspace, *images: PairableImage) -> bool:
    from medio.duplicates import image_hash, same_picture

    rows = [workspace.catalogue.instance(image.instance.content_digest) for image in images]
    one, other = (image_hash(sealed.frame(workspace, row)) for row in rows if row is not None)
    return same_picture(one, other)


def _image(row: StoredInstance) -> PairableImage:
    return PairableImage(Instance(**_shared(row, Instance)), row.frame_rule, row.frame_object)


def _report(row: StoredReport) -> Report:
    """Its text stays sealed; the object's keyed name tells equal texts."""
    return Report(**_shared(row, Report) | {"source": ReportSource(row.source), "text": row.text_object})


def _study(row: StoredStudy) -> Study:
    return Study(**_shared(row, Study))


def _shared(record: Any, kind: type) -> dict[str, Any]:
    """The fields that a medical record and its stored row have in common, by name."""
    names = {field.name for field in fields(kind)}
    return {field.name: getattr(record, field.name) for field in fields(record) if field.name in names}
