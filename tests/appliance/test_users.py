"""Users as officers manage them: adding, removing, passphrases, quorum, paper keys, auto-lock."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.errors import Locked, NotPermitted, UsageError
from appliance.workspace import grants, paper, session
from appliance.workspace.keyring import MOST_USERS
from appliance.workspace.keyring_file import MAXIMUM_FILE, read_keyring
from appliance.workspace.workspace import Workspace
from tests.appliance import members_site as case

Site = tuple[Path, dict[str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = tmp_path_factory.mktemp("made") / "workspace"
    return root, case.build(root)


@pytest.fixture
def site(made: Site, tmp_path: Path) -> Site:
    shutil.copytree(made[0], tmp_path / "workspace")
    return tmp_path / "workspace", made[1]


def test_who_opens_what(site: Site) -> None:
    """Each role gets its keys: all but auditors the RUN key, officers and paper the evidence key."""
    root, secrets = site
    for name in secrets:
        secret = paper.opens_with(secrets[name]) if name == "paper" else secrets[name]
        with Workspace.open(root, secret, name) as opened:
            assert (name != "auditor") is (opened._opened.run is not None)
            if opened.user.role.sees_evidence:
                assert grants.public_of(opened.evidence_key()) == opened.keyring.evidence
            else:
                with pytest.raises(NotPermitted, match="does not open findings"):
                    opened.evidence_key()


def test_several_users_must_say_who(site: Site) -> None:
    """Where several type a passphrase, a name is needed; each name opens with its own alone."""
    root, secrets = site
    with pytest.raises(Locked, match="several users") as raised:
        Appliance.unlock(root, secrets["officer"])
    assert "--user" in raised.value.hint
    for name, other in (("officer", "second"), ("operator", "officer"), ("nobody", "officer")):
        with pytest.raises(Locked, match="does not open"):
            Appliance.unlock(root, secrets[other], name)


def test_own_passphrase(site: Site) -> None:
    """A change needs the old one, costs nobody else anything, and works for every role that types."""
    root, secrets = site
    for name in ("officer", "operator", "auditor"):
        with case.opened(root, name, secrets) as opened:
            with pytest.raises(Locked):
                opened.change_passphrase("not the old one", "quite another phrase")
            with pytest.raises(UsageError, match="shorter"):
                opened.change_passphrase(secrets[name], "short")
            opened.change_passphrase(secrets[name], f"quite another phrase {name}")
        with pytest.raises(Locked):
            case.opened(root, name, secrets)
        Appliance.unlock(root, f"quite another phrase {name}", name).close()
    assert read_keyring(root / "keyring.json").epoch == 1
    case.opened(root, "second", secrets).close()


def test_reset(site: Site) -> None:
    """An officer gives another a new passphrase; the old one opens nothing, old file or not."""
    root, secrets = site
    before = read_keyring(root / "keyring.json")
    with case.opened(root, "officer", secrets) as opened:
        opened.reset_passphrase("second", "new words for second")
        with pytest.raises(UsageError, match="changed, not reset"):
            opened.reset_passphrase("officer", "new words for me")
        with pytest.raises(UsageError, match="has no passphrase"):
            opened.reset_passphrase("scanner", "new words for it")
    with pytest.raises(Locked):
        case.opened(root, "second", secrets)
    after = read_keyring(root / "keyring.json")
    old = before.identify(secrets["second"], "second")
    assert after.evidence != before.evidence and after.epoch == 2
    assert after.evidence_key((old,)) is None
    with Appliance.unlock(root, "new words for second", "second") as opened:
        assert grants.public_of(opened._workspace.evidence_key()) == after.evidence


def test_nobody_is_left_out(site: Site) -> None:
    """Neither oneself, nor the last officer, nor one the quorum needs can be removed."""
    root, secrets = site
    with case.opened(root, "officer", secrets) as opened:
        with pytest.raises(UsageError, match="removes himself"):
            opened.remove_user("officer")
        with pytest.raises(UsageError, match="no user of that name"):
            opened.remove_user("nobody")
        opened.set_quorum(2)
        opened.join("second", secrets["second"])
        opened.remove_user("paper")
        with pytest.raises(UsageError, match="quorum of 2"):
            opened.remove_user("second")
        with pytest.raises(UsageError, match="1 or 2"):
            opened.set_quorum(3)
    assert ("officer", "user.remove", "failed") in _acts(root, secrets)


def _acts(root: Path, secrets: dict[str, str]) -> list[tuple[str, str, str]]:
    with case.opened(root, "officer", secrets) as opened:
        return case.acts(opened)


def test_two_together(site: Site) -> None:
    """Under a quorum of two, what concerns findings takes a second officer or a paper key."""
    root, secrets = site
    with case.opened(root, "officer", secrets) as opened:
        opened.set_quorum(2)
    for other in ("second", "paper"):
        with case.opened(root, "officer", secrets) as opened:
            for act in (
                lambda: opened.add_user("third", "officer", "words of a third"),
                lambda: opened.rotate_keys(evidence=True),
                lambda: opened.set_quorum(1),
                lambda: opened.remove_user("second"),
            ):
                with pytest.raises(NotPermitted, match="two officers"):
                    act()
            opened.rotate_keys()
            with pytest.raises(UsageError, match="first one"):
                opened.join("officer", secrets["officer"])
            with pytest.raises(Locked):
                opened.join("second", "wrong words here")
            opened.join(other, secrets[other])
            opened.rotate_keys(evidence=True)
    with case.opened(root, "officer", secrets) as opened:
        with pytest.raises(UsageError, match="an operator"):  # no second officer
            opened.join("operator", secrets["operator"])
        opened._present.append(opened._workspace.keyring.identify(secrets["operator"], "operator"))
        with pytest.raises(NotPermitted):  # nor do the keys take one for it
            opened.set_quorum(1)


def test_recovery(site: Site) -> None:
    """With the words alone: a known officer gets a new passphrase, a new one is added, nothing else opens."""
    root, secrets = site
    with case.opened(root, "paper", secrets) as opened:
        with pytest.raises(NotPermitted):
            opened.studies()
        opened.reset_passphrase("officer", "found again words")
    with case.opened(root, "paper", secrets) as opened:
        opened.add_user("fresh", "officer", "words of the fresh")
    for name, words in (("officer", "found again words"), ("fresh", "words of the fresh")):
        with Appliance.unlock(root, words, name) as opened:
            assert grants.public_of(opened._workspace.evidence_key()) == opened._workspace.keyring.evidence


def test_recovery_needs_the_right_words(site: Site) -> None:
    """Words of another paper, or of a removed one, open nothing; mistyped ones are named before any try."""
    root, secrets = site
    with pytest.raises(Locked, match="does not open"):
        Appliance.recover(root, paper.new_words())
    words = secrets["paper"].split()
    words[7] = "bxbab"
    with pytest.raises(UsageError, match="word 3 in line 2 is mistyped"):
        Appliance.recover(root, " ".join(words))
    with case.opened(root, "officer", secrets) as opened:
        opened.remove_user("paper")
    with pytest.raises(Locked, match="has no paper key"):
        case.opened(root, "paper", secrets)


def test_the_words_are_nowhere(site: Site) -> None:
    """Neither the words nor the secret they stand for lie in any file of the workspace."""
    root, secrets = site
    secret = paper.secret_of(secrets["paper"])
    everything = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    for needle in (secret, secret.hex().encode(), *(line.encode() for line in secrets["paper"].splitlines())):
        assert needle not in everything
    assert b"gradaudit-keyring" in everything  # the search can find what is there


def test_a_full_keyring_can_be_read_again(tmp_path: Path) -> None:
    """As many users as allowed, all in pairs, stay under the size that is read; one more is refused."""
    from appliance.workspace.keyring import Authority, new_keyring
    from appliance.workspace.keyring_file import write_keyring
    from appliance.workspace.keyslots import new_slot
    from appliance.workspace.roles import Role

    keyring, officer = new_keyring("words of the officer", unsafe_fast_kdf=True)
    run, evidence = keyring.keys_of(officer).run, keyring.evidence_key((officer,))
    assert run is not None and evidence is not None
    by = Authority(run, officer.anchor)
    slots = [*keyring.slots]
    for number in range(MOST_USERS - 1):
        slots.append(
            new_slot(f"p{number}", Role.RECOVERY, "00" * 32, keyring.workspace_id, officer.anchor)[0]
        )
    full = keyring.with_slots(slots, by, evidence).with_quorum(2, by, evidence)
    write_keyring(tmp_path / "keyring.json", full)
    assert (tmp_path / "keyring.json").stat().st_size < MAXIMUM_FILE // 2
    assert read_keyring(tmp_path / "keyring.json") == full
    with pytest.raises(UsageError, match="64 users"):
        full.with_slots([*slots, slots[-1]], by, evidence)


def test_what_unlock_keeps_changes_no_user(site: Site, memory: Path) -> None:
    """Users and keys change with a typed passphrase alone, and a change of keys ends every session."""
    root, secrets = site
    with case.opened(root, "officer", secrets) as opened:
        opened.remember()
    kept = Appliance.resume(root)
    assert kept is not None
    with kept, pytest.raises(NotPermitted, match="with a passphrase"):
        kept.add_user("third", "operator", "words of a third")
    with case.opened(root, "officer", secrets) as opened:
        opened.rotate_keys()
    assert Appliance.resume(root) is None
    assert not list((memory / "gradaudit").iterdir())


def test_auto_lock(site: Site, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause longer than the setting locks, a shorter one does not, and every command begins it anew."""
    root, secrets = site
    now = [session._boot_ns()]
    monkeypatch.setattr(session, "_boot_ns", lambda: now[0])

    def still_open() -> bool:
        resumed = Appliance.resume(root)
        if resumed is not None:
            resumed.close()
        return resumed is not None

    with case.opened(root, "officer", secrets) as opened:
        assert opened.auto_lock_minutes() == 15
        opened.set_auto_lock(2)
        opened.remember()
    for _ in range(3):
        now[0] += 119 * 10**9
        assert still_open()
    now[0] += 121 * 10**9
    assert not still_open()
    assert not list((memory / "gradaudit").iterdir())  # gone, not only refused
    with case.opened(root, "officer", secrets) as opened:
        opened.set_auto_lock(0)
        opened.remember()
        for bad in (-1, 1441):
            with pytest.raises(UsageError):
                opened.set_auto_lock(bad)
    now[0] += 10**15
    assert still_open()
    now[0] = 1  # the machine was started again, and the file somehow stayed
    assert still_open()


