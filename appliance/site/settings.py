"""What a site sets once: every key, what it may be, and where its value comes from.

The one table that reader, commands, screens and docs/configuration.md go by. A value comes from the first of:
an option of the command, `GRADAUDIT_…` in the environment, the site's file, the default. Whatever is not in
the table is an error with its line, as is a file that other accounts may write to.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.errors import UsageError
from audit_core.policy_values import Count, Flag, Form

FILE: Final = "/etc/gradaudit/site.toml"
FILE_VARIABLE: Final = "GRADAUDIT_CONFIG"
PREFIX: Final = "GRADAUDIT_"
OTHERS: Final = ("GRADAUDIT_VENV", "GRADAUDIT_PYTHON", "GRADAUDIT_HIDDEN", "GRADAUDIT_UNIT_FOLDER")
"""Read by install.sh alone."""
_OF_THE_SUITE: Final = ("GRADAUDIT_TEST_", "GRADAUDIT_GUARD_")
_MOST_BYTES: Final = 1 << 16
_MOST_SIGNS: Final = 4096
DEFAULT, FROM_FILE, ENVIRONMENT, OPTION = "default", "file", "environment", "option"
_FLAGS: Final = dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True) | dict.fromkeys(
    ("", "0", "false", "f", "no", "n", "off"), False
)
_PATH_HINT: Final = "docs/configuration.md lists every key"


@dataclass(frozen=True, slots=True)
class Line:
    """A text on one line, and not only spaces; a path where `path` says so."""

    path: bool = False

    def takes(self, value: Any) -> bool:
        """Whether a value is one."""
        return (
            isinstance(value, str)
            and bool(value.strip())
            and value.isprintable()
            and len(value) <= _MOST_SIGNS
        )

    def __str__(self) -> str:
        return "a path" if self.path else "a text on one line"


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        variable: its name in the environment.
        form: what its value may be.
        default: its value where nobody sets it; "" where that is none, or follows from the account.
        decides: one sentence, without a full stop.
        option: of the command line, where there is one.
        personal: it belongs to whoever runs a command, so a site's file may not hold it.
    """

    variable: str
    form: Form | Line
    default: str | int | bool
    decides: str
    option: str = ""
    personal: bool = False


KEYS: Final[Mapping[str, Key]] = {
    "workspace": Key(
        "GRADAUDIT_WORKSPACE",
        Line(path=True),
        "",
        "folder of the encrypted workspace; by default gradaudit in the account's own data folder",
        "--workspace",
    ),
    "user": Key(
        "GRADAUDIT_USER", Line(), "", "who you are, where several can open it", "--user", personal=True
    ),
    "passphrase_file": Key(
        "GRADAUDIT_PASSPHRASE_FILE",
        Line(path=True),
        "",
        "file with the passphrase, closed to other accounts",
        personal=True,
    ),
    "plain": Key(
        "GRADAUDIT_PLAIN",
        Flag(),
        False,
        "line by line, for screen readers and logs",
        "--plain",
        personal=True,
    ),
    "screens": Key(
        "GRADAUDIT_SCREENS",
        Line(path=True),
        "",
        "file with the screens' theme and keys; by default gradaudit/screens.toml in the account's own "
        "configuration folder",
        personal=True,
    ),
    "disk.minimum_free_gib": Key(
        "GRADAUDIT_DISK_MINIMUM_FREE_GIB",
        Count(0, 1_000_000),
        1,
        "where less is free for the workspace, nothing more is taken in; 0 asks for nothing",
    ),
    "disk.minimum_free_percent": Key(
        "GRADAUDIT_DISK_MINIMUM_FREE_PERCENT",
        Count(0, 90),
        0,
        "the same as a share of the disk; the larger of the two counts",
    ),
    "health.silent_hours": Key(
        "GRADAUDIT_HEALTH_SILENT_HOURS",
        Count(1, 8760),
        24,
        "a service that has not looked for so long is told as critical",
    ),
    "health.certificate_days": Key(
        "GRADAUDIT_HEALTH_CERTIFICATE_DAYS",
        Count(0, 3650),
        30,
        "a certificate that ends within so many days is warned about",
    ),
    "health.spool_files": Key(
        "GRADAUDIT_HEALTH_SPOOL_FILES",
        Count(1, 100_000_000),
        10_000,
        "so many received files that wait to be taken in are warned about",
    ),
    "receiver.file": Key(
        "GRADAUDIT_RECEIVER_FILE",
        Line(path=True),
        "",
        "the receiver's file: that it should run, and whose certificates `gradaudit health` looks at",
    ),
}
"""Key in the file, with its table -> what is known of it; in the order of the page."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it is from.

    Attributes:
        key: of `KEYS`.
        value: text, number, or yes and no; an empty text for none.
        origin: `default`, `file`, `environment` or `option`.
        place: file and line, variable, or option; empty for a default.
    """

    key: str
    value: str | int | bool
    origin: str = DEFAULT
    place: str = ""


def settings(
    environ: Mapping[str, str] = os.environ, options: Mapping[str, str] | None = None
) -> dict[str, Setting]:
    """Every setting as it is in force.

    Args:
        environ: the environment.
        options: key -> what the command line gave for it; empty texts are none.

    Raises:
        UsageError: file or environment hold what they may not.
    """
    found = {name: Setting(name, key.default) for name, key in KEYS.items()}
    if (path := site_file(environ)) is not None:
        found |= read(path)
    _expect_known(environ)
    for name, key in KEYS.items():
        if (text := environ.get(key.variable)) is not None:
            found[name] = Setting(name, _typed(key, text), ENVIRONMENT, key.variable)
    for name, text in (options or {}).items():
        if text:
            found[name] = Setting(name, text, OPTION, KEYS[name].option)
    return found


