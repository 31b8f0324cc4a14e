"""Where this site's workspace is and how its secrets come in. Never as an argument (DESIGN §6).

Values come from `appliance.site.settings`; secrets themselves stand in no setting.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from appliance.errors import Locked
from appliance.site.settings import DEFAULT, settings

MACHINE_CREDENTIAL = "gradaudit-machine"
PASSPHRASE_FILE_VARIABLE = "GRADAUDIT_PASSPHRASE_FILE"
MINIMUM_PASSPHRASE = 8
_LONGEST = 4096  # characters of a secret


def workspace_root(option: Path | None = None) -> Path:
    """`--workspace`, else `GRADAUDIT_WORKSPACE`, else the site's file, else the user's data folder.

    Raises:
        UsageError: environment or file hold what they may not.
    """
    found = settings()["workspace"].value
    if option is not None or found:
        return Path(option or str(found)).expanduser().absolute()
    data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data_home) / "gradaudit"


def prepare(root: Path) -> None:
    """Make the user's data folder (XDG: mode 0700) where `root` is the usual place below it."""
    if root == workspace_root() and settings()["workspace"].origin == DEFAULT:
        root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def passphrase_given(descriptor: int | None = None) -> str | None:
    """The passphrase from a descriptor, a file or a systemd credential; None when none of them is set.

    Raises:
        Locked: the named source cannot be read, or is a file that other accounts of this machine may open.
    """
    if descriptor is not None:
        return secret_from(descriptor)
    try:
        for source in _passphrase_files():
            with source.open(encoding="utf-8") as file:
                if os.environ.get(PASSPHRASE_FILE_VARIABLE):  # systemd guards its own
                    _expect_private(source, os.fstat(file.fileno()).st_mode)
                return file.read(_LONGEST).splitlines()[0]
    except (OSError, UnicodeDecodeError, IndexError) as unreadable:
        raise Locked(
            "the passphrase could not be read from where it was announced",
            f"check {PASSPHRASE_FILE_VARIABLE} or --passphrase-fd: one line of UTF-8 text",
        ) from unreadable
    return None


def _expect_private(file: Path, mode: int) -> None:
    if stat.S_ISREG(mode) and mode & 0o077:
        raise Locked(
            "other accounts of this machine may open the file with the passphrase", f"chmod 600 {file}"
        )


def secret_from(descriptor: int, *, whole: bool = False) -> str:
    """A secret from a file descriptor: its first line, or all of it.

    Raises:
        Locked: it cannot be read.
    """
    try:
        with os.fdopen(descriptor, encoding="utf-8") as stream:
            return stream.read(_LONGEST) if whole else stream.readline(_LONGEST).rstrip("\n")
    except (OSError, UnicodeDecodeError, ValueError) as unreadable:
        raise Locked(
            f"descriptor {descriptor} cannot be read", "Open it in the shell, as in 3<file."
        ) from unreadable


def user_given(option: str = "") -> str:
    """`--user`, else `GRADAUDIT_USER`; empty where neither says who."""
    return option or str(settings()["user"].value)


def machine_credential() -> tuple[str, str] | None:
    """Name and secret of the machine this service runs as, from systemd; None where there is no credential.

    Raises:
        Locked: it is there and cannot be read.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    path = Path(folder) / MACHINE_CREDENTIAL
    if not folder or not path.is_file():
        return None
    try:
        name, secret = path.read_text(encoding="ascii").split()
    except (OSError, ValueError) as unreadable:
        raise Locked(
            f"the credential {MACHINE_CREDENTIAL} cannot be used", "Make it anew: `gradaudit users add`."
        ) from unreadable
    return name, secret


def _passphrase_files() -> list[Path]:
    if given := settings()["passphrase_file"].value:
        return [Path(str(given))]
    credential = Path(os.environ.get("CREDENTIALS_DIRECTORY", "")) / "gradaudit-passphrase"
    return [credential] if "CREDENTIALS_DIRECTORY" in os.environ and credential.is_file() else []
