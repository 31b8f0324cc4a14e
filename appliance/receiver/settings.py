"""The receiver's file: where it listens, who it is, and who may send. Strict: what is not known is refused.

    [receiver]  certificate, key, authorities (PEM files, seen from the folder of this one)
    [dicom]     listen, ae_title
    [hl7]       listen
    [[peer]]    name, certificate_sha256, ae_title, hl7
    [limits]    see `Limits`

A peer is a certificate: its SHA-256 stands here beside the one AE title that it may call itself.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import ssl
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from appliance.errors import UsageError

_PEER: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_TITLE: Final = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")  # PS3.5 §6.2, AE: no backslash
_MOST_BYTES: Final = 1 << 20
_MOST_PEERS: Final = 256
_HINT: Final = "See docs/receiver.md."
_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "connections": (1, 256),
    "connections_per_peer": (1, 64),
    "handshake_s": (1, 120),
    "idle_s": (1, 3600),
    "pdu_s": (1, 600),
    "object_s": (1, 86_400),
    "object_mib": (1, 1024),
    "message_kib": (1, 65_536),
    "spool_mib": (1, 1 << 30),
    "keep_free_mib": (0, 1 << 30),
    "complete_s": (1, 86_400),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What anybody may cost.

    Attributes:
        connections: at the same time, of all peers, with those that have not said who they are.
        connections_per_peer: of one certificate; of one address before it showed one.
        handshake_s: until TLS stands, and again until the association is asked for (ARTIM).
        idle_s: without a word, then the connection ends.
        pdu_s: for one PDU whose first bytes have come.
        object_s: for one instance or message.
        object_mib: of one instance.
        message_kib: of one HL7 message.
        spool_mib: of all that waits sealed.
        keep_free_mib: of the disk.
        complete_s: without a further instance, then a study is complete.
    """

    connections: int = 32
    connections_per_peer: int = 8
    handshake_s: int = 10
    idle_s: int = 60
    pdu_s: int = 30
    object_s: int = 600
    object_mib: int = 1024
    message_kib: int = 16_384
    spool_mib: int = 51_200
    keep_free_mib: int = 1024
    complete_s: int = 60


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody who may send.

    Attributes:
        name: what the log and the screens call it; the site's own word.
        fingerprint: hex SHA-256 of its certificate.
        ae_title: the only one it may call itself; "" where it may send no DICOM.
        hl7: whether it may send messages.
    """

    name: str
    fingerprint: str
    ae_title: str = ""
    hl7: bool = False


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on; a port of 0 lets the system choose."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The file as it was read.

    Attributes:
        file: where it was read.
        certificate, key, authorities: PEM files.
        dicom, hl7: None where it does not listen for that.
        ae_title: its own; "" without DICOM.
        peers: by fingerprint.
    """

    file: Path
    certificate: Path
    key: Path
    authorities: Path
    dicom: Listen | None
    hl7: Listen | None
    ae_title: str
    peers: Mapping[str, Peer]
    limits: Limits = field(default_factory=Limits)

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or later with forward secrecy (BCP 195), and nobody without a certificate of ours.

        Raises:
            UsageError: a file is missing, does not belong to the others, may be written to by others, or
                others may read the key.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # of TLS 1.2; those of 1.3 are all of this kind
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.verify_mode = ssl.CERT_REQUIRED
        for name in ("file", "certificate", "key", "authorities"):
            _expect_ours(name, getattr(self, name))
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
            context.load_verify_locations(self.authorities)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            mixed = isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH"
            what = "the key is of another certificate" if mixed else "not PEM, or encrypted"
            raise UsageError(f"the receiver's certificates cannot be used: {what}", _HINT) from None
        return context


def read(path: Path) -> Settings:
    """Read the file.

    Raises:
        UsageError: missing, not TOML, an unknown or missing key, or a value without meaning.
    """
    try:
        document = tomllib.loads(content(path).decode("utf-8"))
    except OSError as error:
        raise UsageError(f"the receiver's file cannot be read: {error.strerror}", _HINT) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        raise UsageError("the receiver's file is not TOML", _HINT) from None
    _expect_keys(document, "the file", {"receiver", "peer"}, {"dicom", "hl7", "limits"})
    own = _table(document, "receiver")
    _expect_keys(own, "[receiver]", {"certificate", "key", "authorities"})
    places = {name: path.absolute().parent / _text(own, name) for name in own}
    dicom, hl7 = document.get("dicom"), document.get("hl7")
    if dicom is None and hl7 is None:
        raise UsageError("the receiver's file names nothing to listen for", "Give [dicom], [hl7] or both.")
    title = ""
    if dicom is not None:
        _expect_keys(_table(document, "dicom"), "[dicom]", {"listen", "ae_title"})
        title = _matched(_TITLE, _text(dicom, "ae_title"), "ae_title")
    if hl7 is not None:
        _expect_keys(_table(document, "hl7"), "[hl7]", {"listen"})
    return Settings(
        path,
        **places,
        dicom=_listen(dicom),
        hl7=_listen(hl7),
        ae_title=title,
        peers=_peers(document["peer"]),
        limits=_limits(_table(document, "limits") if "limits" in document else {}),
    )


