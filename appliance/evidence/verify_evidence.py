#!/usr/bin/env python3
"""Check a GradAudit evidence pack or log with nothing but Python, 3.8 or later.

    python3 verify_evidence.py PACK.zip               an evidence pack
    python3 verify_evidence.py DIRECTORY              the log of a workspace
    python3 verify_evidence.py --key "TEN WORDS" …    and say whether that key signed it
    python3 verify_evidence.py --witness KEYFILE …    and say whether that witness has seen it

Three answers, kept apart: is it intact; which key signed it (ten words); is that key known to you.
Exit status: 0 intact, 1 broken (file and place are named), 2 unreadable, 3 intact but signed by another key
or not seen by the witness you named.

This is one file on purpose, longer than others here: it is the whole verifier, so an auditor can read it and
carry it. The appliance imports its formats (canonical JSON, Merkle tree, signed note, words, journal, pack)
from here, so each exists once. Nothing newer than Python 3.8 runs: newer spellings stand in annotations only.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import io
import json
import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    Point = tuple[int, int, int, int]  # extended homogeneous coordinates X, Y, Z, T
    Layout = list[tuple[str, int]]  # names and sizes of the members of a ZIP, in order
    Visit = Callable[[int, int, bytes], None]

MAX_PACK = 1 << 28  # bytes; a pack is below 5 MB
MAX_MEMBERS = 1024  # of a pack
MAX_LEAVES = 1 << 20  # of one committed member
MAX_ENTRY = 4096  # bytes of one journal entry


class Broken(Exception):
    """Something does not match what was signed; the message begins with the place."""


class Unreadable(Exception):
    """The file cannot be read, or is neither a pack nor a log."""


# ---------------------------------------------------------------- canonical JSON (RFC 8785 without floats)


def _refuse_number(text: str) -> Any:
    raise ValueError("number " + text[:20] + " is not a whole number")


def _whole(text: str) -> int:
    number = int(text[:20])
    if abs(number) >= 1 << 53:
        raise ValueError("whole number out of range")
    return number


_DECODER = json.JSONDecoder(parse_float=_refuse_number, parse_int=_whole, parse_constant=_refuse_number)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: Any) -> bytes:
    """The one byte string for a value of dictionaries, lists, strings, whole numbers, booleans and null.

    Raises:
        ValueError: a float, a number beyond 2**53, a key that is no text or leaves the basic plane (there
            code-point order and RFC 8785's UTF-16 order part), a lone surrogate.
    """
    _check_canonical(value)
    return _ENCODER.encode(value).encode("utf-8")


def _check_canonical(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or any(sign > "\uffff" for sign in key):
                raise ValueError("a key must be text of the basic plane: " + ascii(key)[:40])
            _check_canonical(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_canonical(item)
    elif isinstance(value, int) and abs(value) >= 1 << 53:
        raise ValueError("whole number out of range")
    elif not (value is None or isinstance(value, (str, int))):
        raise ValueError("canonical JSON holds no " + type(value).__name__)


def parse_canonical(data: bytes, place: str) -> Any:
    """The value behind canonical JSON; Broken when `data` is any other spelling of it."""
    try:
        value = _DECODER.decode(data.decode("utf-8"))
        if canonical(value) == data:
            return value
    except (ValueError, RecursionError):
        pass
    raise Broken(place + ": not canonical JSON")


# ---------------------------------------------------------------- Merkle tree (RFC 6962)


def sha256(data: bytes) -> bytes:
    """SHA-256 digest."""
    return hashlib.sha256(data).digest()


def leaf_hash(entry: bytes) -> bytes:
    """Hash of a leaf; the prefix keeps leaves and inner nodes apart."""
    return sha256(b"\x00" + entry)


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return sha256(b"\x01" + left + right)


class Tree:
    """A growing Merkle tree that keeps only its frontier: the roots of the full subtrees, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.frontier: list[bytes] = []

    def push(self, leaf: bytes) -> None:
        """Add the hash of one more leaf."""
        size, frontier = self.size, self.frontier
        self.size = size + 1
        while size & 1:
            leaf = hashlib.sha256(b"\x01" + frontier.pop() + leaf).digest()
            size >>= 1
        frontier.append(leaf)

    def root(self) -> bytes:
        """Merkle tree hash of all leaves so far."""
        if not self.frontier:
            return sha256(b"")
        root = self.frontier[-1]
        for subtree in reversed(self.frontier[:-1]):
            root = node_hash(subtree, root)
        return root


def root_by_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion path leads to (RFC 9162 §2.1.3.2), or None when its length is wrong."""
    node, last = index, size - 1
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            leaf = node_hash(sibling, leaf)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        node, last = node >> 1, last >> 1
    return leaf if last == 0 and 0 <= index < size else None


def is_consistent(old: Checkpoint, new: Checkpoint, path: Sequence[bytes]) -> bool:
    """Whether `path` shows that the tree `old` is the beginning of the tree `new` (RFC 9162 §2.1.4.2)."""
    if not 0 < old.size <= new.size:
        return False
    if old.size == new.size:
        return old.root == new.root and not path
    steps = list(path) if old.size & (old.size - 1) else [old.root, *path]
    if not steps:
        return False
    node, last = old.size - 1, new.size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            after = node_hash(after, step)
        node, last = node >> 1, last >> 1
    return last == 0 and before == old.root and after == new.root


# ---------------------------------------------------------------- salted leaves of a document

if TYPE_CHECKING:
    Step = str | int  # a key of an object, or a number in a list
    Leaf = tuple[tuple[Step, ...], Any]  # the way to a value from the top of a document, and the value


def leaves(value: Any, way: tuple[Step, ...] = ()) -> Iterator[Leaf]:
    """What a document is committed to in, in order: it is taken apart at objects and at lists that hold some.

    Every other list is one leaf, so that how long it is stays hidden with it.
    """
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from leaves(value[key], (*way, key))
    elif isinstance(value, list) and _holds_objects(value):
        for number, item in enumerate(value):
            yield from leaves(item, (*way, number))
    else:
        yield way, value


def _holds_objects(value: list[Any]) -> bool:
    return any(isinstance(item, dict) or (isinstance(item, list) and _holds_objects(item)) for item in value)


def document_leaves(name: str, data: bytes) -> list[Leaf]:
    """The leaves of a committed member: of a JSON document its own, of any other file its SHA-256."""
    return list(leaves(parse_canonical(data, name))) if name.endswith(".json") else [((), sha256(data).hex())]


def leaf_salt(seed: bytes, way: Sequence[Step]) -> str:
    """The salt of one leaf, 128 bits in hex, from the seed of its member."""
    return hmac.new(seed, canonical(list(way)), "sha256").hexdigest()[:32]


def salted_leaf(salt: str, way: Sequence[Step], value: Any) -> bytes:
    """Hash of one leaf of a document."""
    return leaf_hash(canonical([salt, list(way), value]))


def half(size: int) -> int:
    """Where a tree of `size` > 1 leaves divides: the largest power of two below it (RFC 6962)."""
    return 1 << (size - 1).bit_length() - 1


def subtree(hashes: Sequence[bytes], first: int, end: int) -> bytes:
    """Hash over the leaves from `first` to before `end`, of a whole subtree."""
    tree = Tree()
    for leaf in hashes[first:end]:
        tree.push(leaf)
    return tree.root()


def disclosed_root(document: Any, place: str) -> bytes:
    """The root of a document of which some leaves are shown and others are covered by hashes.

    Raises:
        Broken: they do not cover every place once.
    """
    size = document["leaves"]
    shown, covered = {}, {}
    for number, salt, way, value in document["shown"]:
        if not re.fullmatch("[0-9a-f]{32}", salt):
            raise Broken(f"{place}, leaf {int(number)}: not a salt")
        shown[number, number + 1] = salted_leaf(salt, way, value)
    for first, end, node in document["withheld"]:
        covered[first, end] = bytes.fromhex(node)
    pieces = sorted([*shown, *covered])
    counted = len(document["shown"]) + len(document["withheld"])
    ends = [0, *(end for _, end in pieces)]
    if len(pieces) != counted or not 0 < size <= MAX_LEAVES or ends[-1] != size:
        raise Broken(f"{place}: its leaves are not {size}")
    for number, (first, end) in enumerate(pieces):
        before = ends[number]
        if first != before or end <= first:
            raise Broken(f"{place}, leaf {before}: missing or there twice")
    if len({canonical(way) for _, _, way, _ in document["shown"]}) != len(shown):
        raise Broken(f"{place}: one place in the document has two values")
    known = {**covered, **shown}

    def root(first: int, end: int) -> bytes:
        if (first, end) in known:
            return known[first, end]
        if end - first == 1:
            raise Broken(f"{place}, leaf {first}: its hash covers no whole branch of the tree")
        middle = first + half(end - first)
        return node_hash(root(first, middle), root(middle, end))

    return root(0, size)


# ---------------------------------------------------------------- Ed25519 (RFC 8032 §5.1)

_P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_NEUTRAL: Point = (0, 1, 1, 0)


def _add(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % _P, (p[1] + p[0]) * (q[1] + q[0]) % _P
    c, d = 2 * p[3] * q[3] * _D % _P, 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _unpack(data: bytes) -> Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if (v * x * x + u) % _P == 0:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (v * x * x - u) % _P or (x == 0 and sign):
        return None
    x = _P - x if x & 1 != sign else x
    return (x, y, 1, x * y % _P)


def _pack(p: Point) -> bytes:
    inverse = pow(p[2], _P - 2, _P)
    x, y = p[0] * inverse % _P, p[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _sum_of_multiples(a: int, p: Point, b: int, q: Point) -> Point:
    both, total = _add(p, q), _NEUTRAL
    for bit in range(max(a.bit_length(), b.bit_length()) - 1, -1, -1):
        total = _add(total, total)
        in_a, in_b = a >> bit & 1, b >> bit & 1
        if in_a or in_b:
            total = _add(total, both if in_a and in_b else p if in_a else q)
    return total


_BASE = _unpack((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little")) or _NEUTRAL


def times_base(scalar: int) -> bytes:
    """A multiple of the base point, packed; a witness signs with it."""
    return _pack(_sum_of_multiples(scalar, _BASE, 0, _BASE))


def ed25519_valid(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` is of the key `public`; refuses s ≥ L and keys of small order."""
    point = _unpack(public) if len(public) == 32 else None
    s = int.from_bytes(signature[32:], "little")
    if point is None or len(signature) != 64 or s >= ORDER:
        return False
    if _pack(_sum_of_multiples(8, point, 0, point)) == _pack(_NEUTRAL):
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    minus = (_P - point[0], point[1], 1, _P - point[3])
    return _pack(_sum_of_multiples(s, _BASE, h, minus)) == signature[:32]


# ---------------------------------------------------------------- keys, ten words, notes (C2SP signed-note)


def ten_words(public: bytes) -> str:
    """160 bits of a key's digest as ten words one can say."""
    return _spoken(sha256(b"gradaudit log key\n" + public))


def state_words(checkpoint: bytes) -> str:
    """Ten words for one state of one log: `checkpoint` is the text of three lines that is signed."""
    return _spoken(sha256(b"gradaudit log state\n" + checkpoint))


def _spoken(digest: bytes) -> str:
    """The first 20 bytes as ten words: consonants and vowels in turn, 16 bits each."""
    words = []
    for high, low in struct.iter_unpack("BB", digest[:20]):
        bits = high << 8 | low
        consonants = ["bdfghjklmnprstvz"[bits >> shift & 15] for shift in (12, 6, 0)]
        vowels = ["aiou"[bits >> shift & 3] for shift in (10, 4)]
        words.append(consonants[0] + vowels[0] + consonants[1] + vowels[1] + consonants[2])
    return " ".join(words)


LOG_KEY = 1  # Ed25519 over the text of a note
WITNESS_KEY = 4  # Ed25519 over a cosignature's text, with a time (C2SP tlog-cosignature)


class Key(NamedTuple):
    """A verifier key: the name of a log or witness, its Ed25519 public key, and which of the two it is."""

    name: str
    public: bytes
    kind: int = LOG_KEY

    def number(self) -> bytes:
        """The four bytes that mark this key's signatures."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public)[:4]

    def line(self) -> bytes:
        """How the key is written down: name, number and key joined by plus signs."""
        key = base64.b64encode(bytes([self.kind]) + self.public)
        return self.name.encode() + b"+" + self.number().hex().encode() + b"+" + key + b"\n"


def parse_key(line: bytes, place: str, kind: int = LOG_KEY) -> Key:
    """The key of a log, or of a witness, behind its written form."""
    found = re.fullmatch(rb"([a-z0-9./-]{1,80})\+[0-9a-f]{8}\+([A-Za-z0-9+/]{44})\n", line)
    if found:
        raw = binascii.a2b_base64(found.group(2))
        key = Key(found.group(1).decode(), raw[1:], kind)
        if len(raw) == 33 and key.line() == line:
            return key
    raise Broken(place + ": not the key of a " + ("log" if kind == LOG_KEY else "witness"))


def compose_note(text: bytes, key: Key, signature: bytes) -> bytes:
    """A signed note: the text, an empty line, one signature line."""
    mark = base64.b64encode(key.number() + signature)
    return text + b"\n\xe2\x80\x94 " + key.name.encode() + b" " + mark + b"\n"


def open_note(note: bytes, key: Key, place: str) -> bytes:
    """The text of a signed note; Broken unless it is exactly what `key` signed."""
    text, _, mark = note.rpartition(b"\n\n")
    found = re.fullmatch(rb"\xe2\x80\x94 [^ \n]+ ([A-Za-z0-9+/]{90}==|[A-Za-z0-9+/]{91}=)\n", mark)
    text += b"\n"
    signature = binascii.a2b_base64(found.group(1))[4:] if found else b""
    if compose_note(text, key, signature) != note:
        raise Broken(place + ": not a note signed in the name of this log's key")
    if not ed25519_valid(key.public, text, signature):
        raise Broken(place + ": the signature does not match the text")
    return text


class Checkpoint(NamedTuple):
    """Size and root of the log at one moment."""

    size: int
    root: bytes

    def text(self, key: Key) -> bytes:
        """The three lines that are signed: origin, size, root."""
        return b"%s\n%d\n%s\n" % (key.name.encode(), self.size, base64.b64encode(self.root))

    def line(self) -> bytes:
        """The line of the history of checkpoints."""
        return b"%d %s\n" % (self.size, base64.b64encode(self.root))


def open_checkpoint(note: bytes, key: Key, place: str) -> Checkpoint:
    """Size and root from a signed checkpoint."""
    text = open_note(note, key, place)
    found = re.fullmatch(rb"[^\n]+\n([0-9]{1,15})\n([A-Za-z0-9+/]{43}=)\n", text)
    if found:
        checkpoint = Checkpoint(int(found.group(1)), binascii.a2b_base64(found.group(2)))
        if len(checkpoint.root) == 32 and checkpoint.text(key) == text:
            return checkpoint
    raise Broken(place + ": signed, but not a checkpoint")


# ---------------------------------------------------------------- witnesses (C2SP tlog-cosignature)

_COSIGNATURE = re.compile(rb"\xe2\x80\x94 [a-z0-9./-]{1,80} ([A-Za-z0-9+/]{102}==)\n")
_WITNESS_FILE = re.compile(
    rb"gradaudit witness 1\n(?:words ([a-z]{5}(?: [a-z]{5}){9})\n|([^\n]{1,160}\n))"
    rb"(?:((?:[^\n]+\n){3}\n[^\n]+\n)([^\n]+\n))?"
)
WITNESS_NAME = re.compile("[a-z0-9-]{1,32}")
MAX_WITNESS = 1024  # bytes of one witness's file


def cosigned_text(checkpoint: bytes, seconds: int) -> bytes:
    """What a witness signs: that it saw this checkpoint at this time (seconds since 1970, its own clock)."""
    return b"cosignature/v1\ntime %d\n" % seconds + checkpoint


def compose_cosignature(key: Key, seconds: int, signature: bytes) -> bytes:
    """The signature line of a witness."""
    mark = base64.b64encode(key.number() + seconds.to_bytes(8, "big") + signature)
    return b"\xe2\x80\x94 " + key.name.encode() + b" " + mark + b"\n"


def open_cosignature(line: bytes, checkpoint: bytes, key: Key, place: str) -> int:
    """When the witness `key` saw this checkpoint; Broken unless it is exactly what that witness signed."""
    found = _COSIGNATURE.fullmatch(line)
    data = binascii.a2b_base64(found.group(1)) if found else bytes(76)
    seconds = int.from_bytes(data[4:12], "big")
    if compose_cosignature(key, seconds, data[12:]) != line:
        raise Broken(place + ": not a cosignature in the name of this witness")
    if not ed25519_valid(key.public, cosigned_text(checkpoint, seconds), data[12:]):
        raise Broken(place + ": the cosignature does not match the checkpoint")
    return seconds


class Witness(NamedTuple):
    """What a log keeps of a witness: its ten words, and once it has answered, key and cosigned checkpoint."""

    words: str
    key: Key | None
    note: bytes  # checkpoint as the log signed it, b"" before the first answer
    cosignature: bytes

    def data(self) -> bytes:
        """The file `witness/<name>`."""
        key = self.key.line() if self.key else b"words " + self.words.encode() + b"\n"
        return b"gradaudit witness 1\n" + key + self.note + self.cosignature


def parse_witness(data: bytes, place: str) -> Witness:
    """What `witness/<name>` says; nothing in it is checked yet but the form."""
    found = _WITNESS_FILE.fullmatch(data)
    if not found or (found.group(1) and found.group(3)):
        raise Broken(place + ": not the file of a witness")
    if found.group(1):
        return Witness(found.group(1).decode(), None, b"", b"")
    key = parse_key(found.group(2), place, WITNESS_KEY)
    return Witness(ten_words(key.public), key, found.group(3) or b"", found.group(4) or b"")


class Seen(NamedTuple):
    """A valid cosignature: which witness saw how many entries, under which root, and when."""

    key: Key
    checkpoint: Checkpoint
    seconds: int

    def line(self) -> str:
        """For a reader."""
        when = moment(self.seconds)
        return f"{self.checkpoint.size} entries seen on {when} by <{ten_words(self.key.public)}>"


def moment(seconds: int) -> str:
    """A time since 1970 as the day and minute, UTC; a time beyond year 9999 as its number."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")  # noqa: UP017
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def check_witness(witness: Witness, key: Key, place: str) -> Seen | None:
    """The cosignature that a log keeps, checked against the log's key; None before the first answer."""
    if witness.key is None or not witness.note:
        return None
    head = open_checkpoint(witness.note, key, place)
    seconds = open_cosignature(witness.cosignature, head.text(key), witness.key, place)
    return Seen(witness.key, head, seconds)


