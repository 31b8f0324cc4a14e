"""A workspace that is open, with its log: every act is an entry before it takes effect and one after.

Where the log cannot be written, nothing is done (SECURITY §3).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from appliance import config
from appliance.errors import Locked, UsageError
from appliance.evidence.log import EvidenceLog
from appliance.workspace.keyring_file import read_keyring
from appliance.workspace.workspace import KEYRING, LOG, Workspace


class OpenWorkspace:
    """An unlocked workspace with its log."""

    def __init__(self, workspace: Workspace, fresh: bool = False) -> None:
        self._workspace = workspace
        self._log = EvidenceLog.open(workspace.log_dir, create=fresh)

    # -- opening and closing ---------------------------------------------------------------------------

    @classmethod
    def create(cls, root: Path, passphrase: str, *, site: str, demo: bool = False) -> Self:
        """Make a workspace and open it.

        Raises:
            UsageError: something is there already, or the passphrase is too short.
        """
        if len(passphrase) < config.MINIMUM_PASSPHRASE:
            raise UsageError(
                f"a passphrase needs at least {config.MINIMUM_PASSPHRASE} characters",
                "four random words are easy to keep",
            )
        opened = cls(Workspace.create(root, passphrase, site, demo), fresh=True)
        opened._record("workspace.create", opened._workspace.workspace_id, "done")
        return opened

    @classmethod
    def unlock(cls, root: Path, passphrase: str) -> Self:
        """Open with the officer's passphrase; a wrong one is logged as well.

        Raises:
            Locked: no workspace there, or a wrong passphrase.
            IntegrityError: keyring, catalogue or log is damaged.
        """
        try:
            workspace = Workspace.open(root, passphrase)
        except Locked:
            _log_unopened(root, "workspace.unlock", "refused")
            raise
        opened = cls(workspace)
        opened._record("workspace.unlock", workspace.workspace_id, "allowed")
        return opened

    @classmethod
    def resume(cls, root: Path) -> Self | None:
        """Open what `unlock` left open; None when it is locked or not there."""
        try:
            return cls(Workspace.resume(root))
        except Locked:
            return None

    @staticmethod
    def expect_workspace(root: Path) -> None:
        """Make sure that there is a workspace to unlock.

        Raises:
            Locked: there is none; the hint says how to make one.
        """
        read_keyring(root / KEYRING)

    def remember(self) -> None:
        """Let later commands `resume`, until `forget` or a restart of the machine."""
        self._workspace.keep_unlocked()

    @staticmethod
    def forget(root: Path) -> None:
        """Lock: no later command can `resume`.

        Raises:
            Locked: no workspace there.
        """
        Workspace.lock(root)
        _log_unopened(root, "workspace.lock", "done")

    def lock(self) -> None:
        """Lock and close."""
        self._record("workspace.lock", self._workspace.workspace_id, "done")
        Workspace.lock(self._workspace.root)
        self.close()

    def close(self) -> None:
        """Close the catalogue; the log has nothing open between entries."""
        self._workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- acts ------------------------------------------------------------------------------------------

    @contextmanager
    def _act(self, act: str, *names: str, policy_digest: str = "") -> Iterator[None]:
        """One writer, an entry before and an entry after; a failure is an outcome too."""
        name = "\0".join(names)
        with self._workspace.writing():
            self._record(act, name, "begins", policy_digest=policy_digest)
            try:
                yield
            except BaseException as stopped:
                outcome = "failed" if isinstance(stopped, Exception) else "cancelled"
                self._record(act, name, outcome, policy_digest=policy_digest)
                raise
            self._record(act, name, "done", policy_digest=policy_digest)

    def _record(
        self, act: str, name: str, outcome: str, *, policy_digest: str = "", result_root: str = ""
    ) -> None:
        handle = self._log.identifier(name)
        self._log.append(
            act, handle, outcome, actor="officer", policy_digest=policy_digest, result_root=result_root
        )


def _log_unopened(root: Path, act: str, outcome: str) -> None:
    """An entry about a workspace that is not open; the log's keys need no passphrase (SECURITY §3)."""
    if os.path.isdir(root / LOG):  # noqa: PTH112 - False, not an error, where the folder is another account's
        log = EvidenceLog.open(root / LOG, create=False)
        log.append(act, log.identifier(str(root)), outcome, actor="anonymous")
