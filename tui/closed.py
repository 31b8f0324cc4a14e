"""Closed exits: nothing on a screen may leave but through the evidence pack."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.app import App

from tui.faults import fault_line


class ClosedApp(App[int]):
    """An app without what the toolkit offers to carry text out of the terminal."""

    ALLOW_SELECT = False  # selected text would leave through the clipboard escape

    def copy_to_clipboard(self, text: str) -> None:
        """Closed: the clipboard escape would hand text to the terminal's machine."""

    def open_url(self, url: str, *, new_tab: bool = True) -> None:
        """Closed: an address can carry data away."""

    def action_screenshot(self, filename: str | None = None, path: str | None = None) -> None:
        """Closed: the picture of a screen is patients' data in a plain file."""

    def deliver_screenshot(
        self, filename: str | None = None, path: str | None = None, time_format: str | None = None
    ) -> str | None:
        """Closed, as `action_screenshot`."""
        return None

    def deliver_text(self, path_or_file: Any, **options: Any) -> str | None:
        """Closed: writes outside the workspace."""
        return None

    def deliver_binary(self, path_or_file: Any, **options: Any) -> str | None:
        """Closed: writes outside the workspace."""
        return None

    def action_suspend_process(self) -> None:
        """Closed: an unlocked workspace does not wait in the background of a shell."""

    def _fatal_error(self) -> None:
        """One line instead of a traceback with local variables."""
        self._say_fault(self._exception)

    def panic(self, *renderables: Any) -> None:
        """One line instead of what an exception draws of itself."""
        self._say_fault(self._exception)

    def _say_fault(self, error: BaseException | None) -> None:
        self._exit_renderables.append(Text(fault_line(error or RuntimeError())))
        self._close_messages_no_wait()
