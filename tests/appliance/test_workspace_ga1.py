"""GA1: frozen vectors, an independent reader, and every kind of damage."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.errors import IntegrityError
from appliance.workspace.ga1 import HEADER_BYTES, SEALED_CHUNK, Meaning, Unsealer, _schedule, seal
from appliance.workspace.keys import SecretKey

LENGTHS = (0, 1, 16_383, 16_384, 16_385, 32_768)
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ga1.json").read_text())["cases"]
KEY = SecretKey(bytes(range(32)))
MEANING = Meaning(b"w" * 16, b"o" * 32, "frame")


def content(length: int) -> bytes:
    return bytes((31 * i + i // 256) % 256 for i in range(length))


def sealed(length: int, meaning: Meaning = MEANING, salt: bytes = b"s" * 24) -> bytes:
    return b"".join(seal(KEY, meaning, content(length), salt=salt))


def unsealer(container: bytes, meaning: Meaning = MEANING, key: SecretKey = KEY) -> Unsealer:
    return Unsealer(key, meaning, lambda at, n: container[at : at + n], len(container), "objects/x.ga1")


def unsealed(container: bytes, meaning: Meaning = MEANING, key: SecretKey = KEY) -> bytes:
    opened = unsealer(container, meaning, key)
    return opened.read(0, opened.size)


def assert_refused(container: bytes, meaning: Meaning = MEANING, key: SecretKey = KEY) -> None:
    with pytest.raises(IntegrityError, match=r"objects/x\.ga1"):
        unsealed(container, meaning, key)


def read_by_the_page(container: bytes, case: dict[str, str]) -> bytes:
    """docs/spec/ga1.md followed literally, with nothing of ours but the words."""
    salt, prefix = container[28:52], container[:52]
    info = b"gradaudit GA1 object\x00" + prefix
    info += bytes.fromhex(case["workspace_id"]) + bytes.fromhex(case["object_id"])
    extracted = hmac.new(salt, bytes.fromhex(case["sealing_key"]), hashlib.sha512).digest()
    first = hmac.new(extracted, info + b"\x01", hashlib.sha512).digest()
    okm = first + hmac.new(extracted, first + info + b"\x02", hashlib.sha512).digest()
    assert container[52:84] == okm[44:76]
    chunks = [container[at : at + 16_400] for at in range(84, len(container), 16_400)]
    plain = b""
    for i, chunk in enumerate(chunks):
        counter = i.to_bytes(11, "big") + (b"\x01" if i == len(chunks) - 1 else b"\x00")
        nonce = bytes(a ^ b for a, b in zip(okm[32:44], counter, strict=True))
        plain += AESGCM(okm[:32]).decrypt(nonce, chunk, None)
    return plain


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_frozen_vector(case: dict[str, str]) -> None:
    """The bytes of format version 1 never change, and a reader written from the specification agrees."""
    meaning = Meaning(
        bytes.fromhex(case["workspace_id"]),
        bytes.fromhex(case["object_id"]),
        case["kind"],
        int(case["epoch"]),
        int(case["schema"]),
    )
    plain = content(int(case["content_length"]))
    key = SecretKey(bytes.fromhex(case["sealing_key"]))
    container = b"".join(seal(key, meaning, plain, salt=bytes.fromhex(case["salt"])))
    assert case["container_sha256"] == hashlib.sha256(container).hexdigest()
    assert case.get("container", container.hex()) == container.hex()
    assert plain == read_by_the_page(container, case)
    assert plain == unsealed(container, meaning, key)


@pytest.mark.parametrize("length", LENGTHS)
def test_round_trip_with_fresh_salt(length: int) -> None:
    """Content of every length around a chunk border comes back, under another salt each time."""
    first, second = (b"".join(seal(KEY, MEANING, content(length))) for _ in range(2))
    assert content(length) == unsealed(first) == unsealed(second)
    assert first[28:] != second[28:]


@pytest.mark.parametrize("length", (0, 1))
def test_every_bit_of_a_small_object(length: int) -> None:
    """Any one flipped bit of a small object is refused."""
    container = sealed(length)
    for bit in range(8 * len(container)):
        flipped = bytearray(container)
        flipped[bit // 8] ^= 1 << bit % 8
        assert_refused(bytes(flipped))


@pytest.mark.parametrize("length", LENGTHS[2:])
def test_flips_in_a_large_object(length: int) -> None:
    """Flips in the header, at every chunk border and at 200 random places are refused."""
    container = sealed(length)
    rng = random.Random(length)
    places = {rng.randrange(len(container)) for _ in range(200)} | set(range(HEADER_BYTES))
    for border in range(HEADER_BYTES, len(container) + 1, SEALED_CHUNK):
        places |= set(range(max(0, border - 17), min(len(container), border + 17)))
    places |= set(range(len(container) - 17, len(container)))
    for place in places:
        flipped = bytearray(container)
        flipped[place] ^= rng.randrange(1, 256)
        assert_refused(bytes(flipped))


@pytest.mark.parametrize("length", LENGTHS)
def test_cuts_and_additions(length: int) -> None:
    """A shorter or longer file is refused wherever it is cut and whatever is added."""
    container = sealed(length)
    borders = range(HEADER_BYTES, len(container), SEALED_CHUNK)
    near = {cut for border in borders for cut in range(border - 18, border + 18)}
    near |= set(range(200)) | set(range(len(container) - 40, len(container)))
    for cut in sorted(near & set(range(len(container)))):
        assert_refused(container[:cut])
    for more in (b"\x00", bytes(16), container[HEADER_BYTES:], container):
        assert_refused(container + more)


def test_chunks_swapped_spliced_repeated() -> None:
    """Genuine chunks in another order, from another object or of another salt are refused."""
    container = sealed(49_152)
    header, *chunks = [
        container[:84],
        *(container[at : at + 16_400] for at in range(84, len(container), 16_400)),
    ]
    other = sealed(49_152, salt=b"t" * 24)
    foreign = other[84 : 84 + 16_400]
    for order in ((1, 0, 2), (0, 2, 1), (0, 0, 2), (0, 2), (0, 1, 1, 2), (0, 1, 2, 2)):
        assert_refused(header + b"".join(chunks[i] for i in order))
    assert_refused(header + foreign + b"".join(chunks[1:]))
    assert_refused(other[:84] + container[84:])


def test_one_content_has_one_container() -> None:
    """A writer with the key who adds an empty last chunk is refused: lengths would be ambiguous."""
    container = sealed(16_384)
    schedule = _schedule(KEY, MEANING, container[:52])
    whole = schedule.cipher.encrypt(schedule.nonce(0, False), content(16_384), None)
    empty = schedule.cipher.encrypt(schedule.nonce(1, True), b"", None)
    assert_refused(container[:84] + whole + empty)


@pytest.mark.parametrize(
    "meaning",
    (
        Meaning(b"x" * 16, b"o" * 32, "frame"),
        Meaning(b"w" * 16, b"p" * 32, "frame"),
        Meaning(b"w" * 16, b"o" * 32, "report-text"),
        Meaning(b"w" * 16, b"o" * 32, "frame", epoch=2),
        Meaning(b"w" * 16, b"o" * 32, "frame", schema=2),
    ),
)
def test_another_meaning(meaning: Meaning) -> None:
    """The same bytes taken for another object are refused, even under a header that says so."""
    container = sealed(100)
    assert_refused(container, meaning)
    dressed = b"".join(seal(KEY, meaning, b"", salt=b"s" * 24))[:52] + container[52:]
    assert_refused(dressed, meaning)


def test_another_key() -> None:
    """Another key is refused by the commitment."""
    assert_refused(sealed(100), key=SecretKey(bytes(32)))


def test_random_access() -> None:
    """Any range equals the same slice of the content, also across chunks and past the end."""
    plain, opened = content(50_000), unsealer(sealed(50_000))
    rng = random.Random(3)
    ranges = [(rng.randrange(51_000), rng.randrange(40_000)) for _ in range(100)]
    for start, length in [*ranges, (0, 0), (0, 1), (16_383, 2), (16_384, 16_384), (49_999, 1), (50_000, 1)]:
        assert plain[start : start + length] == opened.read(start, length)


def test_random_access_opens_only_its_chunks() -> None:
    """A damaged chunk does not hide the others, but a range that touches it is refused."""
    container = bytearray(sealed(50_000))
    container[HEADER_BYTES + SEALED_CHUNK + 5] ^= 1
    opened = unsealer(bytes(container))
    assert content(50_000)[:16_384] == opened.read(0, 16_384)
    for start, length in ((16_384, 1), (16_383, 2), (0, 50_000)):
        with pytest.raises(IntegrityError):
            opened.read(start, length)
