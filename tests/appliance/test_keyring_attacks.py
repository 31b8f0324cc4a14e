"""What somebody can do to keyring.json who has the disk, a former passphrase, or less of a key than wanted.

Every attack corrects the file's digest, and has a control: the same change made by an officer works.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.api import Appliance
from appliance.errors import IntegrityError, Locked, NotPermitted, UsageError
from appliance.workspace import grants
from appliance.workspace.keyring import Authority, Keyring
from appliance.workspace.keyring_file import read_keyring, write_keyring
from appliance.workspace.keys import SecretKey, catalogue_key
from appliance.workspace.keyslots import PASSPHRASE_KDF, UNSAFE_ID, new_slot
from appliance.workspace.roles import Role
from appliance.workspace.rotation import catalogue_file
from appliance.workspace.workspace import Workspace
from tests.appliance import members_site as case

Document = dict[str, Any]
Site = tuple[Path, dict[str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = tmp_path_factory.mktemp("made") / "workspace"
    return root, case.build(root)


@pytest.fixture
def site(made: Site, tmp_path: Path) -> Site:
    shutil.copytree(made[0], tmp_path / "workspace")
    return tmp_path / "workspace", made[1]


def slot_of(document: Document, name: str) -> Document:
    return next(slot for slot in document["slots"] if slot["name"] == name)


def strangers_slot(root: Path, role: Role = Role.OFFICER) -> Any:
    """A slot as this software makes them, for somebody who has no key."""
    workspace_id = read_keyring(root / "keyring.json").workspace_id
    return new_slot(
        "mallory", role, "words of mallory", workspace_id, SecretKey.random(), unsafe_fast_kdf=True
    )


def add_stranger(root: Path) -> Callable[[Document], None]:
    slot, _ = strangers_slot(root)

    def change(document: Document) -> None:
        document["slots"].append(
            slot_of(document, "officer")
            | {"name": "mallory", "public": slot.user.public.hex(), "wrapped": slot.wrapped.hex()}
            | {"salt": slot.salt.hex(), "nonce": slot.nonce.hex()}
        )

    return change


def exchange_public(root: Path) -> Callable[[Document], None]:
    return lambda document: slot_of(document, "operator").update(public="42" * 32)


def promote(root: Path) -> Callable[[Document], None]:
    return lambda document: slot_of(document, "auditor").update(role="officer")


def exchange_evidence(root: Path) -> Callable[[Document], None]:
    return lambda document: document.update(evidence=grants.public_of(SecretKey.random()).hex())


def raise_quorum(root: Path) -> Callable[[Document], None]:
    return lambda document: document.update(quorum=2)


def drop_grant(root: Path) -> Callable[[Document], None]:
    return lambda document: document["grants"].pop()


def next_epoch(root: Path) -> Callable[[Document], None]:
    return lambda document: document.update(epoch=2)


@pytest.mark.parametrize(
    "attack",
    (add_stranger, exchange_public, promote, exchange_evidence, raise_quorum, drop_grant, next_epoch),
    ids=lambda attack: attack.__name__,
)
def test_changed_by_hand(site: Site, attack: Callable[[Path], Callable[[Document], None]]) -> None:
    """Whatever decides who opens what: nobody opens it then, so the next change of keys serves nobody new."""
    root, secrets = site
    case.tampered(root, lambda document: None)
    case.opened(root, "officer", secrets).close()  # control: the digest alone is corrected rightly
    case.tampered(root, attack(root))
    for name in ("officer", "second", "scanner"):
        with pytest.raises(IntegrityError, match=r"keyring\.json was changed|damaged"):
            case.opened(root, name, secrets)
    with pytest.raises((IntegrityError, Locked)):
        case.opened(root, "auditor", secrets)


def test_the_same_changes_by_an_officer(site: Site) -> None:
    """Control: adding, exchanging a key pair and changing the quorum work with the keys."""
    root, secrets = site
    with case.opened(root, "officer", secrets) as opened:
        opened.add_user("mallory", "officer", "words of mallory")
        opened.reset_passphrase("operator", "other words here")
        opened.set_quorum(2)
    for name in ("officer", "second", "auditor", "scanner"):
        case.opened(root, name, secrets).close()
    Appliance.unlock(root, "words of mallory", "mallory").close()


def test_a_keyring_made_anew_around_the_users(site: Site) -> None:
    """Own keys, granted to everybody's public key and sealed rightly, lack what only users' slots hold."""
    root, secrets = site
    genuine = read_keyring(root / "keyring.json")

    def remade(anchor: SecretKey) -> Keyring:
        run, evidence = SecretKey.random(), SecretKey.random()
        check = catalogue_key(run, genuine.workspace_id).derive(
            "gradaudit catalogue key v2: check", genuine.workspace_id
        )
        begun = replace(genuine, evidence=grants.public_of(evidence), check=check.raw)
        return begun.with_slots(begun.slots, Authority(run, anchor), evidence)

    identity = genuine.identify(secrets["officer"], "officer")
    write_keyring(root / "keyring.json", remade(SecretKey.random()))
    with pytest.raises(IntegrityError, match="was changed by somebody"):
        case.opened(root, "officer", secrets)
    # control: with the anchor it would be taken for genuine, and only the catalogue does not open
    write_keyring(root / "keyring.json", remade(identity.anchor))
    with pytest.raises(IntegrityError, match=r"catalogue\.db"):
        case.opened(root, "officer", secrets)


def test_an_operator_makes_an_officer(site: Site) -> None:
    """The RUN key seals a keyring rightly, but findings are granted by those alone who open them."""
    root, secrets = site
    with case.opened(root, "operator", secrets) as opened:
        keyring, by = opened._workspace.keyring, opened._workspace.authority()
        slot, _ = new_slot(
            "mallory", Role.OFFICER, "words of mallory", keyring.workspace_id, by.anchor, unsafe_fast_kdf=True
        )
        with pytest.raises(ValueError, match="only with the evidence key"):
            keyring.with_slots((*keyring.slots, slot), by, None)
        forged = replace(keyring, slots=(*keyring.slots, slot))
        write_keyring(root / "keyring.json", forged._granting(keyring.grants, by))
    with case.opened(root, "officer", secrets) as opened:
        with pytest.raises(IntegrityError, match="was changed by somebody"):
            opened._workspace.evidence_key()
        with pytest.raises(IntegrityError, match="was changed by somebody"):
            opened.rotate_keys(evidence=True)
        with pytest.raises(IntegrityError, match="was changed by somebody"):
            opened.add_user("third", "officer", "words of a third")


def test_an_operator_lowers_the_quorum(site: Site) -> None:
    """How many open findings together is decided by those who open them."""
    root, secrets = site
    with case.opened(root, "officer", secrets) as opened:
        opened.set_quorum(2)
    with case.opened(root, "operator", secrets) as opened:
        keyring, by = opened._workspace.keyring, opened._workspace.authority()
        write_keyring(root / "keyring.json", replace(keyring, quorum=1)._granting(keyring.grants, by))
    with case.opened(root, "officer", secrets) as opened:
        with pytest.raises(NotPermitted, match="two officers"):
            opened._workspace.evidence_key()
        opened.join("second", secrets["second"])
        with pytest.raises(IntegrityError, match="was changed by somebody"):
            opened.set_quorum(2)


def test_an_old_keyring_after_the_quorum_was_raised(site: Site) -> None:
    """A keyring.json that granted findings to single officers grants a key that opens none any more."""
    root, secrets = site
    old = (root / "keyring.json").read_bytes()
    with case.opened(root, "officer", secrets) as opened:
        old_key = opened._workspace.evidence_key()
        opened.set_quorum(2)
        with pytest.raises(NotPermitted):
            opened._workspace.evidence_key()
        opened.join("second", secrets["second"])
        assert opened._workspace.evidence_key(opened._present) != old_key
    assert not [
        path for path in (root / "evidence").iterdir() if grants.public_of(old_key).hex()[:16] in path.name
    ]
    (root / "keyring.json").write_bytes(old)
    with case.opened(root, "officer", secrets) as opened:  # same epoch: it opens, and finds no findings
        assert opened._workspace.evidence_key() == old_key


@pytest.mark.parametrize("leaver", ("operator", "scanner", "auditor", "second"))
def test_what_a_removed_user_still_opens(site: Site, leaver: str) -> None:
    """Nothing: neither with the secret, nor the key kept, nor an old keyring.json put back."""
    root, secrets = site
    old = (root / "keyring.json").read_bytes()
    with case.opened(root, leaver, secrets) as opened:
        kept = opened._workspace._opened
    with case.opened(root, "officer", secrets) as opened:
        object_id = opened._workspace.vault.put("report-text", b"No acute finding.")
        opened.remove_user(leaver)
        assert opened._workspace.vault.get("report-text", object_id) == b"No acute finding."
    with pytest.raises(Locked):
        case.opened(root, leaver, secrets)
    for name in ("officer", "operator", "second", "auditor", "scanner"):
        if name != leaver:
            case.opened(root, name, secrets).close()  # control: everybody else still does
    now = read_keyring(root / "keyring.json")
    assert not now.accepts(kept.catalogue)
    (root / "keyring.json").write_bytes(old)
    with pytest.raises(IntegrityError):
        Workspace.open(root, secrets[leaver], leaver)
    shutil.copy(catalogue_file(root, now.epoch), root / "catalogue.db")
    with pytest.raises(IntegrityError):
        Workspace.open(root, secrets[leaver], leaver)


def test_grants_from_elsewhere(site: Site, tmp_path: Path) -> None:
    """A grant of another workspace, of an earlier epoch, or under another name does not open."""
    root, secrets = site
    keyring = read_keyring(root / "keyring.json")
    identity = keyring.identify(secrets["officer"], "officer")
    run = keyring.keys_of(identity).run
    assert run is not None
    info = ("1", keyring.workspace_id)
    genuine = grants.granted(grants.RUN, run, (identity.user,), *info)
    assert grants.opened(genuine, (identity,), *info) == run  # control
    for grant, about, workspace_id in (
        (genuine, "2", keyring.workspace_id),
        (genuine, "1", b"\0" * 16),
        (replace(genuine, key=grants.EVIDENCE), *info),
        (replace(genuine, to=("second",)), *info),
        (replace(genuine, sealed=genuine.sealed[:-1] + bytes([genuine.sealed[-1] ^ 1])), *info),
        (replace(genuine, sealed=b""), *info),
    ):
        assert grants.opened(grant, (identity,), about, workspace_id) is None


def test_a_pair_is_needed(site: Site) -> None:
    """Of a key granted to two, one alone opens nothing, in whatever order; the two together do."""
    keyring = read_keyring(site[0] / "keyring.json")
    one, two = (keyring.identify(site[1][name], name) for name in ("officer", "second"))
    secret = SecretKey.random()
    grant = grants.granted(grants.EVIDENCE, secret, (one.user, two.user), "x", b"w" * 16)
    assert grants.opened(grant, (two, one), "x", b"w" * 16) == secret
    for alone in ((one,), (two,), (one, one), (two, two), ()):
        assert grants.opened(grant, alone, "x", b"w" * 16) is None
    halved = replace(grant, to=("officer",))
    assert grants.opened(halved, (one,), "x", b"w" * 16) is None


def test_a_terabyte_is_not_even_tried(site: Site) -> None:
    """A cost no genuine file asks for is refused before memory is."""
    root, secrets = site
    kdf = {"name": "argon2id", "memory_kib": 1 << 30, "passes": 1, "lanes": 1}
    case.tampered(root, lambda document: slot_of(document, "operator").update(kdf=kdf))
    began = time.monotonic()
    with pytest.raises(IntegrityError, match="damaged"):
        case.opened(root, "operator", secrets)
    assert time.monotonic() - began < 60


CHEAP = {"name": "argon2id", "memory_kib": 64, "passes": 1, "lanes": 1}


@pytest.fixture(scope="module")
def costly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace as sites have them, whose passphrases cost what they should."""
    root = tmp_path_factory.mktemp("costly") / "workspace"
    with Appliance.create(root, case.PASSPHRASES["officer"], site="Test") as site:
        site.add_user("auditor", "auditor", case.PASSPHRASES["auditor"])
    return root


