"""Frames and texts as they lie in the vault, unsealed one at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from appliance.intake import FRAME, REPORT_TEXT
from appliance.workspace.rows import StoredInstance
from appliance.workspace.workspace import Workspace


def frame(workspace: Workspace, image: StoredInstance) -> NDArray[np.uint8]:
    """The display-ready frame [H, W, 3] of an image.

    Raises:
        IntegrityError: the object is missing, damaged or another one.
    """
    pixels = np.frombuffer(workspace.vault.get(FRAME, image.frame_object), np.uint8)
    return pixels.reshape(image.height, image.width, 3)


def text(workspace: Workspace, text_object: str) -> str:
    """A report's text.

    Raises:
        IntegrityError: the object is missing, damaged or another one.
    """
    return workspace.vault.get(REPORT_TEXT, text_object).decode()