# ---------------------------------------------------------------- the log: journal, checkpoint, checkpoints

JOURNAL_MAGIC = b"GALOG\x00\x01\n"  # of a log's first segment
NEXT_MAGIC = b"GALOG\x00\x02\n"  # of a later one: a start record follows
MAX_START = 1 << 14  # bytes of a start record
SEGMENT = re.compile("[0-9]{4}")
LOG_FILES = ("verifier-key", "checkpoint", "checkpoints", "journal")
_TRIES = 4  # readings of a log; some file systems number its files anew at each look

_DIGEST = rb"(?:[0-9a-f]{64})?"
_NUMBER = rb"0|[1-9][0-9]{0,14}"
# The only shape an entry can have, and its canonical spelling at once: no free text fits in.
ENTRY = re.compile(
    rb'\{"act":"(?P<act>[a-z]{1,16}(?:\.[a-z]{1,16}){1,2})"'
    rb',"actor":"[a-z]{1,16}(?::[0-9a-f]{32})?"'
    rb',"boot":"[0-9]{1,20}"'
    rb',"detail":"' + _DIGEST + rb'"'
    rb',"first":(?P<first>' + _NUMBER + rb")"
    rb',"id":(?P<id>' + _NUMBER + rb")"
    rb',"object":"(?P<object>(?:[a-z]{1,16}|[0-9a-f]{32}|[0-9a-f]{64})?)"'
    rb',"outcome":"(?P<outcome>[A-Za-z]{1,16})"'
    rb',"policy":"(?P<policy>' + _DIGEST + rb')"'
    rb',"result":"(?P<result>' + _DIGEST + rb')"'
    rb',"utc":"(?P<utc>(?P<year>[0-9]{4})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z)","v":1\}'
)