def test_a_restart_locks(site: Site, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boot time that went back is a restart: what was kept before it does not open."""
    root, secrets = site
    with case.opened(root, "officer", secrets) as opened:
        opened.remember()
    monkeypatch.setattr(session, "_boot_ns", lambda: 1)
    assert Appliance.resume(root) is None


def test_a_long_command_does_not_lock_itself_out(
    site: Site, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command longer than the pause works to its end, and the pause begins when it ends."""
    root, secrets = site
    now = [session._boot_ns()]
    monkeypatch.setattr(session, "_boot_ns", lambda: now[0])
    with case.opened(root, "officer", secrets) as opened:
        opened.remember()
    long = Appliance.resume(root)
    assert long is not None
    now[0] += 3 * 3600 * 10**9
    with long:
        assert long.models() == ()
    resumed = Appliance.resume(root)
    assert resumed is not None
    resumed.close()


def test_locking_wins_over_a_command_that_ends(site: Site, memory: Path) -> None:
    """A session that was locked while commands ran does not come back when they end."""
    root, secrets = site
    with case.opened(root, "officer", secrets) as opened:
        opened.remember()
    running = Appliance.resume(root)
    assert running is not None
    Appliance.forget(root)
    running.close()
    assert Appliance.resume(root) is None
    with case.opened(root, "officer", secrets) as opened:
        opened.remember()
        stop = threading.Event()

        def use() -> None:
            while not stop.is_set():
                session.recall(bytes.fromhex(opened._workspace.workspace_id))

        threads = [threading.Thread(target=use) for _ in range(3)]
        for thread in threads:
            thread.start()
        Workspace.lock(root)
        stop.set()
        for thread in threads:
            thread.join()
    assert Appliance.resume(root) is None
    assert not os.listdir(memory / "gradaudit")  # noqa: PTH208


def test_a_role_that_the_disk_gave(site: Site, memory: Path) -> None:
    """An unlocked auditor stays one, whatever role keyring.json claims afterwards."""
    root, secrets = site
    with case.opened(root, "auditor", secrets) as opened:
        opened.remember()
    resumed = Appliance.resume(root)
    assert resumed is not None
    resumed.close()

    def promote(document: dict[str, object]) -> None:
        slots = document["slots"]
        assert isinstance(slots, list)
        next(slot for slot in slots if slot["name"] == "auditor")["role"] = "officer"

    case.tampered(root, promote)
    assert Appliance.resume(root) is None
