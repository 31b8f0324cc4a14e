"""The site's settings: a theme is kept, lines of others stay, and a wrong file changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.pilot import drive, glass, press, settle, until
from tui.app import GradAuditApp
from tui.settings import Settings, keep_theme, read, settings_path

WRITTEN = '# ours\ntheme = "day"  # for the ward\n\n[keys]\nlock = "f7"  # theme = "no"\n'


def test_where_the_file_lies() -> None:
    """The variable first, then the user's configuration folder; never the workspace."""
    assert settings_path({"GRADAUDIT_SCREENS": "/srv/screens.toml"}) == Path("/srv/screens.toml")
    assert settings_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/gradaudit/screens.toml")
    assert settings_path({}) == Path.home() / ".config/gradaudit/screens.toml"


def test_a_theme_is_kept_and_every_other_line_stays(tmp_path: Path) -> None:
    """Chosen in the palette, there the next time; comments and keys are as somebody wrote them."""
    path = tmp_path / "screens.toml"
    path.write_text(WRITTEN)

    async def choose(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert app.theme == "day"
        await press(pilot, "f9", *"contrast-day")
        await until(pilot, lambda: "contrast-day" in glass(app))
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: app.theme == "contrast-day")

    async def again(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert app.theme == "contrast-day"

    drive(choose, settings=read(path), environ={"TERM": "xterm", "LANG": "C.UTF-8"})
    text = path.read_text()
    assert 'theme = "contrast-day"\n# ours\n' in text
    assert '[keys]\nlock = "f7"  # theme = "no"\n' in text
    assert read(path) == Settings(path, "contrast-day", {"lock": "f7"})
    drive(again, settings=read(path), environ={"TERM": "xterm", "LANG": "C.UTF-8"})
    assert [file.name for file in tmp_path.iterdir()] == ["screens.toml"]


def test_the_first_choice_makes_the_file(tmp_path: Path) -> None:
    """No file, no folder: both are made."""
    path = tmp_path / "gradaudit" / "screens.toml"
    kept = keep_theme(read(path), "mono")
    assert (kept.theme, path.read_text()) == ("mono", 'theme = "mono"\n')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"theme = ", "screens.toml cannot be read as TOML"),
        (b"\xff\xfe", "screens.toml cannot be read as TOML"),
        (b'colour = "day"', "colour is no setting; there are theme and keys"),
        (b"theme = 3", "theme is a word"),
        (b"[keys]\nlock = 9", "lock is no key; write it as in"),
        (b"[keys.lock]\nnow = 'f9'", "lock is no key; write it as in"),
    ],
)
def test_a_wrong_file_is_said_and_not_written_over(tmp_path: Path, text: bytes, said: str) -> None:
    """The screens open as shipped, one line says what is wrong, and the file stays."""
    path = tmp_path / "screens.toml"
    path.write_bytes(text)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await until(pilot, lambda: said in " ".join(glass(app).split()))
        app._recolour("day")
        await settle(pilot)

    drive(steps, size=(140, 40), settings=read(path))
    assert path.read_bytes() == text


def test_what_cannot_be_kept_is_said(tmp_path: Path) -> None:
    """A folder that is none: the colours change, and one line says they will not stay."""
    (tmp_path / "file").write_text("")
    settings = Settings(tmp_path / "file" / "screens.toml")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        app._recolour("day")
        await until(pilot, lambda: "the colours could not be kept" in glass(app))
        assert app.theme == "day"

    drive(steps, size=(140, 40), settings=settings)
