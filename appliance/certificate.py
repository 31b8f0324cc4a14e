"""The certificate of an erasure: what went, what did not, and what is due. It names no patient."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from appliance.errors import CannotWrite, UsageError
from appliance.workspace.durable import write_atomically
from appliance.workspace.keyslots import canonical

FORMAT: Final = "gradaudit-erasure-certificate"
REMOVED, WAITS = "removed", "sealed for removal when the evidence key is next used; not shown until then"
NOT_REMOVED: Final = (
    "The vendor's models are not changed by this: what a model learnt from this patient it still knows.",
    "Backups made before this erasure still hold the patient and the keys of that time; they expire by the "
    "site's rules for backups. Whoever restores one brings the patient back, and must erase again.",
    "Results that were reported keep their counts. They name no patient.",
    "Frozen cohorts keep the pair's digest and role, because their own digest is over them, with a random "
    "word in place of the pseudonym.",
    "The store of findings keeps its key: the patient's rows in it are overwritten, but blocks that the disk "
    "has put aside may still hold old pages until the evidence key is changed.",
    "The list of files that were set aside names no patient, so entries about this patient's files may "
    "remain: digests, reasons and keyed digests of file names.",
    "Files that a receiver has set aside stay in its quarantine, sealed to a key that is kept, and go into "
    "backups: what could not be read may be about this patient too.",
    "The evidence log keeps this erasure: a keyed digest of the patient's identity, and this certificate's "
    "digest. The same keyed digest keeps the patient's studies from being taken in again.",
    "Copies that left before: exports, evidence packs (which name no patient), systems of others.",
)
DESIGNS: Final = (
    "A committed design keeps its sealed assignment unchanged, with the patient's number and pseudonym in "
    "it, because the log committed to it."
)
_COUNTS: Final = {
    "images": "images",
    "reports": "reports",
    "studies": "studies described by another system",
    "pairs": "pairs",
    "objects": "sealed files",
    "keys": "keys of the patient",
}


def digest(certificate: Mapping[str, Any]) -> str:
    """Hex SHA-256 of the certificate's bytes, as the log has it."""
    return hashlib.sha256(data(certificate)).hexdigest()


def data(certificate: Mapping[str, Any]) -> bytes:
    """The JSON file: canonical, so that its digest is the certificate's."""
    return canonical(certificate)


def text(certificate: Mapping[str, Any]) -> str:
    """The same for a reader, with its digest and a line to be filled in by hand."""
    removed = certificate["removed"]
    due = certificate["reaudit_due"]
    lines = [
        "CERTIFICATE OF ERASURE",
        "",
        f"site       {certificate['site']}",
        f"erasure    {certificate['erasure']}",
        f"time       {certificate['erased_utc']}",
        f"by         {certificate['by_role']}",
        "patient    ______________________  (filled in by hand; this file names nobody)",
        *(f"subject    {one}" for one in certificate["subjects"]),
        "",
        "Erased",
        *(f"{removed[name]:9} {words}" for name, words in _COUNTS.items()),
        f"findings   {certificate['findings']}",
        f"keys       {certificate['keys']}",
        "",
        "Not erased",
        *(f"- {sentence}" for sentence in certificate["not_removed"]),
        "",
        "Due",
        *(f"- a new audit of model {name}, whose audits held this patient" for name in due),
        *([] if due else ["- nothing: no audit held this patient"]),
        "",
        f"Cohorts that held the patient: {', '.join(certificate['cohorts']) or 'none'}",
        f"Audits on them: {', '.join(certificate['audits']) or 'none'}",
        "",
        f"SHA-256 of the JSON file, in the evidence log: {digest(certificate)}",
    ]
    return "\n".join(lines) + "\n"


def write(certificate: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write both files; returns their paths.

    Raises:
        UsageError: the folder is not there.
        CannotWrite: the disk is full or refuses.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", "make it, or name another with --output")
    paths = [folder / f"erasure-{certificate['erasure']}.{kind}" for kind in ("json", "txt")]
    try:
        for path, content in zip(paths, (data(certificate), text(certificate).encode()), strict=True):
            write_atomically(path, content)
    except OSError as error:
        raise CannotWrite(
            f"cannot write the certificate: {error.strerror}",
            "the erasure is done; `gradaudit studies erasures --certificate` writes it again",
        ) from None
    return paths[0], paths[1]