@pytest.mark.parametrize("cheaper", ({"memory_kib": 64, "lanes": 1}, {"memory_kib": 262_143}, {"passes": 2}))
def test_a_cheap_slot_is_refused(costly: Path, tmp_path: Path, cheaper: Document) -> None:
    """Somebody with the disk makes another one's slot cheap: refused by name, and no slot becomes cheap."""
    root = shutil.copytree(costly, tmp_path / "workspace")
    case.tampered(root, lambda document: slot_of(document, "auditor")["kdf"].update(cheaper))
    with pytest.raises(IntegrityError, match="auditor could be guessed cheaply") as raised:
        Appliance.unlock(root, case.PASSPHRASES["officer"], "officer")
    assert raised.value.hint


def test_no_workspace_becomes_a_cheap_one(costly: Path, tmp_path: Path) -> None:
    """An id as tests have it opens nothing that was sealed under another; other slots stay dear."""
    root = shutil.copytree(costly, tmp_path / "workspace")
    with Appliance.unlock(root, case.PASSPHRASES["officer"], "officer") as site:  # control
        site.reset_passphrase("auditor", "other words of an auditor")
    slots = read_keyring(root / "keyring.json").slots
    assert {slot.kdf for slot in slots} == {PASSPHRASE_KDF}

    def cheap(document: Document) -> None:
        document["workspace_id"] = (UNSAFE_ID + b"x" * 8).hex()
        slot_of(document, "auditor")["kdf"] = CHEAP

    case.tampered(root, cheap)
    assert read_keyring(root / "keyring.json").unsafe_fast_kdf
    with pytest.raises(Locked, match="does not open"):
        Appliance.unlock(root, case.PASSPHRASES["officer"], "officer")