def number(key: str, environ: Mapping[str, str] = os.environ) -> int:
    """The value of a key that is a number; see `settings`."""
    return int(settings(environ)[key].value)


def site_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file that holds for this command: the named one, which must be there, else the usual one if it is.

    `GRADAUDIT_CONFIG` may be empty: then there is none.
    """
    named = environ.get(FILE_VARIABLE)
    if named is not None:
        return Path(named).expanduser().absolute() if named else None
    usual = Path(FILE)
    return usual if usual.exists() else None


def read(path: Path) -> dict[str, Setting]:
    """What a file sets.

    Raises:
        UsageError: it cannot be read, others may write to it, or it holds what it may not; with the line.
    """
    import tomllib

    text = _text(path)
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise UsageError(f"{path} is no TOML: {wrong}", "key = value, texts in quotation marks") from None
    lines = _lines(text)
    flat: dict[str, Any] = {}
    for name, value in told.items():
        table = isinstance(value, dict)
        more = {f"{name}.{key}": one for key, one in value.items()} if table else {name: value}
        if twice := sorted(set(flat) & set(more)):
            raise UsageError(
                f"{path}: {_shown(twice[0])[1:-1]} stands twice, with and without its table", _PATH_HINT
            )
        flat |= more
    found = {}
    for name, value in flat.items():
        place = f"{path}:{lines[name]}" if name in lines else str(path)
        found[name] = Setting(name, _allowed(name, value, place), FROM_FILE, place)
    return found


def _allowed(name: str, value: Any, place: str) -> str | int | bool:
    key = KEYS.get(name)
    if key is None:
        raise UsageError(f"{place}: there is no key {name[:60]!r}", f"{_nearest(name, KEYS)}{_PATH_HINT}")
    if key.personal:
        raise UsageError(
            f"{place}: {name} belongs to whoever runs a command, not to the site",
            f"set {key.variable} there instead",
        )
    if not key.form.takes(value):
        raise UsageError(f"{place}: {name} is {key.form}, not {_shown(value)}", _PATH_HINT)
    if isinstance(key.form, Line) and key.form.path and not Path(value).is_absolute():
        raise UsageError(f"{place}: {name} is an absolute path, not {_shown(value)}", "begin it with /")
    allowed: str | int | bool = value
    return allowed


def _typed(key: Key, text: str) -> str | int | bool:
    """A value of the environment."""
    value: str | int | bool | None = text
    if isinstance(key.form, Count):
        value = int(text) if re.fullmatch("[0-9]{1,18}", text) else None
    elif isinstance(key.form, Flag):
        value = _FLAGS.get(text.lower())
    elif not text:
        return text  # as where it is not set
    if value is None or not key.form.takes(value):
        raise UsageError(f"{key.variable} is {key.form}, not {_shown(text)}", _PATH_HINT)
    return value


def _expect_known(environ: Mapping[str, str]) -> None:
    known = {FILE_VARIABLE, *OTHERS, *(key.variable for key in KEYS.values())}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and not name.startswith(_OF_THE_SUITE):
            raise UsageError(
                f"there is no setting {_shown(name)[1:-1]}", f"{_nearest(name, known)}unset it; {_PATH_HINT}"
            )


def _text(path: Path) -> str:
    """The content of a file that only root or this account can have written."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            status, above = os.fstat(file.fileno()), path.resolve().parent.stat()
            regular = stat.S_ISREG(status.st_mode)
            data = file.read(_MOST_BYTES + 1) if regular else b""
    except OSError as error:
        raise UsageError(
            f"the configuration {path} cannot be read: {error.strerror}", f"check {FILE_VARIABLE} or --config"
        ) from None
    open_folder = above.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not above.st_mode & stat.S_ISVTX
    if not regular or len(data) > _MOST_BYTES:
        raise UsageError(f"{path} is no configuration", f"a file of at most {_MOST_BYTES} bytes")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or open_folder:
        raise UsageError(
            f"other accounts may write to {path}",
            f"chmod go-w {path}" + (f" {path.parent}" if open_folder else ""),
        )
    if not {status.st_uid, above.st_uid} <= {0, os.geteuid()}:
        raise UsageError(f"{path} or its folder belongs to another account", f"sudo chown root {path}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8", "write it as plain text") from None


def _at_once(path: str, flags: int) -> int:
    """A pipe in the place of a file keeps nobody waiting."""
    return os.open(path, flags | os.O_NONBLOCK)


def _lines(text: str) -> dict[str, int]:
    """Key with its table -> the line it stands on."""
    found: dict[str, int] = {}
    table = ""
    for place, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([A-Za-z0-9_-]+)\s*\]", line):
            table = f"{header[1]}."
        elif key := re.match(r"""\s*["']?([A-Za-z0-9_.-]+)["']?\s*=""", line):
            found.setdefault(f"{table}{key[1]}", place)
    return found


def _nearest(name: str, known: Any) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), 1)
    return f"did you mean {near[0]}? " if near else ""


def _shown(value: Any) -> str:
    """A value as it stands in an error: short, and of printable ASCII."""
    return ascii(value)[:80]
