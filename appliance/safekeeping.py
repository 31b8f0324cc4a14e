"""Acts on the workspace as a whole: is every file what it was, a backup, and a restore."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.disclosed import Disclosed

if TYPE_CHECKING:
    from appliance.backup import Backup
    from appliance.checking import Checked
    from appliance.errors import ApplianceError

Count = Callable[[int, int], None]


class Safekeeping(Disclosed):
    """What keeps a workspace from being lost, or from being changed unnoticed."""

    def verify_workspace(self) -> Checked:
        """Open every sealed object, read every page of the catalogue and the whole log; change nothing."""
        from appliance.checking import check_open

        self._log.append("workspace.verify", "workspace", "begins", actor=self._actor)
        checked = check_open(self._workspace, self._log)
        outcome = "failed" if checked.damages else "done"
        self._log.append("workspace.verify", "workspace", outcome, actor=self._actor)
        return checked

    def backup(self, target: Path, on_step: Count) -> Backup:
        """Write a backup to a new file while readers go on.

        Raises:
            UsageError: there is something at `target`, or it lies inside the workspace.
            IntegrityError: the workspace holds what is no part of one; it is named.
            Busy: somebody else is writing.
            CannotWrite: the disk is full or refuses.
        """
        from appliance import backup

        self._roots.settle()
        self._log.append("workspace.backup", "workspace", "begins", actor=self._actor)
        try:
            taken = backup.take(self._workspace, target, on_step)
        except BaseException:
            self._log.append("workspace.backup", "workspace", "failed", actor=self._actor)
            raise
        self._log.append(
            "workspace.backup", "workspace", "done", actor=self._actor, detail_digest=taken.digest
        )
        return taken

    @staticmethod
    def verify_closed(root: Path, said: ApplianceError) -> Checked:
        """What can be said of a workspace that does not open."""
        from appliance.checking import check_closed

        return check_closed(root, said)

    @staticmethod
    def verify_backup(path: Path, on_step: Count) -> Backup:
        """Check every byte of a backup against its manifest. Raises as `restore`."""
        from appliance import backup

        return backup.verify(path.absolute(), on_step)

    @staticmethod
    def restore(path: Path, into: Path, passphrase: str, user: str, on_step: Count) -> Backup:
        """Make a workspace from a backup; it appears when all of it was checked, or not at all.

        Raises:
            UsageError: `into` exists, or `path` is no backup.
            Locked: wrong passphrase.
            IntegrityError: the backup is damaged, or what it holds is.
            CannotWrite: the disk is full or refuses.
        """
        from appliance import backup

        return backup.restore(path.absolute(), into, passphrase, user, on_step)
