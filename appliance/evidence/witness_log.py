#!/usr/bin/env python3
"""Be a witness for the log of a GradAudit site, with nothing but Python, 3.8 or later.

    python3 witness_log.py init DIRECTORY                    make a key; give the key file to the site
    python3 witness_log.py sign REQUEST --state DIRECTORY -o ANSWER

Carry this file and verify_evidence.py together, on a machine or stick that is not the site's. A witness
remembers how far it has seen one log, and signs a later state only when that grew out of what it saw.
Exit status: 0 done, 1 refused (and why), 2 unreadable.

The request is the body of C2SP tlog-witness' add-checkpoint behind two lines of ours, the answer a signature
line of C2SP tlog-cosignature. Keys are made and used by slow code that leaks timing to whoever shares the
machine: a witness has a machine of its own.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import importlib.util
import os
import re
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.evidence import verify_evidence as checked
else:
    try:
        from appliance.evidence import verify_evidence as checked
    except ImportError:  # carried alone: from beside this file, also where Python does not look there (-I)
        _beside = Path(__file__).resolve().with_name("verify_evidence.py")
        if not _beside.is_file():
            print("unreadable: put verify_evidence.py beside this file")  # noqa: T201 - a script's answer
            sys.exit(2)
        _found = importlib.util.spec_from_file_location("verify_evidence", _beside)
        checked = sys.modules["verify_evidence"] = importlib.util.module_from_spec(_found)
        _found.loader.exec_module(checked)

KEY_FILE, SECRET_FILE, LOG_FILE, SEEN_FILE = "witness-key", "witness.secret", "log-key", "seen"
MAX_REQUEST = 1 << 16  # bytes

_REQUEST = re.compile(
    rb"gradaudit witness request 1\n([^\n]{1,160}\n)old (0|[1-9][0-9]{0,14})\n"
    rb"((?:[A-Za-z0-9+/]{43}=\n){0,63})\n((?:[^\n]+\n){3}\n[^\n]+\n)"
)
_ANSWER = re.compile(rb"gradaudit witness answer 1\n([^\n]{1,160}\n)((?:[^\n]+\n){3}\n[^\n]+\n)([^\n]+\n)")


class Refused(Exception):
    """The witness does not sign; the message says why."""


class Request(NamedTuple):
    """What a site asks a witness to sign: a checkpoint, and how it grew out of the last one seen."""

    key: checked.Key  # of the log
    old: int  # entries that the site believes the witness has seen; 0 at first
    proof: tuple[bytes, ...]
    note: bytes  # the checkpoint, signed by the log

    def data(self) -> bytes:
        """The file."""
        steps = b"".join(base64.b64encode(step) + b"\n" for step in self.proof)
        head = b"gradaudit witness request 1\n" + self.key.line()
        return head + b"old %d\n" % self.old + steps + b"\n" + self.note


class Answer(NamedTuple):
    """What a witness gives back: its key, the checkpoint it saw, its cosignature."""

    key: checked.Key
    note: bytes
    cosignature: bytes

    def data(self) -> bytes:
        """The file."""
        return b"gradaudit witness answer 1\n" + self.key.line() + self.note + self.cosignature


def parse_request(data: bytes) -> Request:
    """A site's request; Broken when it is none. The checkpoint's signature is checked by `sign`."""
    found = _REQUEST.fullmatch(data)
    if found is None:
        raise checked.Broken("request: not a request to a witness")
    key = checked.parse_key(found.group(1), "request")
    proof = tuple(binascii.a2b_base64(line) for line in found.group(3).splitlines())
    request = Request(key, int(found.group(2)), proof, found.group(4))
    if request.data() != data:
        raise checked.Broken("request: not a request to a witness")
    return request


def parse_answer(data: bytes) -> Answer:
    """A witness's answer; Broken when it is none. Its signature is checked by whoever accepts it."""
    found = _ANSWER.fullmatch(data)
    if found is None:
        raise checked.Broken("answer: not the answer of a witness")
    return Answer(
        checked.parse_key(found.group(1), "answer", checked.WITNESS_KEY), found.group(2), found.group(3)
    )


def ed25519_public(seed: bytes) -> bytes:
    """The public key of a secret seed (RFC 8032 §5.1.5)."""
    scalar, _ = _expanded(seed)
    return checked.times_base(scalar)


def ed25519_sign(seed: bytes, message: bytes) -> bytes:
    """A signature (RFC 8032 §5.1.6); not constant in time."""
    scalar, prefix = _expanded(seed)
    public = checked.times_base(scalar)
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % checked.ORDER
    commitment = checked.times_base(r)
    h = int.from_bytes(hashlib.sha512(commitment + public + message).digest(), "little")
    return commitment + ((r + h * scalar) % checked.ORDER).to_bytes(32, "little")


def _expanded(seed: bytes) -> tuple[int, bytes]:
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | 1 << 254
    return scalar, digest[32:]


def init(state: Path) -> checked.Key:
    """Make a witness: a key pair in a new folder.

    Raises:
        Refused: the folder holds something already.
        OSError: it cannot be written.
    """
    state.mkdir(mode=0o700, exist_ok=True)
    if any(state.iterdir()):
        raise Refused(f"{state} is not empty: a witness has a folder of its own")
    seed = secrets.token_bytes(32)
    public = ed25519_public(seed)
    name = "gradaudit/witness-" + hashlib.sha256(public).hexdigest()[:16]
    key = checked.Key(name, public, checked.WITNESS_KEY)
    _write(state, SECRET_FILE, b"gradaudit witness secret 1\n" + base64.b64encode(seed) + b"\n")
    _write(state, KEY_FILE, key.line())
    return key


