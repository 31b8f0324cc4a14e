"""How much is free for the workspace, and how much this site keeps free."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.errors import NotNow
from appliance.site.settings import number
from appliance.words.table import tell

GIB: Final = 1 << 30
_AMPLE: Final = 2  # below so many times what is kept free, it is said


@dataclass(frozen=True, slots=True)
class Room:
    """The disk of a workspace, in bytes.

    Attributes:
        free: for this account.
        whole: of the disk.
        kept: what the site keeps free.
    """

    free: int
    whole: int
    kept: int

    @property
    def short(self) -> bool:
        """Whether nothing more is taken in."""
        return self.free < self.kept

    @property
    def tight(self) -> bool:
        """Whether that is near."""
        return self.free < _AMPLE * self.kept

    @property
    def told(self) -> str:
        """One sentence, without a full stop."""
        kept = f"{self.kept / GIB:.1f}"
        return tell("room.short" if self.short else "room.free", free=f"{self.free / GIB:.1f}", kept=kept)


def room(folder: Path) -> Room:
    """Of the disk that a folder is on, or will be.

    Raises:
        UsageError: the site's configuration cannot be used.
    """
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    usage = shutil.disk_usage(there)
    share = usage.total * number("disk.minimum_free_percent") // 100
    return Room(usage.free, usage.total, max(number("disk.minimum_free_gib") * GIB, share))


def expect_room(folder: Path) -> None:
    """Nothing is taken in where the disk is nearly full: the log and the catalogue need what is left.

    Raises:
        NotNow: less is free than the site keeps.
    """
    found = room(folder)
    if found.short:
        raise NotNow(found.told, tell("room.hint"))
