"""The way into one workspace for somebody at the screens: make it, say who, give the passphrase."""

from __future__ import annotations

from pathlib import Path

from appliance.acts import at_the_screens
from appliance.api import Appliance
from appliance.setup_view import STEPS
from appliance.strength import Strength, strength
from appliance.workspace import paper
from appliance.workspace.roles import Role


class Door:
    """What the screens ask before they have an open workspace.

    Args:
        root: where the workspace lies, or will.
        user: who it is, where the command line or the environment has said so.
    """

    def __init__(self, root: Path, user: str = "") -> None:
        self._root = root
        self._user = user

    @property
    def built(self) -> bool:
        """Whether there is something to open; what is there may be damaged, which opening says."""
        return self._root.exists()

    def expect(self) -> None:
        """Make sure that there is a workspace. Raises as `Appliance.expect_workspace`."""
        Appliance.expect_workspace(self._root)

    def must_say_who(self) -> bool:
        """Whether a name is needed beside the passphrase.

        Raises:
            Locked: there is no workspace.
            IntegrityError: its keyring is damaged.
        """
        return not self._user and Appliance.must_say_who(self._root)

    def open(self, passphrase: str, user: str) -> Appliance:
        """Unlock; blocks for the key derivation. Raises as `Appliance.sign_in`."""
        return Appliance.sign_in(self._root, passphrase, user.strip() or self._user)

    def left_open(self) -> Appliance | None:
        """The workspace as `gradaudit unlock` left it open for somebody; None where it is locked.

        Raises:
            NotPermitted: it was left open for a machine.
        """
        appliance = Appliance.resume(self._root)
        if appliance is not None and not Role(appliance.role).types_a_passphrase:
            appliance.close()
            raise at_the_screens(Role(appliance.role))
        return appliance

    def create(self, site: str, user: str, passphrase: str) -> Appliance:
        """Make the workspace with its first officer, at the first step of a first run.

        Raises:
            UsageError: a name cannot be used, the passphrase is too short, or the folder cannot be made.
        """
        return Appliance.create(self._root, passphrase, site=site.strip(), user=user.strip(), setup=STEPS[0])

    @staticmethod
    def strength(passphrase: str, *names: str) -> Strength:
        """How good a passphrase would be, in words."""
        return strength(passphrase, names)

    @staticmethod
    def new_words() -> str:
        """Words for a paper key, in four lines; they open nothing before `Appliance.add_recovery`."""
        return paper.new_words()