def sign(data: bytes, state: Path, now: int | None = None, log_words: str = "") -> Answer:
    """Check a request against what this witness has seen, remember it, and cosign.

    Args:
        data: the request's bytes.
        state: the witness's folder.
        now: seconds since 1970; the machine's clock when None.
        log_words: the ten words of the log's key, as the site gave them; "" trusts the first request.

    Raises:
        Refused: another log, a smaller log, or one that did not grow out of what was seen; which is said.
        Broken: the request, or this witness's own memory, is not what was signed.
        OSError: a file cannot be read or written.
    """
    request = parse_request(data)
    seed, key = _own_key(state)
    if log_words and checked.ten_words(request.key.public) != log_words:
        raise Refused("another key: the request is not of the log with these ten words")
    known = _read(state, LOG_FILE)
    if known and checked.parse_key(known, LOG_FILE) != request.key:
        raise Refused("another log: this witness has seen " + checked.parse_key(known, LOG_FILE).name)
    head = checked.open_checkpoint(request.note, request.key, "request")
    remembered = _read(state, SEEN_FILE)
    seen = checked.open_checkpoint(remembered, request.key, SEEN_FILE) if remembered else None
    if seen is not None:
        _check_growth(request, seen, head)
    elif request.old:
        raise Refused(f"no memory: the site says {request.old} entries were seen, this witness knows none")
    if not known:
        _write(state, LOG_FILE, request.key.line())
    if seen is None or head.size > seen.size:
        _write(state, SEEN_FILE, request.note)  # remembered before it is signed
    seconds = int(time.time()) if now is None else now
    signature = ed25519_sign(seed, checked.cosigned_text(head.text(request.key), seconds))
    return Answer(key, request.note, checked.compose_cosignature(key, seconds, signature))


def _check_growth(request: Request, seen: checked.Checkpoint, head: checked.Checkpoint) -> None:
    if head.size < seen.size:
        raise Refused(f"a smaller log: {head.size} entries, this witness has seen {seen.size}")
    if request.old != seen.size and head.size != seen.size:
        began = f"it begins at {request.old} entries, this witness has seen {seen.size}"
        raise Refused(f"a proof from another place: {began}")
    proof = request.proof if head.size > seen.size else ()
    if not checked.is_consistent(seen, head, proof):
        raise Refused(
            f"another history: the first {seen.size} entries are not those that this witness has seen"
        )


def _own_key(state: Path) -> tuple[bytes, checked.Key]:
    key = checked.parse_key(_read(state, KEY_FILE), KEY_FILE, checked.WITNESS_KEY)
    found = re.fullmatch(rb"gradaudit witness secret 1\n([A-Za-z0-9+/]{43}=)\n", _read(state, SECRET_FILE))
    seed = binascii.a2b_base64(found.group(1)) if found else b""
    if not found or ed25519_public(seed) != key.public:
        raise checked.Broken(SECRET_FILE + ": damaged, or not the secret of this witness")
    return seed, key


def _read(folder: Path, name: str) -> bytes:
    try:
        with (folder / name).open("rb") as stream:
            return stream.read(MAX_REQUEST)
    except FileNotFoundError:
        return b""


def _write(folder: Path, name: str, data: bytes) -> None:
    """All of a small file or none, on disk when this returns."""
    temporary = folder / (name + ".tmp")
    descriptor = os.open(str(temporary), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(folder / name)
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(str(folder), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what came of it; return the exit status."""
    parser = argparse.ArgumentParser(description="Be a witness for the log of a GradAudit site.")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("init", help="make a key in a new folder")
    making.add_argument("state", metavar="DIRECTORY", type=Path)
    signing = commands.add_parser("sign", help="check and cosign what the site sent")
    signing.add_argument("request", metavar="REQUEST", type=Path)
    signing.add_argument("--state", metavar="DIRECTORY", type=Path, required=True)
    signing.add_argument("-o", "--output", metavar="ANSWER", type=Path, required=True)
    signing.add_argument("--key", metavar="WORDS", default="", help="the ten words of the log's key")
    options = parser.parse_args(arguments)
    try:
        if options.command == "init":
            return _say(0, *told_init(options.state, init(options.state)))
        words = " ".join(re.findall("[a-z]+", options.key.lower()))
        answer = sign(read_request(options.request), options.state, log_words=words)
        _write(options.output.parent, options.output.name, answer.data())
        return _say(0, *told_sign(answer))
    except Refused as refused:
        return _say(1, "REFUSED: " + str(refused))
    except checked.Broken as broken:
        return _say(1, "BROKEN: " + str(broken))
    except OSError as error:
        return _say(2, f"unreadable: {error.filename}: {error.strerror}")


def read_request(path: Path) -> bytes:
    """The bytes of a request, up to the length that one can have."""
    with path.open("rb") as stream:
        return stream.read(MAX_REQUEST)


def told_init(state: Path, key: checked.Key) -> tuple[str, ...]:
    """What a new witness is told."""
    return (
        f"witness  <{checked.ten_words(key.public)}>",
        f"give     {state / KEY_FILE} to the site, and the ten words by another way",
    )


def told_sign(answer: Answer) -> tuple[str, ...]:
    """What a witness has signed: to be compared with what the site's people say."""
    size = answer.note.split(b"\n")[1].decode()
    text = answer.note.partition(b"\n\n")[0] + b"\n"
    return (f"signed   {size} entries", f"state    <{checked.state_words(text)}>")


def _say(status: int, *lines: str) -> int:
    sys.stdout.write("\n".join(lines) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
