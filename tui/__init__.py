"""The terminal UI. Importing any part of it first closes Textual's debugging exits."""

import os

# Each of these makes Textual write screens, keys or logs outside the terminal, or load foreign code.
for _exit in (
    "TEXTUAL",
    "TEXTUAL_DEBUG",
    "TEXTUAL_DRIVER",
    "TEXTUAL_FILTERS",
    "TEXTUAL_LOG",
    "TEXTUAL_PRESS",
    "TEXTUAL_SCREENSHOT",
    "TEXTUAL_SCREENSHOT_FILENAME",
    "TEXTUAL_SCREENSHOT_LOCATION",
    "TEXTUAL_SHOW_RETURN",
):
    os.environ.pop(_exit, None)
