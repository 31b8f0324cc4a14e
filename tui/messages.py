"""Messages a running audit sends to the app. Workers post these and never touch a widget."""

from __future__ import annotations

from textual.message import Message

from appliance.errors import ApplianceError
from appliance.views import AuditView, Progress


class RunStepped(Message):
    """The running audit made a step."""

    def __init__(self, step: Progress) -> None:
        super().__init__()
        self.step = step


class RunFinished(Message):
    """The running audit came to a verdict."""

    def __init__(self, view: AuditView) -> None:
        super().__init__()
        self.view = view


class RunStopped(Message):
    """The running audit ended without a verdict; `error` is None when a person cancelled it."""

    def __init__(self, error: ApplianceError | None) -> None:
        super().__init__()
        self.error = error
