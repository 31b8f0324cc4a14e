"""Is this pack, or this log, what was signed? The standalone verifier's answer as a view."""

from __future__ import annotations

from pathlib import Path

from appliance.errors import IntegrityError, UsageError
from appliance.evidence import verify_evidence as checked
from appliance.views import LogHealth

SOURCE = Path(checked.__file__)  # the file that travels in every pack


def verify(path: Path) -> LogHealth:
    """Check a pack, a log or the log of a workspace with no key needed.

    Returns:
        Size, root and ten words of the key; always intact.

    Raises:
        IntegrityError: broken; the message names the file and the place.
        UsageError: neither a pack nor a log.
    """
    try:
        report = checked.check(path)
    except checked.Broken as broken:
        hint = "keep it as it is and ask for help" if path.is_dir() else "ask its sender for a fresh copy"
        raise IntegrityError(f"{path.name} is broken: {broken}", hint) from broken
    except checked.Unreadable as unreadable:
        raise UsageError(
            f"{path.name}: {unreadable}", "name an evidence pack or a log directory"
        ) from unreadable
    head = report.checkpoint
    return LogHealth(True, head.size, head.root.hex(), checked.ten_words(report.key.public), "")


def verifier_source() -> bytes:
    """The exact bytes of the verifier that goes into a pack."""
    return SOURCE.read_bytes()