class Start(NamedTuple):
    """Where a segment of the log begins: at entry 0, or where the segment before ended.

    `header` is what the journal begins with: the magic, and in a later segment a record of its year, the
    last checkpoint before it, signed, and the frontier of the tree at that place.
    """

    header: bytes
    checkpoint: Checkpoint
    frontier: tuple[bytes, ...]
    year: str  # "" in the first segment: there the first entry says it


FIRST = Start(JOURNAL_MAGIC, Checkpoint(0, sha256(b"")), (), "")


def compose_start(note: bytes, frontier: Sequence[bytes], year: int) -> bytes:
    """The header of a later segment's journal."""
    record = {"checkpoint": note.decode(), "frontier": [node.hex() for node in frontier], "year": year}
    data = canonical(record)
    return NEXT_MAGIC + struct.pack(">L", len(data)) + data


def read_start(journal: BinaryIO, key: Key, place: str) -> Start:
    """Read a journal's header and check it against the log's key."""
    journal.seek(0)
    magic = journal.read(len(JOURNAL_MAGIC))
    if magic == JOURNAL_MAGIC:
        return FIRST
    length = int.from_bytes(journal.read(4), "big") if magic == NEXT_MAGIC else 0
    data = journal.read(length) if 0 < length <= MAX_START else b""
    if not data or len(data) != length:
        raise Broken(place + ", byte 0: this is not the beginning of a journal")
    record = parse_canonical(data, place + ", start record")
    try:
        head = open_checkpoint(record["checkpoint"].encode(), key, place + ", start record")
        tree = Tree()
        tree.size, tree.frontier = head.size, [bytes.fromhex(node) for node in record["frontier"]]
        year = record["year"]
        fits = len(tree.frontier) == bin(head.size).count("1") and tree.root() == head.root
        if fits and head.size and type(year) is int and 1000 <= year <= 9999 and len(record) == 3:
            header = compose_start(record["checkpoint"].encode(), tree.frontier, year)
            if header == magic + struct.pack(">L", length) + data:
                return Start(header, head, tuple(tree.frontier), str(year))
    except (KeyError, TypeError, AttributeError, ValueError):
        pass
    raise Broken(place + ", start record: does not name a state of this log")


class Walk:
    """One pass over journal and history of checkpoints, from wherever the last pass ended.

    Entries written together carry the number of the first of them, so the history of checkpoints follows
    from the journal and every byte of it can be recomputed.
    """

    def __init__(self, visit: Visit | None = None) -> None:
        self.tree = Tree()
        self.place = len(JOURNAL_MAGIC)  # byte of the journal where the next entry starts
        self.history_place = 0  # byte of the history where the next line starts
        self._line = 0
        self._batch = 0
        self._trusted = (0, self.place)  # entries and bytes under the last history line that fitted
        self._visit = visit  # called with number, place and leaf hash of every entry
        self.origin = FIRST.checkpoint  # where the oldest segment begins
        self._header = JOURNAL_MAGIC
        self._folder = ""  # of a closed segment, for messages
        self.year = ""  # of the segment: as its start record or its first entry says
        self.pruned: set[str] = set()  # roots at which entries say that all before was removed
        self.roots: dict[int, bytes] = {}  # put sizes of checkpoints here to learn their roots

    def begin(self, start: Start, folder: str = "") -> None:
        """Go on with another segment's files; the first one may begin where a pruned one ended."""
        if not self.tree.size:
            self.tree.size, self.tree.frontier = start.checkpoint.size, list(start.frontier)
            self.origin = start.checkpoint
            self._learn(start.checkpoint)
        if start.checkpoint != Checkpoint(self.tree.size, self.tree.root()):
            raise Broken(f"{folder}journal, start record: does not begin where the segment before ends")
        self._header, self._folder, self.year = start.header, folder, start.year
        self.place, self.history_place, self._line = len(start.header), 0, 0
        self._batch, self._trusted = self.tree.size, (self.tree.size, self.place)

    def _learn(self, head: Checkpoint) -> None:
        if head.size in self.roots:
            self.roots[head.size] = head.root

    def advance(self, journal: BinaryIO, history: BinaryIO, goal: Checkpoint) -> None:
        """Read on up to `goal`; Broken names the first entry, entries or history line that do not fit."""
        journal.seek(0)
        if journal.read(len(self._header)) != self._header:
            raise Broken(f"{self._folder}journal, byte 0: this is not the beginning of a journal")
        journal.seek(self.place)
        history.seek(self.history_place)
        suspect = ""
        for entry in self._entries(journal, goal.size):
            size = self.tree.size
            if self._batch == size != self._trusted[0]:
                suspect = suspect or self._compare(history)
            leaf = hashlib.sha256(b"\x00" + entry).digest()
            if self._visit is not None:
                self._visit(size, self.place, leaf)
            self.tree.push(leaf)
            self.place += 4 + len(entry)
        if self.tree.size != self._trusted[0]:
            suspect = suspect or self._compare(history)
        if self.tree.root() != goal.root:
            where = f"{self._folder}journal, " + (suspect or "no single entry")
            raise Broken(where + ": not what the checkpoint signed")
        if suspect:
            raise Broken(f"{self._folder}checkpoints, line {self._line}: not what the journal gives")

    def _entries(self, journal: BinaryIO, goal: int) -> Iterator[bytes]:
        for index in range(self.tree.size, goal):
            length = int.from_bytes(journal.read(4), "big")
            entry = journal.read(length) if 0 < length <= MAX_ENTRY else b""
            found = ENTRY.fullmatch(entry)
            place = f"{self._folder}journal, entry {index} (byte {self.place})"
            if found is None or len(entry) != length or int(found.group("id")) != index:
                raise Broken(place + ": damaged, missing or moved")
            first = int(found.group("first"))
            if first not in (self._batch, index):
                raise Broken(place + ": names a wrong first entry")
            self._batch = first
            self.year = self.year or found.group("year").decode()
            if found.group("act") == b"log.prune":
                self.pruned.add(found.group("result").decode())
            yield entry

    def _compare(self, history: BinaryIO) -> str:
        """Compare the next history line with the tree: "" when it fits, else the entries to suspect."""
        head = Checkpoint(self.tree.size, self.tree.root())
        expected = head.line()
        self._learn(head)
        self._line += 1
        if history.read(len(expected)) != expected:
            entries, place = self._trusted
            last = self.tree.size - 1
            which = f"entry {last}" if entries == last else f"entries {entries} to {last}"
            return f"{which} (bytes {place} to {self.place - 1})"
        self.history_place += len(expected)
        self._trusted = (self.tree.size, self.place)
        return ""


