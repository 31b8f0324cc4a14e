"""A second verifier of a log's folder, made from docs/spec/log.md alone: slow, plain, over other libraries.

It shares no line with the first one. Trees are computed leaf by leaf, JSON is read by the usual parser and
written again, signatures are checked by `cryptography`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

DIGEST = "([0-9a-f]{64})?"
FIELDS = {
    "act": r"[a-z]{1,16}(\.[a-z]{1,16}){1,2}",
    "actor": r"[a-z]{1,16}(:[0-9a-f]{32})?",
    "boot": r"[0-9]{1,20}",
    "detail": DIGEST,
    "object": r"([a-z]{1,16}|[0-9a-f]{32}|[0-9a-f]{64})?",
    "outcome": r"[A-Za-z]{1,16}",
    "policy": DIGEST,
    "result": DIGEST,
    "utc": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z",
}
NUMBERS = ("first", "id", "v")


class Wrong(Exception):
    """The log is not what was signed."""


def need(condition: object, what: str) -> None:
    """Wrong unless the condition holds."""
    if not condition:
        raise Wrong(what)


def digest(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


def from_base64(text: str, length: int) -> bytes:
    """Bytes behind standard base64 of one spelling."""
    try:
        data = base64.b64decode(text.encode(), validate=True)
    except ValueError:
        raise Wrong("base64") from None
    need(len(data) == length and base64.b64encode(data).decode() == text, "base64")
    return data


def lines_of(data: bytes) -> list[str]:
    """Lines that each end with a line feed."""
    need(data.endswith(b"\n"), "a last line without its end")
    try:
        return data.decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError:
        raise Wrong("not text") from None


class Key:
    """A log's or a witness's key line."""

    def __init__(self, line: str, kind: int) -> None:
        parts = line.split("+", 2)
        need(len(parts) == 3, "key line")
        self.name, number, rest = parts
        need(re.fullmatch("[a-z0-9./-]{1,80}", self.name), "key name")
        raw = from_base64(rest, 33)
        need(raw[0] == kind, "kind of key")
        self.public = raw[1:]
        self.number = digest(self.name.encode() + b"\n" + bytes([kind]) + self.public)[:4]
        need(number == self.number.hex(), "number of key")

    def signed(self, signature: bytes, text: bytes, what: str) -> None:
        """Wrong unless this key signed the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            raise Wrong(what) from None

    def mark(self, line: str, length: int) -> bytes:
        """What stands behind the key's number in a signature line."""
        parts = line.split(" ")
        need(len(parts) == 3 and parts[0] == "\u2014" and parts[1] == self.name, "signature line")
        data = from_base64(parts[2], 4 + length)
        need(data[:4] == self.number, "signature of another key")
        return data[4:]


def state_of(note: bytes, key: Key) -> tuple[int, bytes, bytes]:
    """Size, root and text of a signed checkpoint."""
    lines = lines_of(note)
    need(len(lines) == 5 and lines[3] == "", "form of a checkpoint")
    need(lines[0] == key.name, "origin")
    need(re.fullmatch("0|[1-9][0-9]{0,14}", lines[1]), "size")
    root = from_base64(lines[2], 32)
    text = "".join(line + "\n" for line in lines[:3]).encode()
    key.signed(key.mark(lines[4], 64), text, "signature of a checkpoint")
    return int(lines[1]), root, text


