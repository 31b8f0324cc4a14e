"""Fingerprints of pairs, by which the same picture or text is found again. See medio.duplicates."""

from __future__ import annotations

from collections.abc import Callable

from appliance import sealed
from appliance.views import Progress
from appliance.workspace.workspace import Workspace
from medio.duplicates import Fingerprint, fingerprint


def fingerprints(
    workspace: Workspace, wanted: set[str], step: Callable[[Progress], None] = lambda _: None
) -> dict[str, Fingerprint]:
    """Fingerprints of the chosen pairs by id, one unsealed pair in memory at a time.

    Args:
        step: told after every pair.
    """
    catalogue = workspace.catalogue
    instances = {instance.content_digest: instance for instance in catalogue.instances()}
    texts = {report.content_digest: report.text_object for report in catalogue.reports()}
    found: dict[str, Fingerprint] = {}
    for pair in catalogue.pairs():
        if pair.pair_id in wanted:
            frame = sealed.frame(workspace, instances[pair.image_digest])
            found[pair.pair_id] = fingerprint(frame, sealed.text(workspace, texts[pair.report_digest]))
            step(Progress("looking for near-duplicates", len(found), len(wanted), "pairs"))
    return found