class Report(NamedTuple):
    """What was found intact: under which key and checkpoint, seen by whom, and in lines for a reader."""

    key: Key
    checkpoint: Checkpoint
    lines: tuple[str, ...]
    seen: tuple[Seen, ...] = ()


def read_log_file(directory: Path, name: str, limit: int) -> bytes:
    """One small file of a log, whole; Broken when it is missing or longer than `limit`."""
    try:
        with (directory / name).open("rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError:
        raise Broken(name + ": missing") from None
    if len(data) > limit:
        raise Broken(name + ": longer than it can be")
    return data


def read_key(directory: Path) -> Key:
    """The key that a log names."""
    return parse_key(read_log_file(directory, "verifier-key", 256), "verifier-key")


def read_head(directory: Path) -> tuple[Key, Checkpoint]:
    """The key that a log names and the checkpoint it signed last."""
    key = read_key(directory)
    return key, open_checkpoint(read_log_file(directory, "checkpoint", 1024), key, "checkpoint")


def check_log(directory: Path, visit: Visit | None = None) -> Report:
    """Check every byte of a log that its checkpoint covers, closed segments and cosignatures included.

    Somebody may be writing to it meanwhile. `visit` is called as by a walk; what it raises goes through.

    Raises:
        Broken: with file and place.
        OSError: a file cannot be read.
    """
    for _ in range(_TRIES):
        files = _files(directory)
        try:
            return _check_log(directory, visit)
        except (Broken, OSError):
            if files == _files(directory):  # else a year was closed or removed while it was read
                raise
    return _check_log(directory, visit)


def _files(directory: Path) -> list[tuple[str, int]]:
    """The files that a log consists of: appending leaves them as they are."""
    try:
        live = [directory / "journal", directory / "checkpoints"]
        return [(path.name, path.stat().st_ino) for path in live + closed_segments(directory)]
    except OSError:
        return []


def _check_log(directory: Path, visit: Visit | None) -> Report:
    # What may only lie behind the checkpoint is read before it, the rest after it: a writer who goes on
    # meanwhile moves each the allowed way. Without him, all of it is what it was.
    key = read_key(directory)
    _check_secret(directory)
    for name in ("journal", "checkpoints"):
        if not (directory / name).is_file():
            raise Broken(name + ": missing")
    seen = read_witnesses(directory, key)
    ends = [(directory / name).stat().st_size for name in ("journal", "checkpoints")]
    key, head = read_head(directory)
    walk = Walk(visit)
    walk.roots = {one.checkpoint.size: b"" for one in seen.values()}
    with (directory / "journal").open("rb") as journal, (directory / "checkpoints").open("rb") as history:
        live = read_start(journal, key, "journal")
        years = walk_closed(directory, walk, key, live)
        walk.begin(live)
        lines_of_history = _unrolled(directory, history, years, live)
        walk.advance(journal, lines_of_history, head)
        tail = ends[0] - walk.place
        ahead = max(0, ends[1] - lines_of_history.tell())
        if lines_of_history.read(min(4096, ahead)).count(b"\n") > 1:
            raise Broken("checkpoint: older than the history of checkpoints; it was put back")
    if walk.origin.size and walk.origin.root.hex() not in walk.pruned:
        raise Broken(f"segments: entries 0 to {walk.origin.size - 1} are missing, and no entry says why")
    lines = [f"log      {head.size} entries, root {head.root.hex()}"]
    if walk.origin.size:
        lines.append(f"pruned   entries 0 to {walk.origin.size - 1}, as an entry says")
    lines.append(f"state    <{state_words(head.text(key))}>")
    if years:
        lines.append(f"years    {', '.join(years)} closed, {walk.year} open")
    for place, one in seen.items():
        if one.checkpoint.size > head.size:
            raise Broken(
                f"{place}: cosigned {one.checkpoint.size} entries, of which the log holds {head.size}"
            )
        root = walk.roots[one.checkpoint.size]
        if root != one.checkpoint.root and (root or one.checkpoint.size >= walk.origin.size):
            raise Broken(f"{place}: cosigned another history than the journal holds")
        lines.append("witness  " + one.line())
    if tail > 0:
        lines.append(f"note     {tail} bytes after the last checkpoint were not acknowledged")
    return Report(key, head, tuple(lines), tuple(seen.values()))


def walk_closed(
    directory: Path,
    walk: Walk,
    key: Key,
    live: Start,
    begun: Callable[[Start, str], None] = lambda start, year: None,
) -> list[str]:
    """Walk through the closed segments, oldest first; their years. Broken names the file.

    A segment that begins where the open one begins is a copy: its year was about to be closed.
    """
    years = []
    for folder in closed_segments(directory):
        place = f"segments/{folder.name}/"
        for name in ("journal", "checkpoints", "checkpoint"):
            if not (folder / name).is_file():
                raise Broken(place + name + ": missing")
        with (folder / "journal").open("rb") as journal, (folder / "checkpoints").open("rb") as history:
            start = read_start(journal, key, place + "journal")
            if start == live:
                break
            note = read_log_file(folder, "checkpoint", 1024)
            walk.begin(start, place)
            begun(start, folder.name)
            walk.advance(journal, history, open_checkpoint(note, key, place + "checkpoint"))
            if journal.read(1):
                raise Broken(
                    f"{place}journal, byte {walk.place}: more than the year's last checkpoint covers"
                )
            if history.read(1):
                raise Broken(f"{place}checkpoints: more than the journal gives")
        if walk.year != folder.name:
            raise Broken(f"{place}journal: of the year {walk.year}")
        years.append(folder.name)
    return years


def closed_segments(directory: Path) -> list[Path]:
    """The folders of years that were closed, oldest first."""
    folder = directory / "segments"
    found = list(folder.iterdir()) if folder.is_dir() else []
    return sorted(path for path in found if SEGMENT.fullmatch(path.name))


def _unrolled(directory: Path, history: BinaryIO, years: Sequence[str], live: Start) -> BinaryIO:
    """The history of the open segment: nothing yet where it still is the one of the year just closed."""
    if years and live != FIRST:
        length = (directory / "segments" / years[-1] / "checkpoints").stat().st_size
        if history.seek(0, 2) == length and is_copy(directory, years[-1]):
            return io.BytesIO()
    return history


def is_copy(directory: Path, year: str) -> bool:
    """Whether the history of the open segment is byte for byte that of a closed one."""
    closed, history = directory / "segments" / year / "checkpoints", directory / "checkpoints"
    return closed.read_bytes() == history.read_bytes()


def read_witnesses(directory: Path, key: Key) -> dict[str, Seen]:
    """The cosignatures that a log keeps, by file; each is checked but for its place in the tree."""
    folder = directory / "witness"
    seen = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if WITNESS_NAME.fullmatch(path.name):
            place = "witness/" + path.name
            witness = parse_witness(read_log_file(folder, path.name, MAX_WITNESS), place)
            one = check_witness(witness, key, place)
            if one is not None:
                seen[place] = one
    return seen


def _check_secret(directory: Path) -> None:
    """The owner's key file ends in a digest of itself; whoever may read it learns whether it is whole."""
    try:
        data = (directory / "signing.key").read_bytes()
    except OSError:
        return
    body, check = data[:-65], data[-65:]
    if check != sha256(body).hex().encode() + b"\n":
        raise Broken("signing.key: damaged")


# ---------------------------------------------------------------- the pack: a ZIP with one possible spelling

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_NAME = re.compile(r"[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_-]+){0,3}")
_DATE = 0x21  # 1980-01-01
_MODE = 0o100644 << 16


def _local(name: str, size: int, crc: int) -> bytes:
    fixed = _LOCAL.pack(b"PK\x03\x04", 20, 0, 0, 0, _DATE, crc, size, size, len(name), 0)
    return fixed + name.encode("latin-1")


def _central(name: str, size: int, crc: int, offset: int) -> bytes:
    head = (b"PK\x01\x02", 0x314, 20, 0, 0, 0, _DATE, crc, size, size, len(name))
    return _CENTRAL.pack(*head, 0, 0, 0, 0, _MODE, offset) + name.encode("latin-1")


def _end(count: int, length: int, offset: int) -> bytes:
    return _END.pack(b"PK\x05\x06", 0, 0, count, count, length, offset, 0)


def build_zip(members: dict[str, bytes]) -> bytes:
    """The one ZIP for these members: stored, sorted, 1980-01-01, mode 0644, no extra field, no comment."""
    body, directory = b"", b""
    for name in sorted(members):
        if not _NAME.fullmatch(name):
            raise ValueError("not a member name: " + ascii(name))
        data = members[name]
        directory += _central(name, len(data), zlib.crc32(data), len(body))
        body += _local(name, len(data), zlib.crc32(data)) + data
    return body + directory + _end(len(members), len(directory), len(body))


def _layout_by_members(data: bytes) -> Layout:
    layout: Layout = []
    at = 0
    while data[at : at + 4] == b"PK\x03\x04" and at + _LOCAL.size <= len(data):
        if len(layout) == MAX_MEMBERS:
            return []
        fields = _LOCAL.unpack_from(data, at)
        start = at + _LOCAL.size
        layout.append((data[start : start + fields[9]].decode("latin-1"), fields[8]))
        at = start + fields[9] + fields[8]
    return layout


def _layout_by_directory(data: bytes) -> Layout:
    layout: Layout = []
    at = _END.unpack_from(data, len(data) - _END.size)[6] if len(data) >= _END.size else len(data)
    while data[at : at + 4] == b"PK\x01\x02" and at + _CENTRAL.size <= len(data):
        if len(layout) == MAX_MEMBERS:
            return []
        fields = _CENTRAL.unpack_from(data, at)
        start = at + _CENTRAL.size
        layout.append((data[start : start + fields[10]].decode("latin-1"), fields[9]))
        at = start + fields[10]
    return layout


def _length(layout: Layout) -> int:
    return _END.size + sum(_LOCAL.size + _CENTRAL.size + 2 * len(name) + size for name, size in layout)


def split_zip(data: bytes) -> tuple[dict[str, bytes], list[str]]:
    """The members of a pack, and every place where its bytes are not the ones `build_zip` gives."""
    layouts = [_layout_by_directory(data), _layout_by_members(data)]
    whole = [layout for layout in layouts if layout and _length(layout) == len(data)]
    if not whole:
        return {}, ["pack: cut, lengthened or damaged; " + _where_it_ends(data, layouts[1])]
    # Names and sizes are written twice; of two readings the one with the names we know is the undamaged one.
    layout = max(whole, key=lambda names: sum(name in _KNOWN for name, _ in names))
    members: dict[str, bytes] = {}
    problems = _two_names(*whole) if len(whole) == 2 else []
    pieces: list[tuple[str, int, bytes]] = []
    at, line = 0, len(data) - _END.size - sum(_CENTRAL.size + len(name) for name, _ in layout)
    directory = line
    for name, size in layout:
        shown = _shown(name)
        if shown != name or name in members or name < max(members, default=""):
            problems.append(shown + ": a name that is not allowed, repeated or out of order")
        start = at + _LOCAL.size + len(name)
        members[name] = data[start : start + size]
        crc = zlib.crc32(members[name])
        stated = (_LOCAL.unpack_from(data, at)[6], _CENTRAL.unpack_from(data, line)[7])
        if crc not in stated:
            problems.append(f"{shown}: its content was changed (within bytes {start} to {start + size - 1})")
            crc = stated[0]
        pieces.append((shown + ": its ZIP header", at, _local(name, size, crc)))
        pieces.append((shown + ": its line in the ZIP directory", line, _central(name, size, crc, at)))
        at, line = start + size, line + _CENTRAL.size + len(name)
    pieces.append(
        ("pack: the end of its ZIP directory", line, _end(len(layout), line - directory, directory))
    )
    return members, problems + [problem for piece in pieces for problem in _difference(data, *piece)]


def _two_names(directory: Layout, headers: Layout) -> list[str]:
    pairs = [(_shown(one[0]), _shown(other[0])) for one, other in zip(directory, headers)]  # noqa: B905
    return [f"{one}: called {other} where it begins" for one, other in pairs if one != other]


def _difference(data: bytes, place: str, start: int, expected: bytes) -> Iterator[str]:
    if data[start : start + len(expected)] != expected:
        step = next(step for step, byte in enumerate(expected) if data[start + step] != byte)
        yield f"{place} was changed (byte {start + step})"


def _shown(name: str) -> str:
    return name if _NAME.fullmatch(name) else ascii(name)


def _where_it_ends(data: bytes, layout: Layout) -> str:
    at, inside = 0, "its beginning"
    for name, size in layout:
        inside = _shown(name)
        at += _LOCAL.size + len(name) + size
        if at > len(data):
            return f"the file ends inside {inside} (byte {len(data)})"
    return f"the trouble begins behind {inside} (byte {at} of {len(data)})"


# ---------------------------------------------------------------- what a pack says

COMMITTED = ("data.json", "model.json", "policy.toml", "results.json")  # by every audit, in every version
RECORDS = "records.json"  # committed as well, where the site's records were kept when the audit closed
SEALS = ("manifest.json", "manifest.note")  # every other member is listed in the first, signed by the second
DISCLOSURE = "disclosure.json"  # roots of the committed members, and salts of those that are shown whole
VERDICTS = ("verdict.html", "verdict.txt")
STATEMENT, STATEMENT_TYPE = "run.intoto.json", "application/vnd.in-toto+json"
RETENTION, RETENTION_NOTE = "records/retention.json", "records/retention.note"
REQUIRED = (
    *SEALS,
    "README.txt",
    "log/checkpoint",
    "log/entries.jsonl",
    "log/opening",
    "log/proofs.json",
    "log/verifier-key",
    "verify_evidence.py",
)
_KNOWN = {*COMMITTED, *VERDICTS, *REQUIRED, DISCLOSURE}
FORMATS = {  # of the manifest -> what such a pack needs besides
    "gradaudit-pack-1": (*COMMITTED, *VERDICTS),
    "gradaudit-pack-2": (DISCLOSURE,),
}
PARTS_OF_RECORDS = {  # member -> the part of records.json that it repeats
    "records/access.json": "access",
    "records/egress.json": "egress",
    "records/encryption.json": "encryption",
    "records/log-review.json": "log_review",
    RETENTION: "retention",
}
# What else a pack of version 2 may hold: a member of another name needs another version.
_BESIDE = re.compile(
    r"verdict\.pdf|(?:method|data|results)\.html|figures/[a-z0-9_-]+\.svg|results/[a-z0-9_-]+\.csv"
    r"|drafts/[a-z0-9-]+\.html|model\.cdx\.json|crosswalk\.(?:html|json|oscal\.json)"
    r"|log/(?:audit-events\.fhir|cosigned)\.json|run\.intoto\.json|records/retention\.note"
)
CLOSING_ACT = b"audit.close"
_LONGEST = 400  # characters of a line for a reader
COSIGNED = "log/cosigned.json"  # only in packs of a log that a witness has seen since


def commitment(members: dict[str, bytes]) -> str:
    """What the log signed when an audit closed, before there were leaves: a digest over four members."""
    return digest_commitment({name: sha256(members[name]).hex() for name in COMMITTED})


def digest_commitment(digests: dict[str, str]) -> str:
    """The same from the members' digests."""
    return sha256(canonical({name: digests[name] for name in COMMITTED})).hex()


def leaf_commitment(roots: dict[str, dict[str, Any]]) -> str:
    """What the log signs when an audit closes: number of leaves and root of each committed member."""
    members = {name: {"leaves": one["leaves"], "root": one["root"]} for name, one in roots.items()}
    return sha256(canonical({"format": "gradaudit-commitment-2", "members": members})).hex()


def disclosed(name: str) -> str:
    """The member that stands in a pack for a committed one of which some leaves are withheld."""
    return name[: name.rindex(".")] + ".disclosed.json"


def manifest_text(manifest: bytes) -> bytes:
    """The text that the log's key signs over a manifest."""
    return b"gradaudit evidence pack 1\n" + sha256(manifest).hex().encode() + b"\n"


def retention_text(certificate: bytes) -> bytes:
    """The text that the log's key signs over a retention certificate."""
    return b"gradaudit retention certificate 1\n" + sha256(certificate).hex().encode() + b"\n"


def statement_text(payload_type: str, payload: bytes) -> bytes:
    """What is signed of a DSSE envelope: its pre-authentication encoding (DSSE v1)."""
    name = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)