class Leaves:
    """The tree: full subtrees as (height, root), largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[tuple[int, bytes]] = []

    def add(self, entry: bytes) -> None:
        """One leaf more."""
        height, node = 0, digest(b"\x00" + entry)
        while self.peaks and self.peaks[-1][0] == height:
            node = digest(b"\x01" + self.peaks.pop()[1] + node)
            height += 1
        self.peaks.append((height, node))
        self.size += 1

    def begin(self, size: int, frontier: list[bytes]) -> None:
        """Stand at a state of which only the full subtrees are known."""
        heights = [bit for bit in range(size.bit_length() - 1, -1, -1) if size >> bit & 1]
        need(len(heights) == len(frontier), "length of a frontier")
        self.size, self.peaks = size, list(zip(heights, frontier, strict=True))

    def root(self) -> bytes:
        """Over all leaves."""
        nodes = [node for _, node in self.peaks]
        if not nodes:
            return digest(b"")
        while len(nodes) > 1:
            right, left = nodes.pop(), nodes.pop()
            nodes.append(digest(b"\x01" + left + right))
        return nodes[0]


def canonical(data: bytes) -> Any:
    """JSON of one spelling."""
    try:
        value = json.loads(data.decode("utf-8"))
        again = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        raise Wrong("JSON") from None
    need(again == data, "spelling of JSON")
    return value


def entry_of(data: bytes) -> dict[str, Any]:
    """The fields of an entry."""
    fields = canonical(data)
    need(isinstance(fields, dict) and set(fields) == {*FIELDS, *NUMBERS}, "fields of an entry")
    for name, form in FIELDS.items():
        need(isinstance(fields[name], str) and re.fullmatch(form, fields[name], re.ASCII), name)
    for name in NUMBERS:
        need(type(fields[name]) is int and 0 <= fields[name] < 10**15, name)
    need(fields["v"] == 1, "version of an entry")
    return dict(fields)


class Reader:
    """The bytes of a journal, from the front."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, length: int) -> bytes:
        """So many bytes more."""
        found = self.data[self.place : self.place + length]
        need(len(found) == length, "a journal that ends too early")
        self.place += length
        return found

    def framed(self, most: int) -> bytes:
        """A length and so many bytes."""
        length = int.from_bytes(self.take(4), "big")
        need(1 <= length <= most, "length of a frame")
        return self.take(length)

    def beginning(self, key: Key) -> dict[str, Any] | None:
        """The start record; None in a log's first journal."""
        magic = self.take(8)
        if magic == b"GALOG\x00\x01\n":
            return None
        need(magic == b"GALOG\x00\x02\n", "beginning of a journal")
        record = canonical(self.framed(16384))
        need(isinstance(record, dict) and set(record) == {"checkpoint", "frontier", "year"}, "start record")
        need(isinstance(record["checkpoint"], str) and isinstance(record["frontier"], list), "start record")
        need(type(record["year"]) is int and 1000 <= record["year"] <= 9999, "year of a start record")
        try:
            frontier = [bytes.fromhex(node) for node in record["frontier"]]
        except (ValueError, TypeError):
            raise Wrong("frontier") from None
        need([node.hex() for node in frontier] == record["frontier"], "frontier")
        size, root, _ = state_of(record["checkpoint"].encode(), key)
        tree = Leaves()
        need(size > 0, "an empty beginning")
        tree.begin(size, frontier)
        need(tree.root() == root, "frontier of a start record")
        return {"size": size, "root": root, "frontier": frontier, "year": str(record["year"])}


def read(path: Path, most: int | None = None) -> bytes:
    """A file that must be there."""
    try:
        data = path.read_bytes()
    except OSError:
        raise Wrong(f"{path.name} is missing") from None
    need(most is None or len(data) <= most, f"{path.name} is too long")
    return data


