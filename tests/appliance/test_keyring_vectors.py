"""docs/spec/keyring.md, followed step by step with nothing but primitives, on a frozen keyring."""

from __future__ import annotations

import hashlib
import hmac
import json
import unicodedata
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.errors import UsageError
from appliance.workspace import grants, paper
from appliance.workspace.keyring_file import read_keyring, write_keyring
from appliance.workspace.keys import KeptKeys, SecretKey

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "keyring.json").read_text("utf-8"))
RING: dict[str, Any] = VECTORS["keyring"]
ID = bytes.fromhex(RING["workspace_id"])


def canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def derived(key: bytes, label: str, salt: bytes = ID) -> bytes:
    return HKDF(SHA512(), 32, salt or None, label.encode()).derive(key)


def slot_by_the_spec(slot: dict[str, Any], secret: str) -> tuple[bytes, bytes]:
    """Private key and anchor."""
    typed, kdf, salt = unicodedata.normalize("NFC", secret).encode(), slot["kdf"], bytes.fromhex(slot["salt"])
    if kdf["name"] == "none":
        key = derived(hashlib.sha256(typed).digest(), "gradaudit slot of a random secret v2", salt)
    else:
        cost = {"iterations": kdf["passes"], "lanes": kdf["lanes"], "memory_cost": kdf["memory_kib"]}
        key = Argon2id(salt=salt, length=32, **cost).derive(typed)
    about = {name: slot[name] for name in ("name", "role", "public", "kdf")}
    about |= {"format": "gradaudit-slot", "version": 2, "workspace_id": ID.hex()}
    held = AESGCM(key).decrypt(bytes.fromhex(slot["nonce"]), bytes.fromhex(slot["wrapped"]), canonical(about))
    return held[:32], held[32:]


def grant_by_the_spec(grant: dict[str, Any], privates: dict[str, bytes], about: str) -> bytes:
    info = canonical(
        {"format": "gradaudit-grant", "version": 2, "workspace_id": ID.hex(), "about": about}
        | {"key": grant["key"], "to": grant["to"]}
    )
    sealed, suite = bytes.fromhex(grant["sealed"]), Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    for name in reversed(grant["to"]):
        sealed = suite.decrypt(sealed, X25519PrivateKey.from_private_bytes(privates[name]), info=info)
    return sealed


def test_from_secrets_to_keys_by_the_spec() -> None:
    """Every secret opens its slot, every slot its grants, and every pair of witnesses the evidence key."""
    opened = {one["name"]: slot_by_the_spec(one, VECTORS["secrets"][one["name"]]) for one in RING["slots"]}
    assert {anchor.hex() for _, anchor in opened.values()} == {VECTORS["anchor"]}
    privates = {name: private for name, (private, _) in opened.items()}
    for slot in RING["slots"]:
        public = X25519PrivateKey.from_private_bytes(privates[slot["name"]]).public_key()
        assert public.public_bytes_raw().hex() == slot["public"]
    about = {"run": str(RING["epoch"]), "catalogue": str(RING["epoch"]), "evidence": RING["evidence"]}
    wanted = {"run": "run", "catalogue": "catalogue", "evidence": "evidence_private"}
    for grant in RING["grants"]:
        key = grant_by_the_spec(grant, privates, about[grant["key"]])
        assert key.hex() == VECTORS[wanted[grant["key"]]]
    to = [tuple(grant["to"]) for grant in RING["grants"] if grant["key"] == "evidence"]
    assert to == list(combinations(("anna", "ben", "paper"), 2))


def test_seals_by_the_spec() -> None:
    """Check value, digest and the three seals are what the spec says, over what it says."""
    run, anchor = bytes.fromhex(VECTORS["run"]), bytes.fromhex(VECTORS["anchor"])
    evidence = bytes.fromhex(VECTORS["evidence_private"])
    catalogue = derived(run, "gradaudit run key v2: catalogue")
    assert catalogue.hex() == VECTORS["catalogue"]
    assert derived(catalogue, "gradaudit catalogue key v2: check").hex() == RING["check"]
    users = [[slot["name"], slot["role"], slot["public"]] for slot in RING["slots"]]
    decided = {
        name: RING[name] for name in ("workspace_id", "epoch", "quorum", "evidence", "check", "witnesses")
    }
    decided |= {"users": users, "grants": RING["grants"]}
    opening = [user for user in users if user[1] in ("officer", "recovery")]
    witnesses = {"quorum": RING["quorum"], "evidence": RING["evidence"], "users": opening}
    for name, key, label, sealed in (
        ("seal", run, "gradaudit run key v2: keyring seal", decided),
        ("origin", anchor, "gradaudit anchor v2: keyring origin", decided),
        ("witnesses", evidence, "gradaudit evidence key v2: witnesses", witnesses),
    ):
        assert hmac.digest(derived(key, label), canonical(sealed), "sha256").hex() == RING[name], name
    rest = {name: value for name, value in RING.items() if name != "sha256"}
    assert hashlib.sha256(canonical(rest)).hexdigest() == RING["sha256"]