def check_pack(data: bytes) -> Report:
    """Check every byte of a pack.

    Raises:
        Broken: with the member, and the entry where it is one.
        Unreadable: the bytes are not a pack.
    """
    if not data or not (data[:4] == b"PK\x03\x04"[: len(data)] or data[-22:-18] == b"PK\x05\x06"):
        raise Unreadable("neither an evidence pack nor the directory of a log")
    members, problems = split_zip(data)
    required, form = (ANSWER_REQUIRED, _check_answer) if ANSWER in members else (REQUIRED, _check_members)
    missing = [name + ": missing" for name in required if members and name not in members]
    if not members or missing:
        raise Broken("; ".join(problems + missing))
    try:
        report = form(members)
    except Broken as broken:
        if not any(str(broken).split(":")[0] == problem.split(":")[0] for problem in problems):
            problems.append(str(broken))
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError):
        problems.append("pack: signed, but its parts do not have the form of a pack")
    if problems:
        raise Broken("; ".join(problems))
    return report


def _check_members(members: dict[str, bytes]) -> Report:
    key = parse_key(members["log/verifier-key"], "log/verifier-key")
    head = open_checkpoint(members["log/checkpoint"], key, "log/checkpoint")
    entries = _check_entries(members, head)
    opening = open_checkpoint(members["log/opening"], key, "log/opening")
    proofs = parse_canonical(members["log/proofs.json"], "log/proofs.json")
    if not is_consistent(opening, head, [bytes.fromhex(step) for step in proofs["consistency"]]):
        raise Broken("log/opening: not an earlier state of the log that log/checkpoint signs")
    if open_note(members["manifest.note"], key, "manifest.note") != manifest_text(members["manifest.json"]):
        raise Broken("manifest.json: not the manifest that was signed")
    manifest = parse_canonical(members["manifest.json"], "manifest.json")
    stated = manifest["members"]
    for name in sorted((set(stated) | set(members)) - set(SEALS)):
        if name not in members or stated.get(name) != sha256(members[name]).hex():
            raise Broken(_shown(name) + ": not what the signed manifest lists")
    if manifest["format"] not in FORMATS:
        raise Broken("manifest.json: of a form that this verifier does not know; use a newer one")
    for name in FORMATS[manifest["format"]]:
        if name not in members:
            raise Broken(name + ": missing")
    _check_names(members, manifest["format"])
    seen = _check_cosigned(members, key, head)
    _check_closed_once(entries)
    said = _check_closing(members, entries[-1])
    if said.audit and manifest["audit"] != said.audit:
        raise Broken("manifest.json: names another audit than the one that was closed")
    if DISCLOSURE in members:
        edition = parse_canonical(members[DISCLOSURE], DISCLOSURE)["edition"]
        if manifest["edition"] != edition:
            raise Broken(f"manifest.json: of another edition than {DISCLOSURE}")
    _check_records(members, manifest["audit"])
    _check_signed(members, key, manifest["audit"], entries[-1])
    audit = said.audit or "withheld; only the manifest says " + str(manifest["audit"])
    return Report(
        key,
        head,
        (
            f"audit    {_printable(audit)}, verdict {_printable(said.word)}",
            f"model    {_printable(said.model or 'withheld')}, {_printable(said.digest or 'withheld')}",
            f"log      {len(entries)} entries of this audit, proven in a log of {head.size}",
            f"state    <{state_words(head.text(key))}>",
            f"pack     {len(members)} members, every byte accounted for",
            *(_printable(line) for line in said.withheld),
            *("witness  " + one.line() for one in seen),
        ),
        seen,
    )


