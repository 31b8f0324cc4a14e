"""What this site chose for its screens: a theme, and other keys. A small TOML file outside the workspace.

```toml
theme = "contrast"

[keys]
lock = "f9"
log-verify = "v,f8"
```
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

VARIABLE = "GRADAUDIT_SCREENS"
_LONGEST = 65_536  # bytes
_THEME_LINE = re.compile(r"^theme[ \t]*=.*$\n?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Settings:
    """The file as read.

    Attributes:
        path: where it lies, or will; None keeps nothing.
        theme: the chosen theme, empty for none.
        keys: id of an act -> its keys, separated by commas.
        trouble: why the file could not be used, else empty.
    """

    path: Path | None = None
    theme: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""


def settings_path(environ: Mapping[str, str]) -> Path:
    """`GRADAUDIT_SCREENS`, else `gradaudit/screens.toml` in the user's configuration folder."""
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE]).expanduser().absolute()
    home = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "gradaudit" / "screens.toml"


def read(path: Path) -> Settings:
    """The settings; a file that cannot be used changes nothing, and says so."""
    try:
        with path.open("rb") as stream:
            given = tomllib.loads(stream.read(_LONGEST).decode())
    except FileNotFoundError:
        return Settings(path)
    except (OSError, ValueError):
        return Settings(path, trouble=f"{path.name} cannot be read as TOML")
    theme, keys = given.pop("theme", ""), given.pop("keys", {})
    if given:
        return Settings(path, trouble=f"{path.name}: {min(given)} is no setting; there are theme and keys")
    if not isinstance(theme, str) or not isinstance(keys, dict):
        return Settings(path, trouble=f"{path.name}: theme is a word and keys a table")
    wrong = next((name for name, value in keys.items() if not isinstance(value, str)), None)
    if wrong is not None:
        return Settings(path, theme, trouble=f'{path.name}: {wrong} is no key; write it as in lock = "f9"')
    return Settings(path, theme, keys)


def keep_theme(settings: Settings, theme: str) -> Settings:
    """Write the theme's line and leave every other line as somebody wrote it.

    Raises:
        OSError: the file cannot be written.
    """
    if settings.path is None or settings.trouble:
        return settings  # a file that was not understood is not written over
    path = settings.path
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    top, *tables = re.split(r"^(?=\[)", before, maxsplit=1, flags=re.MULTILINE)
    text = f'theme = "{theme}"\n' + _THEME_LINE.sub("", top) + "".join(tables)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    passing = path.with_name(f".{path.name}.{os.getpid()}")
    passing.write_text(text, encoding="utf-8")
    passing.replace(path)
    return replace(settings, theme=theme)