def test_this_software_agrees(tmp_path: Path) -> None:
    """The appliance reads the frozen file, opens the same keys, and writes the same bytes again."""
    path = tmp_path / "keyring.json"
    path.write_text(json.dumps(RING, indent=2, sort_keys=True) + "\n", encoding="ascii")
    frozen, keyring = path.read_bytes(), read_keyring(path)
    people = {name: keyring.identify(secret, name) for name, secret in VECTORS["secrets"].items()}
    for name, identity in people.items():
        opened = keyring.keys_of(identity)
        assert opened.catalogue.raw.hex() == VECTORS["catalogue"]
        assert (opened.run.raw.hex() if opened.run else "") == ("" if name == "cleo" else VECTORS["run"])
        assert keyring.evidence_key((identity,)) is None
    together = keyring.evidence_key((people["ben"], people["paper"]))
    assert together is not None and together.raw.hex() == VECTORS["evidence_private"]
    assert keyring.evidence_key((people["ben"], people["scanner"])) is None
    write_keyring(path, keyring)
    assert path.read_bytes() == frozen


def test_kept_keys() -> None:
    """What the catalogue keeps under the RUN key opens with it alone."""
    kept = VECTORS["kept"]
    wrapped = bytes.fromhex(kept["wrapped"])
    key = derived(bytes.fromhex(VECTORS["run"]), "gradaudit run key v2: kept keys")
    raw = AESGCM(key).decrypt(wrapped[:12], wrapped[12:], None)
    names = ("vault", "pseudonym", "names", "assignments")
    assert raw.hex() == "".join(kept[name] for name in names)
    opened = KeptKeys.unwrapped(wrapped, SecretKey(bytes.fromhex(VECTORS["run"])), ID)
    assert [getattr(opened, name).raw.hex() for name in names] == [kept[name] for name in names]
    with pytest.raises(InvalidTag):
        KeptKeys.unwrapped(wrapped, SecretKey(bytes.fromhex(VECTORS["run"])), b"\0" * 16)


def test_evidence_is_the_public_half() -> None:
    """The key findings are sealed to belongs to the key that is granted."""
    private = SecretKey(bytes.fromhex(VECTORS["evidence_private"]))
    assert grants.public_of(private).hex() == RING["evidence"]


@pytest.mark.parametrize("vector", VECTORS["paper"], ids=lambda vector: vector["secret"][:4])
def test_words_on_paper(vector: dict[str, str]) -> None:
    """Secret to words and back, however they are spaced or capitalised."""
    secret, words = bytes.fromhex(vector["secret"]), vector["words"]
    assert paper.words_of(secret) == words
    for typed in (words, words.upper(), words.replace("\n", "  "), words.replace(" ", ", ") + ".\n"):
        assert paper.secret_of(typed) == secret


def test_every_mistyped_word_is_named() -> None:
    """One wrong letter: its line is named, and its word where no such word exists; never repeated."""
    words = paper.words_of(bytes(range(32))).split()
    letters = "abcdefghijklmnopqrstuvwxyz"
    named = lines = 0
    for place, word in enumerate(words):
        for at in range(5):
            for letter in letters.replace(word[at], ""):
                typed = word[:at] + letter + word[at + 1 :]
                with pytest.raises(UsageError) as raised:
                    paper.secret_of(" ".join([*words[:place], typed, *words[place + 1 :]]))
                said = str(raised.value)
                assert f"line {place // 5 + 1}" in said and typed not in said and word not in said
                named += f"word {place % 5 + 1} in line" in said
                lines += "a word in line" in said
    assert named + lines == 20 * 5 * 25 and named > 0 and lines > 0


def test_words_in_another_order() -> None:
    """Lines or words exchanged, left out or added are noticed; only equal words may change places."""
    words = paper.words_of(bytes(range(32))).split()
    for one, two in combinations(range(20), 2):
        swapped = list(words)
        swapped[one], swapped[two] = swapped[two], swapped[one]
        with pytest.raises(UsageError, match="mistyped"):
            paper.secret_of(" ".join(swapped))
    lines = paper.words_of(bytes(range(32))).splitlines()
    with pytest.raises(UsageError, match="line 1 is mistyped, or lines were exchanged"):
        paper.secret_of("\n".join([lines[1], lines[0], *lines[2:]]))
    for typed in (words[:-1], [*words, words[0]], []):
        with pytest.raises(UsageError, match="words were typed, the paper has 20"):
            paper.secret_of(" ".join(typed))


def test_new_words_are_new() -> None:
    """Two papers never carry the same secret."""
    assert len({paper.new_words() for _ in range(100)}) == 100