def _check_names(members: dict[str, bytes], form: str) -> None:
    """A pack holds what its version knows, so that nothing beside it is taken for evidence."""
    known = {*COMMITTED, *REQUIRED, *VERDICTS, COSIGNED}
    if form != "gradaudit-pack-1":
        known |= {DISCLOSURE, RECORDS, *map(disclosed, (*COMMITTED, RECORDS)), *PARTS_OF_RECORDS}
    for name in sorted(members):
        if name not in known and (form == "gradaudit-pack-1" or not _BESIDE.fullmatch(name)):
            raise Broken(f"{_shown(name)}: no member of {form}")


def _check_closed_once(entries: Sequence[re.Match[bytes]]) -> None:
    """No audit is closed by two entries."""
    closed: dict[bytes, int] = {}
    for entry in entries:
        if entry.group("act") == CLOSING_ACT:
            number = int(entry.group("id"))
            if entry.group("object") in closed:
                first = closed[entry.group("object")]
                raise Broken(f"log/entries.jsonl: entries {first} and {number} both close one audit")
            closed[entry.group("object")] = number


def _check_records(members: dict[str, bytes], audit: str) -> None:
    """The members that repeat a part of records.json say what the log committed to."""
    there = [name for name in PARTS_OF_RECORDS if name in members]
    if there and RECORDS not in members:
        raise Broken(f"{there[0]}: without {RECORDS}, which the log committed to")
    committed = parse_canonical(members[RECORDS], RECORDS) if there else {}
    for name in there:
        part = PARTS_OF_RECORDS[name]
        one = parse_canonical(members[name], name)
        wanted = {
            "audit": audit,
            "from": f"{RECORDS}#/{part}",
            "log_entries": committed["log_entries"],
            "record": committed[part],
            "utc": committed["utc"],
        }
        if any(one[key] != value for key, value in wanted.items()):
            raise Broken(f"{name}: says something else than {RECORDS}")


def _check_cosigned(members: dict[str, bytes], key: Key, head: Checkpoint) -> tuple[Seen, ...]:
    """Cosignatures over later states of the log, each of which grew out of the pack's."""
    if COSIGNED not in members:
        return ()
    seen = []
    for number, one in enumerate(parse_canonical(members[COSIGNED], COSIGNED)):
        place = f"{COSIGNED}, number {number + 1}"
        later = check_witness(parse_witness(one["witness"].encode(), place), key, place)
        if later is None or not is_consistent(
            head, later.checkpoint, [bytes.fromhex(step) for step in one["consistency"]]
        ):
            raise Broken(place + ": not a cosignature over a log that holds this audit")
        seen.append(later)
    return tuple(seen)


def _check_entries(members: dict[str, bytes], head: Checkpoint) -> list[re.Match[bytes]]:
    paths = parse_canonical(members["log/proofs.json"], "log/proofs.json")["inclusion"]
    lines = members["log/entries.jsonl"].split(b"\n")
    entries: list[re.Match[bytes]] = []
    for number, line in enumerate(lines[:-1]):
        found = ENTRY.fullmatch(line)
        index = int(found.group("id")) if found else -1
        path = [bytes.fromhex(step) for step in paths[number]] if number < len(paths) else []
        if found is None or root_by_inclusion(index, head.size, leaf_hash(line), path) != head.root:
            name = f"entry {index}" if found else "an entry"
            raise Broken(f"log/entries.jsonl, line {number + 1}: {name} is not in the signed log")
        if entries and index <= int(entries[-1].group("id")):
            raise Broken(f"log/entries.jsonl, line {number + 1}: entry {index} is out of order")
        entries.append(found)
    if not entries or lines[-1] or len(entries) != len(paths):
        raise Broken("log/entries.jsonl: cut or lengthened")
    return entries


class Said(NamedTuple):
    """What the committed members of a pack say, "" where it is withheld, and what is withheld."""

    audit: str
    word: str
    model: str
    digest: str
    withheld: tuple[str, ...]


