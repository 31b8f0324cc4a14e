"""Closed exits: nothing on a screen may leave but through the evidence pack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.text import Text
from textual.app import App

from tui.faults import fault_line


class ClosedApp(App[int]):
    """An app without what the toolkit offers to carry text out of the terminal."""

    _told = False  # a fault, on the terminal
    ALLOW_SELECT = False  # selected text would leave through the clipboard escape

    def run(self, **options: Any) -> int | None:
        """Run; what breaks while the screens close is one line as well."""
        try:
            return super().run(**options)
        except Exception as error:  # noqa: BLE001 - last border: a traceback holds what was on the screens
            self._return_code = 1
            self._say_fault(error)
            self._print_error_renderables()
            return None

    def _print_error_renderables(self) -> None:
        """One fault's line: the first says it, what breaks while the screens close adds nothing."""
        if not self._told:
            self._told = bool(self._exit_renderables)
            super()._print_error_renderables()

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

    def save_screenshot(
        self, filename: str | None = None, path: str | None = None, time_format: str | None = None
    ) -> str:
        """Closed, as `action_screenshot`."""
        return ""

    def notify(self, message: str, **options: Any) -> None:
        """Closed: a toast outlives the screen that it speaks of, and reads markup."""

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Closed, as `action_suspend_process`."""
        yield

    def action_suspend_process(self) -> None:
        """Closed: an unlocked workspace does not wait in the background of a shell."""

    def _fatal_error(self) -> None:
        """One line instead of a traceback with local variables."""
        self._say_fault(self._exception)

    def panic(self, *renderables: Any) -> None:
        """One line instead of what an exception draws of itself."""
        self._say_fault(self._exception)

    def _say_fault(self, error: BaseException | None) -> None:
        if not self._exit_renderables:
            self._exit_renderables.append(Text(fault_line(error or RuntimeError())))
        self._close_messages_no_wait()
