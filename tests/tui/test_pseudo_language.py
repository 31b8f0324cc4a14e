"""The whole table in a language of accents: what stays without one is no sentence, but a name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("pseudo_language.py")
NAMES = {"DEMO", "TPR", "UTC"}  # of a workspace, a rate and a clock


@pytest.fixture(scope="module")
def english() -> dict[str, list[str]]:
    """By screen and page: words without an accent that no result, log or model holds."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_no_english_sentence_remains(english: dict[str, list[str]]) -> None:
    """Overview, Log and Result, `audit show` and the pack's text page, for every verdict."""
    assert {"overview", "log", "result", "text FAIL", "show VOID"} <= english.keys()
    assert {} == {name: left for name, words in english.items() if (left := sorted({*words} - NAMES))}


def test_english_would_be_found() -> None:
    """The control: words outside the table count, data and what is cut off in a column do not."""
    from tests.tui.pseudo_language import ACCENTS, left_over

    assert left_over("Press r to run".translate(ACCENTS), {"lumen"}) == []
    assert left_over("lumen lum… Press", {"lumen"}) == ["Press"]
