"""Signals of one audit in progress, sealed step by step, so that a run that was cut off can go on.

    steps/<audit id>/<name>.ga1         one sealed object a step; the whole folder goes when the audit is over
    steps/<audit id>/<name>.copy.ga1    what a throw-away copy has learnt; these go first

One more is the finished audit itself, sealed just before the log closes it.

A name is a keyed digest of the step's key, which in turn is a digest of all that the step depends on: the
folder tells nothing without the key, and no object can stand in for another.
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from appliance.errors import CannotWrite, IntegrityError
from appliance.workspace.durable import make_directory, sync_directory, write_atomically
from appliance.workspace.ga1 import Meaning, seal, unsealing
from appliance.workspace.keys import RunKeys

KIND: Final = "signals"
_AUDIT: Final = re.compile(r"A-[0-9a-f]{12}")
CLOSING: Final = "closing"  # key of the finished audit; no worker can name it
_KEY: Final = re.compile(rf"(copy-)?[0-9a-f]{{64}}|{CLOSING}")
_COPY: Final = ".copy.ga1"


class Steps:
    """Sealed steps of one audit.

    Args:
        directory: `steps` of the workspace; made when first needed.
        keys: of the workspace.
        workspace_id: 16 bytes.
        audit_id: whose steps these are.
    """

    def __init__(self, directory: Path, keys: RunKeys, workspace_id: bytes, audit_id: str) -> None:
        if not _AUDIT.fullmatch(audit_id):
            raise ValueError("not an audit id")
        self._home = directory / audit_id
        self._audit_id = audit_id
        self._workspace_id = workspace_id
        self._sealing = keys.vault
        self._naming = keys.vault.derive("gradaudit step name v1")

    def __repr__(self) -> str:
        return f"Steps({self._audit_id!r})"

    def get(self, key: str) -> bytes | None:
        """The step with this key, or None.

        Raises:
            IntegrityError: it is damaged, cut or another one; the file is named.
        """
        name, path = self._place(key)
        shown = f"steps/{self._audit_id}/{path.name}"
        try:
            path.lstat()
            with unsealing(path, self._sealing, self._meaning(name), shown) as sealed:
                return sealed.read(0, sealed.size)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise IntegrityError(f"{shown} cannot be opened: {error.strerror}", self._hint) from None
        except IntegrityError as damaged:
            raise IntegrityError(str(damaged), self._hint) from None

    def put(self, key: str, content: bytes) -> None:
        """Seal a step; it is on disk when this returns.

        Raises:
            CannotWrite: the disk is full or refuses; the step is not there, every other one is.
        """
        name, path = self._place(key)
        try:
            if not self._home.is_dir():
                make_directory(self._home.parent)
                make_directory(self._home)
                sync_directory(self._home.parent)
            pieces = seal(self._sealing, self._meaning(name), content)
            write_atomically(path, b"".join(pieces))
        except OSError as error:
            raise CannotWrite(
                f"cannot write to the workspace: steps/{self._audit_id}: {error.strerror}",
                "Free some space, or run `gradaudit workspace verify`.",
            ) from None

    def holds_copy(self) -> bool:
        """Whether anything is left of what a throw-away copy has learnt."""
        return any(self._home.glob(f"*{_COPY}"))

    def forget_copy(self) -> None:
        """Remove what a throw-away copy has learnt; what cannot be removed now, the next writer tries."""
        with suppress(OSError):
            for file in self._home.glob(f"*{_COPY}"):
                file.unlink()
            sync_directory(self._home)

    def clear(self) -> None:
        """Remove all steps of this audit."""
        remove_steps(self._home)

    @property
    def _hint(self) -> str:
        return f"Give the audit up with `gradaudit audit abandon {self._audit_id}` and run it anew."

    def _place(self, key: str) -> tuple[str, Path]:
        known = _KEY.fullmatch(key)
        if known is None:
            raise ValueError("not the key of a step")
        name = self._naming.handle(self._audit_id, key)
        return name, self._home / f"{name}{_COPY if known[1] else '.ga1'}"

    def _meaning(self, name: str) -> Meaning:
        return Meaning(self._workspace_id, bytes.fromhex(name), KIND)


def remove_steps(home: Path) -> None:
    """Remove the folder of one audit's steps; what cannot be removed now, the next writer tries.

    An audit that is done stays done, whatever the disk says afterwards.
    """
    shutil.rmtree(home, ignore_errors=True)
    with suppress(OSError):
        sync_directory(home.parent)


def kept(directory: Path) -> tuple[str, ...]:
    """Audits that have steps on disk."""
    return tuple(sorted(one.name for one in directory.iterdir())) if directory.is_dir() else ()