def _check_closing(members: dict[str, bytes], closing: re.Match[bytes]) -> Said:
    """Hold the committed members against the entry that closed the audit."""
    entry = f"entry {int(closing.group('id'))} closed the audit"
    word = closing.group("outcome").decode()
    if closing.group("act") != CLOSING_ACT:
        raise Broken("log/entries.jsonl: the last entry does not close an audit")
    names, found, withheld = _check_committed(members)
    if closing.group("result").decode() != found:
        raise Broken(f"{', '.join(names)}: {entry} over other bytes")
    if "policy.toml" in members and closing.group("policy").decode() != sha256(members["policy.toml"]).hex():
        raise Broken(f"policy.toml: {entry} under another policy")
    told = _told(members)
    if told.get(("verdict", "word"), word) != word:
        raise Broken(f"results.json: {entry} with another verdict")
    ways = ("audit",), ("model", "name"), ("model", "digest")
    audit, model, digest = (str(told.get(way, "")) for way in ways)
    return Said(audit, word, model, digest, withheld)


def _check_committed(members: dict[str, bytes]) -> tuple[Sequence[str], str, tuple[str, ...]]:
    """The committed members by name, the digest over them as the log would hold it, what is withheld."""
    if DISCLOSURE not in members:
        return COMMITTED, commitment(members), ()
    disclosure = parse_canonical(members[DISCLOSURE], DISCLOSURE)
    stated, left_out = disclosure["members"], disclosure["left_out"]
    for name in COMMITTED:
        if name not in stated:
            raise Broken(f"{DISCLOSURE}: says nothing of {name}")
    if not set(stated) <= {*COMMITTED, RECORDS}:
        raise Broken(f"{DISCLOSURE}: lists what no audit commits to")
    for name in (*COMMITTED, RECORDS):
        if name not in stated and (name in members or disclosed(name) in members):
            raise Broken(f"{name}: not among what {DISCLOSURE} lists")
    for name in VERDICTS:
        if name not in members and name not in left_out:
            raise Broken(name + ": missing")
    version = disclosure["commitment"]
    if type(version) is not int or version not in (1, 2):
        raise Broken(f"{DISCLOSURE}: a commitment that this verifier does not know; use a newer one")
    if version == 1:
        later = {RECORDS, *PARTS_OF_RECORDS, RETENTION_NOTE, *map(disclosed, (*COMMITTED, RECORDS))}
        for name in sorted(later & set(members)):
            raise Broken(f"{name}: the log committed to nothing of that name")
        if set(stated) != set(COMMITTED):
            raise Broken(f"{DISCLOSURE}: lists what no audit commits to")
    form = _check_digests if version == 1 else _check_leaves
    withheld = tuple(
        f"withheld {number} of {of} leaves of {name}"
        for name, (number, of) in sorted(form(members, stated).items())
        if number
    )
    if left_out and not withheld:
        raise Broken(f"{DISCLOSURE}: says that members were left out, and nothing is withheld")
    left = tuple(f"left out {name}: it is made of what is withheld" for name in left_out)
    if version == 1:
        committed = digest_commitment({name: stated[name]["digest"] for name in COMMITTED})
        return COMMITTED, committed, withheld + left
    return tuple(stated), leaf_commitment(stated), withheld + left


