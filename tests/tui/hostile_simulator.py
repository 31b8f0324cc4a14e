"""The screens over an appliance all of whose text was written by an attacker; `raw` takes `safe()` away."""

from __future__ import annotations

import sys

import tui.text
from tests.appliance.test_foreign_text import PAYLOADS
from tests.tui.test_injection import hostile
from tui.app import run

if __name__ == "__main__":
    words = "".join(words for words in PAYLOADS if words != "\ud800" and "\n" not in words)
    if sys.argv[1:] == ["raw"]:
        words = "\x1b]0;owned\x07"
        tui.text.safe = lambda text, limit=200: text  # the control
    raise SystemExit(run(hostile(words)))
