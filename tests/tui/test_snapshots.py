"""Every screen looks as it did when somebody last looked at it."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from tests.tui.everywhere import WAYS
from tests.tui.snapshot import FOLDER, SIZES, Wanted, path_of, taken, wanted

ALL = tuple(wanted())
GALLERY = Path(__file__).resolve().parents[2] / "docs" / "gallery.md"
AGAIN = "look at it, then draw it anew: python -m tests.tui.snapshot"


def named(one: Wanted) -> str:
    """A test's name."""
    return path_of(one).relative_to(FOLDER).with_suffix("").as_posix()


@pytest.mark.parametrize("one", ALL, ids=named)
def test_screen_looks_as_it_did(one: Wanted) -> None:
    """Text and styles of the glass are those of the snapshot."""
    kept, now = path_of(one).read_text(encoding="utf-8").splitlines(), taken(one).splitlines()
    difference = difflib.unified_diff(kept, now, "snapshot", "now", n=0, lineterm="")
    assert kept == now, "\n".join([AGAIN, *difference])


def test_no_snapshot_is_left_over() -> None:
    """A snapshot of a screen that is no more goes with it."""
    assert {path_of(one) for one in ALL} == set(FOLDER.rglob("*.txt"))


def test_every_screen_has_its_pictures_in_the_gallery() -> None:
    """docs/gallery.md shows each screen and dialog at both sizes, and the files are there."""
    page = GALLERY.read_text(encoding="utf-8")
    shown = {f"pictures/screens/{name}-{columns}x{rows}.png" for name in WAYS for columns, rows in SIZES}
    assert {path for path in shown if f"({path})" not in page} == set()
    assert {path for path in shown if not (GALLERY.parent / path).is_file()} == set()