def _check_digests(members: dict[str, bytes], stated: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """How much is withheld of each member that an older log committed to by its digest: all or nothing."""
    for name in stated:
        if name in members and sha256(members[name]).hex() != stated[name]["digest"]:
            raise Broken(f"{name}: not what {DISCLOSURE} lists")
    return {name: (int(name not in members), 1) for name in stated}


def _check_leaves(members: dict[str, bytes], stated: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """How many leaves of each committed member are withheld; each fits its root, whole or in part."""
    found = {}
    for name, one in stated.items():
        size, part = one["leaves"], disclosed(name)
        if name in members and part in members:
            raise Broken(f"{part}: {name} is there as well")
        if name in members:
            parts = document_leaves(name, members[name])
            seed = bytes.fromhex(one["seed"])
            hashes = [salted_leaf(leaf_salt(seed, way), way, value) for way, value in parts]
            found[name], root = (0, size), subtree(hashes, 0, len(hashes))
            fits = len(hashes) == size
        elif part in members:
            document = parse_canonical(members[part], part)
            fits = document["leaves"] == size and document["member"] == name
            root = disclosed_root(document, part)
            found[name] = (size - len(document["shown"]), size)
        else:
            fits, root, found[name] = size > 0, bytes.fromhex(one["root"]), (size, size)
        if not fits or root.hex() != one["root"]:
            raise Broken(f"{name if name in members else part}: not what {DISCLOSURE} lists")
    return found


def _told(members: dict[str, bytes]) -> dict[tuple[Step, ...], Any]:
    """The leaves of the results that a pack shows."""
    if "results.json" in members:
        return dict(document_leaves("results.json", members["results.json"]))
    part = disclosed("results.json")
    shown = parse_canonical(members[part], part)["shown"] if part in members else []
    return {tuple(way): value for _, _, way, value in shown}


def _check_signed(members: dict[str, bytes], key: Key, audit: str, closing: re.Match[bytes]) -> None:
    """What the log's key signs besides: the statement of the run, and how long the records are kept."""
    if STATEMENT in members:
        envelope = parse_canonical(members[STATEMENT], STATEMENT)
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"]]
        text = statement_text(STATEMENT_TYPE, payload)
        if envelope["payloadType"] != STATEMENT_TYPE or len(signatures) != 1:
            raise Broken(STATEMENT + ": not one signature over an in-toto statement")
        if not ed25519_valid(key.public, text, signatures[0]):
            raise Broken(STATEMENT + ": the signature does not match the statement")
        subject = parse_canonical(payload, STATEMENT + ", payload")["subject"]
        results = [name for name in ("results.json", disclosed("results.json")) if name in members]
        wanted = [{"name": name, "digest": {"sha256": sha256(members[name]).hex()}} for name in results]
        if not wanted or subject != wanted:
            raise Broken(f"{STATEMENT}: not about the results in this pack")
    if (RETENTION in members) != (RETENTION_NOTE in members):
        raise Broken(f"{RETENTION if RETENTION_NOTE in members else RETENTION_NOTE}: missing")
    if RETENTION in members:
        text = open_note(members[RETENTION_NOTE], key, RETENTION_NOTE)
        if text != retention_text(members[RETENTION]):
            raise Broken(f"{RETENTION}: not the certificate that was signed")
        stated = parse_canonical(members[RETENTION], RETENTION)
        closed = (audit, int(closing.group("id")), closing.group("utc").decode(), ten_words(key.public))
        if closed != tuple(stated[name] for name in ("audit", "closing_entry", "closed_utc", "key")):
            raise Broken(f"{RETENTION}: of another audit than the one that was closed")


def _printable(value: Any) -> str:
    """Text that no terminal obeys; what is longer than a line can be ends in dots."""
    text = re.sub(r"[^ -~]", "?", str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


# ---------------------------------------------------------------- an answer: the packs of a span of days

ANSWER, ANSWER_FORMAT = "answer.json", "gradaudit-answer-1"
ANSWER_REQUIRED = (
    ANSWER,
    *SEALS,
    "README.txt",
    "index.html",
    "index.txt",
    "log/checkpoint",
    "log/entries.jsonl",
    "log/proofs.json",
    "log/verifier-key",
    "verify_evidence.py",
)


def answer_text(manifest: bytes) -> bytes:
    """The text that the log's key signs over an answer's manifest; no pack's manifest is signed so."""
    return b"gradaudit evidence answer 1\n" + sha256(manifest).hex().encode() + b"\n"


def stated_results(pack: dict[str, bytes]) -> dict[str, Any]:
    """What an answer states of a pack's results: their leaves, as far as the pack shows them."""
    told = _told(pack)
    found = {
        "exposure": {way[2]: value for way, value in sorted(told.items()) if way in _EXPOSURE},
        "model": told.get(("model", "name"), ""),
        "tier": told.get(("result", "tier"), ""),
    }
    return {name: value for name, value in found.items() if value not in ("", {})}


_EXPOSURE = tuple(("result", "exposure", name) for name in ("flagged", "patients"))
_STATED = ("exposure", "tier")  # of a row, only as its pack says them


def _check_answer(members: dict[str, bytes]) -> Report:
    key = parse_key(members["log/verifier-key"], "log/verifier-key")
    head = open_checkpoint(members["log/checkpoint"], key, "log/checkpoint")
    entries = _check_entries(members, head)
    if open_note(members["manifest.note"], key, "manifest.note") != answer_text(members["manifest.json"]):
        raise Broken("manifest.json: not the manifest that was signed")
    manifest = parse_canonical(members["manifest.json"], "manifest.json")
    stated = manifest["members"]
    for name in sorted((set(stated) | set(members)) - set(SEALS)):
        if name not in members or stated.get(name) != sha256(members[name]).hex():
            raise Broken(_shown(name) + ": not what the signed manifest lists")
    answer = parse_canonical(members[ANSWER], ANSWER)
    if manifest["format"] != ANSWER_FORMAT or answer["format"] != ANSWER_FORMAT:
        raise Broken("manifest.json: of a form that this verifier does not know; use a newer one")
    for name in sorted(set(members) - {*ANSWER_REQUIRED, COSIGNED}):
        if not re.fullmatch(r"packs/[A-Za-z0-9_-]+\.zip", name):
            raise Broken(f"{_shown(name)}: no member of {ANSWER_FORMAT}")
    if (answer["log"]["entries"], answer["log"]["root"]) != (head.size, head.root.hex()):
        raise Broken(ANSWER + ": speaks of another state of the log than log/checkpoint signs")
    rows = answer["audits"]
    held = sorted(name for name in members if name.startswith("packs/"))
    if sorted(one["pack"] for one in rows if one["pack"]) != held:
        raise Broken(ANSWER + ": lists other packs than there are")
    closings = _check_closings(answer, entries)
    grown = parse_canonical(members["log/proofs.json"], "log/proofs.json")["packs"]
    withheld: list[str] = []
    for one in rows:
        closing = closings[one["entry"]]
        if one["pack"]:
            report = _check_enclosed(one, members[one["pack"]], key, head, grown[one["pack"]], closing)
            lacks = (line for line in report.lines if line.startswith(("withheld ", "left out ")))
            withheld += [f"{line} ({one['pack']})" for line in lacks]
    seen = _check_cosigned(members, key, head)
    audits = [
        f"audit    {one['audit']}, verdict {one['verdict']}, "
        + (one["pack"] or f"no pack: only entry {one['entry']} says it")
        for one in rows
    ]
    span = f"model {answer['model']}, {answer['from']} to {answer['to']}, as of {answer['log']['as_of_utc']}"
    return Report(
        key,
        head,
        (
            *map(_printable, [f"answer   {span}", *audits]),
            *([] if audits else ["audits   none finished in this span: nothing was measured, no pass"]),
            f"log      {len(entries)} entries, proven in a log of {head.size}",
            f"state    <{state_words(head.text(key))}>",
            f"file     {len(members)} members, {len(held)} packs intact, every byte accounted for",
            *map(_printable, withheld),
            *("witness  " + one.line() for one in seen),
        ),
        seen,
    )


def _check_closings(answer: Any, entries: Sequence[re.Match[bytes]]) -> dict[int, re.Match[bytes]]:
    """Every row is a closing of its own in the span, of a version that was asked for, and none is uncounted.

    Returns:
        The entries that closed an audit in the span, by number.
    """
    rows, counted = answer["audits"], answer["closings"]
    closings = {
        int(entry.group("id")): entry
        for entry in entries
        if entry.group("act") == CLOSING_ACT
        and answer["from"] <= entry.group("utc").decode()[:10] <= answer["to"]
    }
    asked, versions = answer["model"], {one["name"] for one in answer["versions"]}
    for name in sorted(versions):
        if name != asked and ("@" in asked or name.partition("@")[0] != asked):
            raise Broken(f"{ANSWER}: {_shown(str(name))} is no version of the model that it answers about")
    for one in rows:
        closing = closings.get(one["entry"])
        if closing is None:
            raise Broken(f"{ANSWER}: entry {int(one['entry'])} closed no audit in the span")
        said = (one["verdict"], one["closed_utc"], one["policy_digest"])
        if said != tuple(closing.group(name).decode() for name in ("outcome", "utc", "policy")):
            raise Broken(f"{ANSWER}: says something else of an audit than entry {one['entry']}")
        if one["model"] not in versions:
            raise Broken(f"{ANSWER}: lists an audit of another model than it answers about")
        if not one["pack"] and (one["sha256"] or any(name in one for name in _STATED)):
            raise Broken(f"{ANSWER}: states results of entry {one['entry']}, of which there is no pack")
    numbers = {one["entry"] for one in rows}
    if len(numbers) != len(rows):
        raise Broken(ANSWER + ": lists one closing of an audit twice")
    if len(rows) != counted["of_this_model"]:
        raise Broken(ANSWER + ": counts other audits of this model than it lists")
    if sum(counted[name] for name in ("of_this_model", "of_others", "unknown")) != len(closings):
        raise Broken(ANSWER + ": counts other closings than log/entries.jsonl holds in the span")
    return closings


def _check_enclosed(
    stated: Any, pack: bytes, key: Key, head: Checkpoint, grown: Sequence[str], closed: re.Match[bytes]
) -> Report:
    """Check one pack of an answer: intact, of the same key and log, and the audit that the answer names."""
    name = stated["pack"]
    inside, _ = split_zip(pack)
    if ANSWER in inside:
        raise Broken(name + ": an answer, not the pack of an audit")
    try:
        report = check_pack(pack)
    except (Broken, Unreadable) as broken:
        raise Broken(f"{name}: {broken}") from None
    if report.key != key or not is_consistent(
        report.checkpoint, head, [bytes.fromhex(step) for step in grown]
    ):
        raise Broken(name + ": not from an earlier state of the log that log/checkpoint signs")
    line = inside["log/entries.jsonl"].split(b"\n")[-2]
    audit = parse_canonical(inside["manifest.json"], name)["audit"]
    said = (stated["audit"], stated["sha256"], {n: stated[n] for n in _STATED if n in stated})
    found = stated_results(inside)
    model = found.pop("model", stated["model"])
    if line != closed.group() or said != (audit, sha256(pack).hex(), found) or stated["model"] != model:
        raise Broken(f"{ANSWER}: says something else of {name} than the pack")
    return report


# ---------------------------------------------------------------- command line


def check(path: Path) -> Report:
    """Check the pack or log at `path`; a workspace stands for the log inside it."""
    try:
        if path.is_dir():
            if (path / "manifest.json").is_file() and (path / "log").is_dir():
                raise Unreadable("an unpacked pack; name the ZIP")
            directory = path / "log" if (path / "log").is_dir() else path
            if not any((directory / name).exists() for name in LOG_FILES):
                raise Unreadable("neither an evidence pack nor the directory of a log")
            return check_log(directory)
        with path.open("rb") as stream:
            data = stream.read(MAX_PACK + 1)
    except OSError as error:
        raise Unreadable(error.strerror or "cannot be read") from None
    if len(data) > MAX_PACK:
        raise Unreadable("larger than any evidence pack")
    return check_pack(data)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the answer, the first line first; return the exit status."""
    parser = argparse.ArgumentParser(description="Check a GradAudit evidence pack or log.")
    parser.add_argument("path", metavar="PACK.zip|DIRECTORY", type=Path)
    parser.add_argument("--key", metavar="WORDS", help="the ten words of the key you know")
    parser.add_argument("--witness", metavar="KEYFILE", type=Path, help="the key of a witness you trust")
    options = parser.parse_args(arguments)
    known = None if options.key is None else " ".join(re.findall("[a-z]+", options.key.lower()))
    if known is not None and not re.fullmatch("[a-z]{5}(?: [a-z]{5}){9}", known):
        parser.error("--key takes ten words of five letters")
    try:
        witness = options.witness and _witness_key(options.witness)
        report = check(options.path)
    except Broken as broken:
        return _say(1, "BROKEN: " + str(broken))
    except Unreadable as unreadable:
        return _say(2, "unreadable: " + str(unreadable))
    words = "<" + ten_words(report.key.public) + ">"
    if known is None:
        first = f"valid: intact; signed by {words}: compare them with what the site gave you"
    elif f"<{known}>" == words:
        first = f"valid: intact; signed by {words}: the key you know"
    else:
        return _say(3, f"other key: intact, but signed by {words}, not by the key you know", *report.lines)
    if witness and not any(one.key == witness for one in report.seen):
        named = f"<{ten_words(witness.public)}>"
        missing = f"not witnessed: intact, signed by {words}, but not seen by the witness you named {named}"
        return _say(3, missing, *report.lines)
    return _say(0, first, *report.lines)


def _witness_key(path: Path) -> Key:
    try:
        return parse_key(path.read_bytes(), str(path), WITNESS_KEY)
    except (OSError, Broken):
        raise Unreadable(f"{path} is not the key of a witness") from None


def _say(status: int, *lines: str) -> int:
    sys.stdout.write("\n".join(lines) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