def test_an_operator_makes_no_cheap_slot(site: Site) -> None:
    """Who holds every seal but the quorum's cannot let officers' next passphrases be cheap to guess."""
    root, secrets = site
    with case.opened(root, "operator", secrets) as opened:
        by, keyring = opened._workspace.authority(), opened._workspace.keyring
        forged = replace(keyring, workspace_id=b"\0" * 16)._granting(keyring.grants, by)
        write_keyring(root / "keyring.json", forged)
    with pytest.raises(IntegrityError, match="could be guessed cheaply"):
        read_keyring(root / "keyring.json")


@pytest.mark.parametrize(
    "name", ("../../etc/cron.d/x", "a/b", "", "\x1b[31m", "A", "x" * 33, ".hidden", "a\0b", "ü")
)
def test_names_that_escape(site: Site, name: str) -> None:
    """A name is small letters, digits, dots and dashes: no path, no markup, nothing for a terminal."""
    root, secrets = site
    before = {path.relative_to(root) for path in root.rglob("*")}
    with case.opened(root, "officer", secrets) as opened:
        with pytest.raises(UsageError, match="a user's name has") as raised:
            opened.add_user(name, "operator", "words of somebody")
        assert not name or name not in str(raised.value)
        opened.add_user("a.b-c_9", "operator", "words of somebody")  # control
    assert {path.relative_to(root) for path in root.rglob("*")} - before <= {Path("lock")}


def test_a_name_put_into_the_file(site: Site) -> None:
    """A name that nobody may choose is damage, also where somebody writes it into keyring.json."""
    root, secrets = site
    case.tampered(root, lambda document: slot_of(document, "operator").update(name="\x1b[2J"))
    with pytest.raises(IntegrityError, match="damaged"):
        case.opened(root, "officer", secrets)


def test_version_1_is_refused_by_name(site: Site) -> None:
    """A keyring of an earlier release is not taken for a damaged one."""
    root, secrets = site
    case.tampered(root, lambda document: document.update(version=1))
    with pytest.raises(UsageError, match="has version '1', this software reads 2") as raised:
        case.opened(root, "officer", secrets)
    assert raised.value.hint
    assert json.loads((root / "keyring.json").read_text())["version"] == 1
