"""Frames and texts as they lie in the vault, unsealed one at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from appliance.frames import FRAME, unpacked
from appliance.workspace.rows import StoredInstance
from appliance.workspace.workspace import Workspace

REPORT_TEXT = "report-text"  # kind of object in the vault


def frame(workspace: Workspace, image: StoredInstance) -> NDArray[np.uint8]:
    """The display-ready frame [H, W, 3] of an image.

    Raises:
        IntegrityError: the object is missing, damaged or another one.
    """
    return unpacked(workspace.vault.get(FRAME, image.frame_object), image.height, image.width)


def text(workspace: Workspace, text_object: str) -> str:
    """A report's text.

    Raises:
        IntegrityError: the object is missing, damaged or another one.
    """
    return workspace.vault.get(REPORT_TEXT, text_object).decode()
