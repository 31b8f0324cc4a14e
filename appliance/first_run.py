"""What a site says about itself once, in the first run or later: where files arrive, and the usual policy.

Each of it is a setting of the workspace, sealed with the catalogue. The step that a first run goes on with is
one of them, so a first run that was cut off goes on where it was.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from appliance import policy_file
from appliance.acts import OpenWorkspace
from appliance.errors import UsageError
from appliance.policies import shelf
from appliance.policies.demands import check_quorum
from appliance.setup_view import STEPS, SetupView
from appliance.workspace.workspace import SETUP

_INBOX: Final = "inbox"
_AE_TITLE: Final = "ae_title"
_POLICY: Final = "usual_policy"
FIRST_QUORUM: Final = 1  # of a workspace to be: one officer makes it
_AE: Final = re.compile(r"[ -\[\]-~]{1,16}")  # PS3.5 6.2, AE: the default repertoire without the backslash


class FirstRun(OpenWorkspace):
    """The acts of a first run that have no other place."""

    def setup(self) -> SetupView:
        """What was said so far, and the step that a first run goes on with."""
        given = self._workspace.catalogue.setting
        return SetupView(
            given(SETUP) or "", given(_INBOX) or "", given(_AE_TITLE) or "", given(_POLICY) or ""
        )

    def leave_setup(self, step: str) -> None:
        """Go on behind a step of the first run, whether it was done or skipped.

        Raises:
            UsageError: no such step.
        """
        if step not in STEPS:
            raise UsageError("no such step", f"Steps: {', '.join(STEPS)}.")
        following = dict(zip(STEPS, (*STEPS[1:], ""), strict=True))
        with self._act("workspace.setup", step):
            self._workspace.catalogue.set_setting(SETUP, following[step])

    def set_intake(self, inbox: str, ae_title: str) -> None:
        """Say where files arrive, and as whom this site receives images; empty for neither.

        Raises:
            UsageError: no folder of that name, one inside the workspace, or no AE title as DICOM has it.
        """
        folder = self.checked_intake(self._workspace.root, inbox, ae_title)
        with self._act("workspace.intake", folder, ae_title):
            self._workspace.catalogue.set_setting(_INBOX, folder)
            self._workspace.catalogue.set_setting(_AE_TITLE, ae_title.strip())

    @classmethod
    def check_settings(cls, root: Path, inbox: str, ae_title: str, policy: str) -> None:
        """Refuse what could not be kept, before there is a workspace. Raises as the acts."""
        cls.checked_intake(root, inbox, ae_title)
        if policy:
            check_quorum(policy_file.load(policy), FIRST_QUORUM)

    @staticmethod
    def checked_intake(root: Path, inbox: str, ae_title: str) -> str:
        """The folder as it will be kept; there need be no workspace yet. Raises as `set_intake`."""
        title = ae_title.strip()
        if title and not _AE.fullmatch(title):
            raise UsageError(
                "this is no AE title",
                "1 to 16 plain letters, digits or signs, as the sending system's settings show it.",
            )
        if not inbox.strip():
            return ""
        folder = Path(inbox.strip()).expanduser().absolute()
        if not folder.is_dir():
            raise UsageError("there is no such folder", "Make it first, and give its whole path.")
        if folder.resolve().is_relative_to(root.resolve()):
            raise UsageError("the folder lies inside the workspace", "Choose one that others can write to.")
        return str(folder)

    def choose_policy(self, name: str) -> None:
        """Say which policy an audit runs under unless somebody chooses another.

        Raises:
            PolicyError: no such policy, it cannot be used, or it asks for more people than are here.
        """
        loaded, _ = shelf.loaded(self._workspace, self._log, name)
        check_quorum(loaded, self._workspace.keyring.quorum)
        with self._act("policy.choose", name, policy_digest=loaded.digest):
            self._workspace.catalogue.set_setting(_POLICY, name)