class Verifier:
    """One look at one folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        lines = lines_of(read(directory / "verifier-key", 256))
        need(len(lines) == 1, "verifier-key")
        self.key = Key(lines[0], 1)
        self.tree = Leaves()
        self.origin: int | None = None
        self.origin_root = b""
        self.pruned: set[str] = set()
        self.states: dict[int, bytes] = {}

    def check(self) -> tuple[int, str]:
        """Size and root (hex) of an intact log; Wrong otherwise."""
        size, root, _ = state_of(read(self.directory / "checkpoint", 1024), self.key)
        self.secret()
        journal, history = read(self.directory / "journal"), read(self.directory / "checkpoints")
        live = Reader(journal).beginning(self.key)
        last = b""
        for folder in self.closed():
            data = read(folder / "journal")
            closed_history, note = read(folder / "checkpoints"), read(folder / "checkpoint", 1024)
            if Reader(data).beginning(self.key) == live:
                break
            end, end_root, _ = state_of(note, self.key)
            rest, lines_left, year = self.segment(data, closed_history, end, end_root)
            need(not rest and not lines_left, "more than the checkpoint of a year covers")
            need(year == folder.name, "the year of a folder")
            last = closed_history
        if live is not None and last and history == last:
            history = b""
        _, lines_left, _ = self.segment(journal, history, size, root)
        need(lines_left[:4096].count(b"\n") <= 1, "an older checkpoint was put back")
        need(not self.origin or self.origin_root.hex() in self.pruned, "the oldest entries are missing")
        for name, cosigned, cosigned_root in self.witnesses():
            need(cosigned <= size, f"{name} has seen more")
            known = self.states.get(cosigned)
            need(
                known == cosigned_root or (known is None and cosigned < (self.origin or 0)),
                f"{name} saw others",
            )
        return size, root.hex()

    def closed(self) -> list[Path]:
        """Folders of closed years."""
        home = self.directory / "segments"
        names = (
            [path for path in home.iterdir() if re.fullmatch("[0-9]{4}", path.name)] if home.is_dir() else []
        )
        return sorted(names)

    def segment(self, journal: bytes, history: bytes, end: int, root: bytes) -> tuple[bytes, bytes, str]:
        """Check one segment up to a state: what is left of journal and history, and the year."""
        reader = Reader(journal)
        start = reader.beginning(self.key)
        where = (0, digest(b"")) if start is None else (start["size"], start["root"])
        if self.origin is None:
            self.origin, self.origin_root = where
            if start is not None:
                self.tree.begin(start["size"], start["frontier"])
                self.states[start["size"]] = start["root"]
        need(where == (self.tree.size, self.tree.root()), "a segment begins elsewhere")
        year, begin, expected = ("" if start is None else start["year"]), self.tree.size, []
        step = begin
        for number in range(begin, end):
            data = reader.framed(4096)
            entry = entry_of(data)
            need(entry["id"] == number and entry["first"] in (step, number), "number of an entry")
            if entry["first"] == number > begin:
                expected.append(self.state())
            step = entry["first"]
            year = year or entry["utc"][:4]
            if entry["act"] == "log.prune":
                self.pruned.add(entry["result"])
            self.tree.add(data)
        need(self.tree.size == end and self.tree.root() == root, "root")
        if end > begin:
            expected.append(self.state())
        whole = b"".join(expected)
        need(history.startswith(whole), "history of checkpoints")
        return journal[reader.place :], history[len(whole) :], year

    def state(self) -> bytes:
        """The history line of this moment."""
        self.states[self.tree.size] = self.tree.root()
        return f"{self.tree.size} {base64.b64encode(self.tree.root()).decode()}\n".encode()

    def witnesses(self) -> Iterator[tuple[str, int, bytes]]:
        """Name, size and root of every cosignature."""
        home = self.directory / "witness"
        for path in sorted(home.iterdir()) if home.is_dir() else []:
            if re.fullmatch("[a-z0-9-]{1,32}", path.name):
                lines = lines_of(read(path, 1024))
                need(lines[0] == "gradaudit witness 1" and len(lines) in (2, 8), "form of a witness's file")
                if len(lines) == 2:
                    if not re.fullmatch("words [a-z]{5}( [a-z]{5}){9}", lines[1]):
                        Key(lines[1], 4)
                    continue
                witness = Key(lines[1], 4)
                size, root, text = state_of("".join(line + "\n" for line in lines[2:7]).encode(), self.key)
                data = witness.mark(lines[7], 72)
                said = b"cosignature/v1\ntime %d\n" % int.from_bytes(data[:8], "big") + text
                witness.signed(data[8:], said, "cosignature")
                yield path.name, size, root

    def secret(self) -> None:
        """The owner's key file ends in a digest of itself."""
        path = self.directory / "signing.key"
        if path.is_file():
            data = path.read_bytes()
            need(data[-65:] == hashlib.sha256(data[:-65]).hexdigest().encode() + b"\n", "signing.key")


def check(directory: Path) -> tuple[int, str]:
    """Size and root (hex) of an intact log.

    Raises:
        Wrong: it is not what was signed.
    """
    return Verifier(directory).check()
