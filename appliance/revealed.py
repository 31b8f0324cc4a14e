"""What a reveal shows of a patient's pairs: a small grey image, and the report masked (SECURITY §5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from appliance import sealed
from appliance.finding_views import HIGHEST, LONGEST_TEXT, WIDEST, RevealedPair, RevealView
from appliance.library import Library
from appliance.sanitise import safe
from appliance.workspace.workspace import Workspace


def pairs(workspace: Workspace, who: RevealView) -> tuple[RevealedPair, ...]:
    """Image and text of each pair that is still there; call it after the look was logged.

    Raises:
        IntegrityError: a sealed image or text is missing or damaged.
    """
    held = {pair.pair_id: pair for pair in workspace.catalogue.pairs()}
    images = {image.content_digest: image for image in workspace.catalogue.instances()}
    library = Library(workspace)
    shown = []
    for study in who.studies:
        pair = held[study.pair_id]
        image = images[pair.image_digest]
        report = library.report(pair.report_digest)
        shown.append(
            RevealedPair(
                study.pair_id,
                thumbnail(sealed.frame(workspace, image)),
                (image.width, image.height),
                "\n".join(safe(line, 1000) for line in report.text[:LONGEST_TEXT].splitlines()),
                report.masked,
                len(report.text) <= LONGEST_TEXT,
            )
        )
    return tuple(shown)


def thumbnail(frame_HWC: NDArray[np.uint8]) -> tuple[bytes, ...]:
    """Rows of grey pixels, each the mean of its area, in the frame's shape and never enlarged.

    Args:
        frame_HWC: display-ready, as `sealed.frame` gives it.

    Returns:
        At most `HIGHEST` rows of at most `WIDEST` bytes.
    """
    grey_HW = frame_HWC.mean(axis=2)
    high, wide = grey_HW.shape
    scale = min(1.0, HIGHEST / high, WIDEST / wide)
    rows, columns = max(1, int(high * scale)), max(1, int(wide * scale))
    small = _means(_means(grey_HW, rows).T, columns).T
    return tuple(row.tobytes() for row in small.round().astype(np.uint8))


def _means(values_HW: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
    """Means of `parts` stretches of rows that are as even as whole rows allow."""
    starts = np.arange(parts) * values_HW.shape[0] // parts
    sums = np.add.reduceat(values_HW, starts, axis=0)
    sizes = np.diff(np.append(starts, values_HW.shape[0]))
    return np.asarray(sums / sizes[:, None])
