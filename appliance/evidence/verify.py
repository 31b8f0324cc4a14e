"""Is this pack, or this log, what was signed? The standalone verifier's answer as a view."""

from __future__ import annotations

from pathlib import Path

from appliance.errors import IntegrityError, UsageError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.views import CheckedFile

SOURCE = Path(checked.__file__)  # the file that travels in every pack
_LACKS = ("withheld ", "left out ")
_PAPER = "verdict.pdf"


def verify(path: Path) -> CheckedFile:
    """Check a pack, an answer, a log or the log of a workspace with no key needed.

    Returns:
        State of the log, ten words of the key, and what is withheld; always intact.

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
    head, data = report.checkpoint, b"" if path.is_dir() else path.read_bytes()
    return CheckedFile(
        intact=True,
        entries=head.size,
        root=head.root.hex(),
        key_words=checked.ten_words(report.key.public),
        said=report.lines,
        size=len(data),
        withheld=tuple(line for line in report.lines if line.startswith(_LACKS)),
        paper=bool(data) and _PAPER in checked.split_zip(data)[0],
    )


def problems(error: BaseException) -> tuple[str, ...]:
    """Every place where a file is broken, of the error that `verify` raised; empty of any other."""
    return tuple(str(error.__cause__).split("; ")) if isinstance(error.__cause__, checked.Broken) else ()


def verifier_source() -> bytes:
    """The exact bytes of the verifier that goes into a pack."""
    return SOURCE.read_bytes()
