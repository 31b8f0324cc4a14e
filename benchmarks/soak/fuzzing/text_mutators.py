"""Ways to damage messages, resources, tables, PDFs and texts: bytes, lines, separators, depth, numbers."""

from __future__ import annotations

from random import Random

from fuzzing.edits import repeated

_SIGNS = (
    b"|",
    b"^",
    b"~",
    b"\\",
    b"&",
    b"\r",
    b"\n",
    b"\x0b",
    b"\x1c",
    b'"',
    b"{",
    b"[",
    b"]",
    b"}",
    b":",
    b",",
)
_SIGNS += (
    b";",
    b"\t",
    b"\0",
    b"<",
    b">",
    b"<!--",
    b"<![CDATA[",
    b"%",
    b"obj",
    b"stream\n",
    b"endobj",
    b">>",
    b"<<",
)
_WORDS = (
    *(
        b"\\X0D\\",
        b"\\XZZ\\",
        b"\\.br\\",
        b"\\C2842\\",
        b"\\M\\",
        b"\\F\\",
        b"\\",
        b"MSH|",
        b"OBX|1|ED|",
        b'""',
    ),
    *(
        b"UNICODE UTF-16",
        b"8859/1",
        b"ISO IR87",
        b"null",
        b"true",
        b"-1e999",
        b"1" * 5000,
        b'"\\ud800"',
        b"\\u0000",
    ),
    *(
        b"DiagnosticReport",
        b"Bundle",
        b"Observation",
        b"contained",
        b"presentedForm",
        b"base64",
        b"urn:oid:1.2",
    ),
    *(
        b"application/pdf",
        b"text/html",
        b"/FlateDecode",
        b"/Length 99999999",
        b"/Prev 0",
        b"/Count -1",
        b"\xff\xfe",
    ),
    *(
        b"&amp;",
        b"&#x110000;",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        b"\xe2\x80\xae",
        b"\xf0\x9f",
        b"=cmd|",
        b"=HYPERLINK(",
    ),
)


def flip_bytes(rng: Random, data: bytes, other: bytes) -> bytes:
    """Single bytes anywhere."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 20, 200))):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    return bytes(damaged)


def truncate(rng: Random, data: bytes, other: bytes) -> bytes:
    """The end missing."""
    return data[: rng.randrange(len(data))]


def insert_word(rng: Random, data: bytes, other: bytes) -> bytes:
    """Signs and words that grammars know, at one or many places, over or between what was there."""
    for _ in range(rng.choice((1, 1, 4, 30))):
        at = rng.randrange(len(data))
        word = rng.choice(_SIGNS if rng.random() < 0.5 else _WORDS)
        data = data[:at] + word + data[at + rng.choice((0, 0, 1, len(word))) :]
    return data


def lines_about(rng: Random, data: bytes, other: bytes) -> bytes:
    """Lines doubled, dropped, shuffled, joined, or taken from another file."""
    end = b"\r" if data.count(b"\r") > data.count(b"\n") else b"\n"
    lines, theirs = data.split(end), other.replace(b"\r", b"\n").split(b"\n")
    at = rng.randrange(len(lines))
    way = rng.randrange(6)
    if way == 0:
        lines[at:at] = [repeated(lines[at] + end, rng.choice((1, 10, 20000)))]
    elif way == 1:
        del lines[at]
    elif way == 2:
        rng.shuffle(lines)
    elif way == 3:
        lines.insert(at, rng.choice(theirs))
    elif way == 4:
        return rng.choice((b"\r\n", b"\n", b"\r", b" ", b"")).join(lines)
    else:
        start = rng.randrange(len(theirs))
        lines[at:at] = theirs[start : start + 20]
    return end.join(lines)


def piece_about(rng: Random, data: bytes, other: bytes) -> bytes:
    """A piece moved, repeated very often or removed."""
    start, size = rng.randrange(len(data)), rng.choice((1, 3, 20, 300))
    piece, at = data[start : start + size], rng.randrange(len(data))
    if rng.random() < 0.3:
        return data[:start] + data[start + size :]
    return data[:at] + repeated(piece, rng.choice((1, 2, 100, 100_000))) + data[at:]


def depth(rng: Random, data: bytes, other: bytes) -> bytes:
    """Brackets, tags or separators, thousands of them, in the middle or around everything."""
    opening, closing = rng.choice(
        ((b"[", b"]"), (b'{"a":', b"}"), (b"<div>", b"</div>"), (b"<<", b">>"), (b"(", b")"))
    )
    count = rng.choice((10, 900, 20_000, 200_000))
    at = rng.choice((0, rng.randrange(len(data))))
    return (
        data[:at]
        + opening * count
        + rng.choice((b"1", b"", data[at:]))
        + closing * rng.choice((count, 0))
        + data[at:]
    )


def encoding(rng: Random, data: bytes, other: bytes) -> bytes:
    """The same words in another character set."""
    text = data.decode("utf-8", "replace")
    name = rng.choice(("utf-16", "utf-16-be", "utf-32", "cp1252", "utf-7", "cp037", "utf-8-sig", "shift_jis"))
    return text.encode(name, "replace")


def number(rng: Random, data: bytes, other: bytes) -> bytes:
    """A digit made a number no field holds."""
    digits = [at for at, sign in enumerate(data[:20000]) if chr(sign).isdigit()]
    if not digits:
        return insert_word(rng, data, other)
    at = rng.choice(digits)
    return data[:at] + rng.choice((b"-1", b"9" * 30, b"1e400", b"0" * 5000, b"0x", b"")) + data[at + 1 :]


def splice(rng: Random, data: bytes, other: bytes) -> bytes:
    """The start of one file and the end of another."""
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def field_of_megabytes(rng: Random, data: bytes, other: bytes) -> bytes:
    """One very long field."""
    at = rng.randrange(len(data))
    return (
        data[:at]
        + rng.choice((b"A", b"A ", b"\\", b"&", b"^", b'"', b"<a ", b" ")) * rng.choice((70_000, 1 << 20))
        + data[at:]
    )


MUTATORS = (
    *(flip_bytes, flip_bytes, truncate, insert_word, insert_word, insert_word, lines_about, lines_about),
    *(piece_about, piece_about, depth, encoding, number, number, splice, field_of_megabytes),
)