def content(path: Path) -> bytes:
    """A file that the receiver goes by, whole: nothing waits at a pipe, and nothing is cut off.

    Raises:
        OSError: it cannot be read, is no plain file, or is larger than any of these is.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    """Content of a file, and what the file is that it was read from. Raises as `content`."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return data, status


def _expect_ours(name: str, path: Path) -> None:
    """Nobody but root and this account can have written it; a key nobody else reads."""
    try:
        status, above = _read(path)[1], path.resolve().parent.stat()
    except OSError as error:
        raise UsageError(f"the receiver's {name} cannot be read: {error.strerror}", _HINT) from None
    if name == "key" and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError("other accounts may open the receiver's key", "chmod 600 the file.")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(f"other accounts may write to the receiver's {name}", "chmod go-w the file.")
    if above.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not above.st_mode & stat.S_ISVTX:
        raise UsageError(f"other accounts may replace the receiver's {name}", "chmod go-w its folder.")
    if {status.st_uid, above.st_uid} - {0, os.geteuid()}:
        raise UsageError(
            f"the receiver's {name} belongs to another account", "chown root the file and its folder."
        )


def fingerprint_of(text: str) -> str:
    """A SHA-256 in hex as people write it, with or without colons.

    Raises:
        UsageError: it is none.
    """
    plain = text.replace(":", "").lower()
    return _matched(re.compile(r"[0-9a-f]{64}"), plain, "certificate_sha256")


def _peers(given: Any) -> dict[str, Peer]:
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST_PEERS:
        raise UsageError(f"the receiver's file names 1 to {_MOST_PEERS} peers as [[peer]]", _HINT)
    peers: dict[str, Peer] = {}
    for one in given:
        if not isinstance(one, dict):
            raise UsageError("a peer of the receiver's file is not a table", _HINT)
        _expect_keys(one, "[[peer]]", {"name", "certificate_sha256"}, {"ae_title", "hl7"})
        title = _matched(_TITLE, _text(one, "ae_title"), "ae_title") if "ae_title" in one else ""
        hl7 = one.get("hl7", False)
        if not isinstance(hl7, bool) or not (title or hl7):
            raise UsageError("a peer may send DICOM (ae_title), HL7 (hl7 = true), or both", _HINT)
        fingerprint = fingerprint_of(_text(one, "certificate_sha256"))
        peer = Peer(_matched(_PEER, _text(one, "name"), "name"), fingerprint, title, hl7)
        taken = any(
            other.name == peer.name or (title and other.ae_title == title) for other in peers.values()
        )
        if fingerprint in peers or taken:
            raise UsageError("two peers share a name, an AE title or a certificate", _HINT)
        peers[fingerprint] = peer
    return peers


def _limits(given: Mapping[str, Any]) -> Limits:
    names = {one.name for one in fields(Limits)}
    _expect_keys(given, "[limits]", set(), names)
    for name, value in given.items():
        least, most = _RANGES[name]
        if type(value) is not int or not least <= value <= most:
            raise UsageError(f"{name} of the receiver's file is a number from {least} to {most}", _HINT)
    return Limits(**given)


def _listen(table: Mapping[str, Any] | None) -> Listen | None:
    if table is None:
        return None
    host, _, port = _text(table, "listen").rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65_535:
            raise ValueError("no port")
    except ValueError:
        raise UsageError("listen is an address and a port, as in 192.0.2.7:2762", _HINT) from None
    return Listen(str(address), int(port))


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = document[name]
    if not isinstance(found, dict):
        raise UsageError(f"{name} of the receiver's file is not a table", _HINT)
    return found


def _text(table: Mapping[str, Any], name: str) -> str:
    if not isinstance(table[name], str):
        raise UsageError(f"{name} of the receiver's file is not a text", _HINT)
    return str(table[name])


def _matched(pattern: re.Pattern[str], text: str, name: str) -> str:
    if pattern.fullmatch(text) is None:
        raise UsageError(f"{name} of the receiver's file has a value without meaning", _HINT)
    return text


def _expect_keys(
    table: Mapping[str, Any], what: str, needed: set[str], allowed: Sequence[str] | set[str] = ()
) -> None:
    if missing := sorted(needed - set(table)):
        raise UsageError(f"{what} of the receiver's file lacks {missing[0]}", _HINT)
    if unknown := sorted(set(table) - needed - set(allowed)):
        raise UsageError(f"{what} of the receiver's file has the unknown key {unknown[0][:40]}", _HINT)


def _no_password() -> str:
    """A key that needs one is refused, not asked for on a terminal."""
    raise ValueError("the key is encrypted")
