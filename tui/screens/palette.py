"""The palette: everything that can be done now, found by typing."""

from __future__ import annotations

from typing import Any

from textual.command import CommandPalette


class Palette(CommandPalette):
    """The toolkit's, which also bears being taken away while somebody types in it, as locking does."""

    def _gather_commands(self, search_value: str) -> Any:
        """Search, while it is on the screen: keys typed before it went still arrive afterwards."""
        return super()._gather_commands(search_value) if self in self.app.screen_stack else None
