"""The site's side of witnesses: whom it trusts, what it asks them, and what their answers are worth.

A witness is another machine or a stick with its own key and memory (`witness_log`). Nothing here can tell a
second history that was signed with the stolen key from the first one; the witness can, and its cosignature
shows everybody that it did not.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from appliance.errors import IntegrityError, LogUnwritable, UsageError
from appliance.evidence import files, witness_log
from appliance.evidence import verify_evidence as checked
from appliance.evidence.log import EvidenceLog
from appliance.evidence.verify_evidence import Seen, Witness
from appliance.evidence.views import WitnessRow

FOLDER = "witness"


def trust(log: EvidenceLog, name: str, key: str | bytes, actor: str = "system") -> WitnessRow:
    """Trust a witness from now on, by its key file or by its ten words.

    Raises:
        UsageError: not a name, not a key; or the name stands for another key already.
        LogUnwritable: as `EvidenceLog.append`; nothing is trusted then.
    """
    if not checked.WITNESS_NAME.fullmatch(name):
        raise UsageError("a witness's name is up to 32 of a-z, 0-9 and -", "as in `pharmacy-stick`")
    try:
        given = _given(key)
    except checked.Broken as broken:
        raise UsageError(str(broken), "name the file `witness-key`, or write its ten words") from None
    before = _all(log).get(name)
    if before is not None:
        if before.words != given.words:
            raise UsageError(f"another witness is trusted as {name}", "choose another name")
        return row(name, before, log)
    log.append("witness.trust", log.identifier(name), "done", actor=actor, detail_digest=_digest(given))
    _store(log, name, given)
    return row(name, given, log)


def request(log: EvidenceLog, name: str) -> bytes:
    """What to bring to a witness: the last checkpoint, and how it grew out of what that witness saw.

    Raises:
        UsageError: no such witness.
    """
    witness = named(log, name)
    seen = checked.check_witness(witness, _key(log), f"{FOLDER}/{name}")
    size = log.refresh()
    old = seen.checkpoint.size if seen is not None else 0
    proof = tuple(log.prove_growth(old, size)) if 0 < old < size else ()
    return witness_log.Request(_key(log), old, proof, log.checkpoint_at(size)).data()


def accept(log: EvidenceLog, answer: bytes, actor: str = "system") -> tuple[str, Seen]:
    """Check a witness's answer and keep it; the witness's name, and what it saw.

    Raises:
        UsageError: not an answer, of nobody who is trusted, or older than what is kept.
        IntegrityError: the witness saw another history than this log holds: an alarm.
        LogUnwritable: as `EvidenceLog.append`; nothing is kept then.
    """
    try:
        given = witness_log.parse_answer(answer)
        words = checked.ten_words(given.key.public)
        name, before = _trusted(log, words)
        kept = Witness(words, given.key, given.note, given.cosignature)
        seen = checked.check_witness(kept, _key(log), "answer")
    except checked.Broken as broken:
        raise UsageError(str(broken), "ask the witness to sign again") from None
    assert seen is not None
    if log.refresh() < seen.checkpoint.size:
        raise IntegrityError(
            f"{name} has seen {seen.checkpoint.size} entries, this log holds {log.size}: it was rolled back",
            "keep the disk as it is and ask for help",
        )
    if log.checkpoint_at(seen.checkpoint.size) != given.note:
        raise IntegrityError(f"{name} has seen another history", "keep the disk as it is and ask for help")
    earlier = checked.check_witness(before, _key(log), f"{FOLDER}/{name}")
    if earlier is not None and (seen.checkpoint.size, seen.seconds) < (
        earlier.checkpoint.size,
        earlier.seconds,
    ):
        raise UsageError("a newer answer of this witness was accepted already", "ask it to sign again")
    log.append("witness.accept", log.identifier(name), "done", actor=actor, detail_digest=_digest(kept))
    _store(log, name, kept)
    return name, seen


def rows(log: EvidenceLog) -> tuple[WitnessRow, ...]:
    """Every trusted witness by name."""
    return tuple(row(name, witness, log) for name, witness in _all(log).items())


def row(name: str, witness: Witness, log: EvidenceLog) -> WitnessRow:
    """One witness as a row."""
    seen = checked.check_witness(witness, _key(log), f"{FOLDER}/{name}")
    when = checked.moment(seen.seconds) if seen is not None else ""
    return WitnessRow(name, witness.words, seen.checkpoint.size if seen is not None else 0, when)


def cosigned(log: EvidenceLog, size: int) -> list[tuple[Witness, Seen]]:
    """Cosignatures that cover at least the first `size` entries."""
    found = []
    for name, witness in _all(log).items():
        seen = checked.check_witness(witness, _key(log), f"{FOLDER}/{name}")
        if seen is not None and size <= seen.checkpoint.size <= log.size:
            found.append((witness, seen))
    return found


def named(log: EvidenceLog, name: str) -> Witness:
    """One trusted witness.

    Raises:
        UsageError: there is none of that name.
    """
    found = _all(log).get(name)
    if found is None:
        raise UsageError(f"no witness {name} is trusted", "see `gradaudit log witness ls`")
    return found


def _trusted(log: EvidenceLog, words: str) -> tuple[str, Witness]:
    for name, witness in _all(log).items():
        if witness.words == words:
            return name, witness
    raise UsageError(
        f"the answer is of a witness that is not trusted here: {words}",
        "compare the words with the witness's, then `gradaudit log witness trust NAME WORDS`",
    )


def _given(key: str | bytes) -> Witness:
    if isinstance(key, bytes):
        parsed = checked.parse_key(key, "the key file", checked.WITNESS_KEY)
        return Witness(checked.ten_words(parsed.public), parsed, b"", b"")
    witness = Witness(" ".join(key.lower().split()), None, b"", b"")
    return checked.parse_witness(witness.data(), "the ten words")


def _all(log: EvidenceLog) -> dict[str, Witness]:
    folder = log.directory / FOLDER
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    try:
        return {
            name: checked.parse_witness(
                checked.read_log_file(folder, name, checked.MAX_WITNESS), f"{FOLDER}/{name}"
            )
            for name in names
            if checked.WITNESS_NAME.fullmatch(name)
        }
    except checked.Broken as broken:
        raise IntegrityError(f"the log was altered: {broken}", "restore the file from a backup") from None


def _store(log: EvidenceLog, name: str, witness: Witness) -> None:
    folder: Path = log.directory / FOLDER
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700)
            files.sync_directory(log.directory)
        files.replace(folder, name, witness.data())
    except OSError as error:
        raise LogUnwritable(
            f"the witness cannot be kept ({error.strerror})", "free some space and try again"
        ) from error


def _digest(witness: Witness) -> str:
    return sha256(witness.data()).hexdigest()


def _key(log: EvidenceLog) -> checked.Key:
    return checked.parse_key(log.verifier_key, "verifier-key")
