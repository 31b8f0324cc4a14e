"""The verifier's arithmetic against published vectors and against slow, obvious versions."""

from __future__ import annotations

import ast
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.evidence import verify_evidence as checked
from appliance.evidence.merkle import consistency_path, inclusion_path

# RFC 8032 §7.1: public key, message, signature
RFC8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f05"
        "95bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eae"
        "b4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9"
        "716ed28dc027beceea1ec40a",
    ),
]

# Certificate Transparency's reference tree: eight leaves, and the roots of the first n of them (RFC 6962)
CT_LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def slow_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1 word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + slow_root(leaves[:half]) + slow_root(leaves[half:])).digest()


def subtrees(leaves: list[bytes]) -> Callable[[int, int], bytes]:
    return lambda lo, hi: slow_root(leaves[lo:hi])


def test_ed25519_accepts_the_published_signatures() -> None:
    """The vectors of RFC 8032 verify."""
    for public, message, signature in RFC8032:
        assert checked.ed25519_valid(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))


def test_ed25519_agrees_with_the_library() -> None:
    """Signatures made elsewhere verify; the same with any one bit flipped do not."""
    rng = random.Random(1)
    for length in (0, 1, 32, 1023):
        private = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        message = rng.randbytes(length)
        signature = private.sign(message)
        assert checked.ed25519_valid(public, message, signature)
        for bit in rng.sample(range(512), 12):
            damaged = bytearray(signature)
            damaged[bit // 8] ^= 1 << bit % 8
            assert not checked.ed25519_valid(public, message, bytes(damaged))
        assert not checked.ed25519_valid(public, message + b"x", signature)


def test_ed25519_refuses_the_second_spelling() -> None:
    """s + L would satisfy the equation as well; it is refused, so a signature has one spelling."""
    public, message, signature = (bytes.fromhex(part) for part in RFC8032[1])
    s = int.from_bytes(signature[32:], "little") + checked.ORDER
    assert not checked.ed25519_valid(public, message, signature[:32] + s.to_bytes(32, "little"))


def test_ed25519_refuses_keys_of_small_order() -> None:
    """Under the neutral point any message would verify; such a key is no key."""
    neutral = (1).to_bytes(32, "little")
    signature = neutral + bytes(32)
    assert not checked.ed25519_valid(neutral, b"anything", signature)


def test_tree_gives_the_published_roots() -> None:
    """The frontier gives the reference roots after each leaf."""
    tree = checked.Tree()
    assert tree.root() == hashlib.sha256(b"").digest()
    for leaf, root in zip(CT_LEAVES, CT_ROOTS, strict=True):
        tree.push(checked.leaf_hash(bytes.fromhex(leaf)))
        assert tree.root().hex() == root


def test_every_inclusion_path_leads_to_the_root() -> None:
    """In all trees up to 20 leaves each leaf proves itself; no other place, leaf or shorter path does."""
    leaves = [bytes([number]) for number in range(20)]
    for size in range(1, 21):
        root = slow_root(leaves[:size])
        for index in range(size):
            path = inclusion_path(index, size, subtrees(leaves))
            leaf = checked.leaf_hash(leaves[index])
            assert checked.root_by_inclusion(index, size, leaf, path) == root
            assert checked.root_by_inclusion(index, size, checked.leaf_hash(b"other"), path) != root
            assert checked.root_by_inclusion(index, size, leaf, [*path, root]) != root
            if path:
                assert checked.root_by_inclusion(index, size, leaf, path[:-1]) != root
                assert checked.root_by_inclusion((index + 1) % size, size, leaf, path) != root


def test_every_consistency_path_holds() -> None:
    """For all pairs of sizes up to 20 growth is shown, and any changed root or step is refused."""
    leaves = [bytes([number]) for number in range(20)]
    for new in range(1, 21):
        head = checked.Checkpoint(new, slow_root(leaves[:new]))
        for old in range(1, new + 1):
            before = checked.Checkpoint(old, slow_root(leaves[:old]))
            path = consistency_path(old, new, subtrees(leaves))
            assert checked.is_consistent(before, head, path)
            assert not checked.is_consistent(checked.Checkpoint(old, bytes(32)), head, path)
            assert not checked.is_consistent(before, checked.Checkpoint(new, bytes(32)), path)
            assert not checked.is_consistent(before, head, [*path, bytes(32)])
            for step in range(len(path)):
                assert not checked.is_consistent(before, head, [*path[:step], bytes(32), *path[step + 1 :]])


def test_canonical_json_is_the_rfc_form() -> None:
    """Keys sorted, no blanks, the short escapes of RFC 8785, other signs as they are."""
    value = {"b": [1, True, None], "a": '\u20ac$\x0f\nA\'B"\\\\"/', "\u00f6": {}}
    expected = '{"a":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/","b":[1,true,null],"\u00f6":{}}'
    assert checked.canonical(value) == expected.encode()


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), 2**53, {1: "a"}, {"\U0001f600": 1}, "\ud800", b"x", {"a": {"b": 0.5}}]
)
def test_canonical_json_refuses_what_has_no_single_form(value: object) -> None:
    """Floats, huge numbers, odd keys and lone surrogates have no place in signed bytes."""
    with pytest.raises(ValueError, match=r".+"):
        checked.canonical(value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}',
        b'{"b":1,"a":1}',
        b'{"a":1,"a":1}',
        b'{"a":1.5}',
        b'"\\u0041"',
        b"[1]\n",
        b"[" * 5000,
        b"\xff",
    ],
)
def test_other_spellings_are_broken(data: bytes) -> None:
    """The same value in other bytes, doubled keys, or hostile nesting are refused with the place."""
    with pytest.raises(checked.Broken, match=r"^here: "):
        checked.parse_canonical(data, "here")


def test_ten_words_name_a_key() -> None:
    """Ten words of five letters, other words for any other key, the same for the same."""
    words = checked.ten_words(bytes(32))
    assert words == checked.ten_words(bytes(32))
    assert [5] * 10 == [len(word) for word in words.split()]
    assert not set(words.split()) & set(checked.ten_words(bytes(31) + b"\x01").split())


def test_words_hold_160_bits() -> None:
    """The words can be turned back into the first 20 bytes of the digest: nothing is lost in them."""
    number = 0
    for word in checked.ten_words(b"k" * 32).split():
        for place, letter in enumerate(word):
            alphabet = "aiou" if place % 2 else "bdfghjklmnprstvz"
            number = number * len(alphabet) + alphabet.index(letter)
    assert number.to_bytes(20, "big") == hashlib.sha256(b"gradaudit log key\n" + b"k" * 32).digest()[:20]


def test_verifier_is_python_3_8() -> None:
    """The verifier parses as Python 3.8 and imports the standard library alone."""
    source = Path(checked.__file__).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 8))
    assert json.loads(json.dumps(checked.REQUIRED))


def test_the_docs_state_the_verifiers_digest() -> None:
    """Auditors compare their copy with docs/verify-evidence.md, which names the file as it is."""
    page = Path(__file__).parent.parent.parent / "docs" / "verify-evidence.md"
    digest = hashlib.sha256(Path(checked.__file__).read_bytes()).hexdigest()
    assert f"    {digest}\n" in page.read_text(encoding="utf-8")
