"""Messages between the app and its screens. Workers post these and never touch a widget."""

from __future__ import annotations

from textual.message import Message


class RunsLooked(Message):
    """The queue of audits was looked at; the app knows how it stands."""
