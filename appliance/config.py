"""Where this site's workspace is and how its secrets come in. Never as an argument (DESIGN §6)."""

from __future__ import annotations

import os
from pathlib import Path

from appliance.errors import Locked

WORKSPACE_VARIABLE = "GRADAUDIT_WORKSPACE"
PASSPHRASE_FILE_VARIABLE = "GRADAUDIT_PASSPHRASE_FILE"
MINIMUM_PASSPHRASE = 8


def workspace_root(option: Path | None = None) -> Path:
    """`--workspace`, else `GRADAUDIT_WORKSPACE`, else the user's data folder."""
    if option is not None:
        return option.expanduser().absolute()
    if WORKSPACE_VARIABLE in os.environ:
        return Path(os.environ[WORKSPACE_VARIABLE]).expanduser().absolute()
    data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data_home) / "gradaudit"


def passphrase_given(descriptor: int | None = None) -> str | None:
    """The passphrase from a descriptor, a file or a systemd credential; None when none of them is set.

    Raises:
        Locked: the named source cannot be read.
    """
    try:
        if descriptor is not None:
            with os.fdopen(descriptor, encoding="utf-8") as stream:
                return stream.readline().rstrip("\n")
        for source in _passphrase_files():
            return source.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, UnicodeDecodeError, IndexError) as unreadable:
        raise Locked(
            "the passphrase could not be read from where it was announced",
            f"check {PASSPHRASE_FILE_VARIABLE} or --passphrase-fd: one line of UTF-8 text",
        ) from unreadable
    return None


def _passphrase_files() -> list[Path]:
    if PASSPHRASE_FILE_VARIABLE in os.environ:
        return [Path(os.environ[PASSPHRASE_FILE_VARIABLE])]
    credential = Path(os.environ.get("CREDENTIALS_DIRECTORY", "")) / "gradaudit-passphrase"
    return [credential] if "CREDENTIALS_DIRECTORY" in os.environ and credential.is_file() else []
