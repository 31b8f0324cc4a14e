"""The vault: content addressing, many objects at once, and objects exchanged behind its back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.errors import ApplianceError, IntegrityError
from appliance.workspace import durable
from appliance.workspace import vault as vault_module
from appliance.workspace.keys import KeptKeys, RunKeys, SecretKey
from appliance.workspace.subjects import SubjectKeys
from appliance.workspace.vault import Vault, create_objects
from tests.appliance.vault_case import WORKSPACE_ID, KeysInMemory, keys_from, vault_in


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    create_objects(tmp_path / "objects")
    return tmp_path / "objects"


@pytest.fixture
def vault(objects: Path) -> Iterator[Vault]:
    yield vault_in(objects)


def file_of(objects: Path, object_id: str) -> Path:
    return objects / object_id[:2] / f"{object_id}.ga1"


def test_put_and_get(vault: Vault, objects: Path) -> None:
    """What was put comes back, from one private file named by the object id."""
    object_id = vault.put("frame", b"pixels" * 9000)
    assert vault.get("frame", object_id) == b"pixels" * 9000
    assert vault.read_range("frame", object_id, 20_003, 6) == b"spixel"
    assert [file_of(objects, object_id)] == list(objects.rglob("*.ga1"))
    assert file_of(objects, object_id).stat().st_mode & 0o777 == 0o600
    assert (
        0o700 == objects.stat().st_mode & 0o777 == file_of(objects, object_id).parent.stat().st_mode & 0o777
    )


def test_same_content_is_stored_once(vault: Vault, objects: Path) -> None:
    """The same content twice is one unchanged file; as another kind it is another object."""
    first = vault.put("frame", b"same")
    before = file_of(objects, first).read_bytes()
    assert first == vault.put("frame", b"same")
    assert before == file_of(objects, first).read_bytes()
    assert first != vault.put("report-text", b"same")
    assert len(list(objects.rglob("*.ga1"))) == 2


def test_object_id_needs_the_key(tmp_path: Path, vault: Vault) -> None:
    """Under another RUN key content has another name: a disk cannot be searched for known images."""
    create_objects(tmp_path / "other")
    assert vault.put("frame", b"x") != vault_in(tmp_path / "other", b"j").put("frame", b"x")


def test_objects_exchanged(vault: Vault, objects: Path) -> None:
    """A file put in another's place, in either direction or under another kind, is refused by name."""
    one, two = vault.put("frame", b"one"), vault.put("frame", b"two")
    text = vault.put("report-text", b"one")
    for wanted, kind, other in ((one, "frame", two), (two, "frame", one), (one, "frame", text)):
        original = file_of(objects, wanted).read_bytes()
        shutil.copy(file_of(objects, other), file_of(objects, wanted))
        with pytest.raises(IntegrityError, match=wanted):
            vault.get(kind, wanted)
        file_of(objects, wanted).write_bytes(original)
    with pytest.raises(IntegrityError, match=one):
        vault.get("report-text", one)
    assert vault.get("frame", one) == b"one"


def test_assignments_have_their_own_key(objects: Path) -> None:
    """Who holds only the vault key does not learn whom a design holds back."""
    whole = keys_from(b"k")
    blind = RunKeys(
        whole.catalogue, KeptKeys(whole.vault, whole.pseudonym, whole.names, assignments=SecretKey(bytes(32)))
    )
    object_id = vault_in(objects).put("assignment", b"{}")
    with pytest.raises(IntegrityError):
        Vault(objects, blind, WORKSPACE_ID, SubjectKeys(KeysInMemory(), blind, WORKSPACE_ID)).get(
            "assignment", object_id
        )


def test_a_patients_objects_go_with_the_patients_key(objects: Path) -> None:
    """Deleting a subject's key makes that patient's objects unreadable and leaves all others."""
    store, mine, other = KeysInMemory(), "a" * 32, "b" * 32
    vault = vault_in(objects, store=store)
    first, second = vault.put("frame", b"x", mine), vault.put("frame", b"x", other)
    assert first != second and vault.get("frame", first) == b"x"
    assert vault_in(objects, store=store).get("frame", first) == b"x"
    del store.rows[mine]
    later = vault_in(objects, store=store)
    with pytest.raises(IntegrityError, match="erased"):
        later.get("frame", first)
    assert later.get("frame", second) == b"x"


def test_a_key_is_stored_before_what_it_seals(objects: Path) -> None:
    """Where the catalogue cannot take a new patient's key, no object gets its name."""

    class Full(KeysInMemory):
        def add_subject_keys(self, wrapped: dict[str, str]) -> None:
            raise OSError(28, "No space left on device")

    vault = vault_in(objects, store=Full())
    with pytest.raises(ApplianceError):
        vault.put("frame", b"x", "a" * 32)
    with pytest.raises(ApplianceError):
        vault.settle([vault.bring("frame", b"y", "a" * 32)])
    assert list(objects.rglob("*.ga1")) == []


def test_damaged_and_missing(vault: Vault, objects: Path) -> None:
    """One flipped byte, an emptied file, a link and a missing file are refused by name."""
    object_id = vault.put("frame", b"content")
    path = file_of(objects, object_id)
    genuine = path.read_bytes()
    flipped = bytearray(genuine)
    flipped[-1] ^= 1
    for bad in (bytes(flipped), b"", genuine[:-1]):
        path.write_bytes(bad)
        with pytest.raises(IntegrityError, match=path.name):
            vault.get("frame", object_id)
    path.unlink()
    with pytest.raises(IntegrityError, match=path.name):
        vault.get("frame", object_id)
    (objects / "elsewhere").write_bytes(genuine)
    path.symlink_to(objects / "elsewhere")
    with pytest.raises(IntegrityError, match=path.name):
        vault.get("frame", object_id)


@pytest.mark.parametrize("object_id", ("", "../../keyring.json", "a" * 63, "A" * 64, "a" * 64 + "\n"))
def test_object_id_is_no_path(vault: Vault, object_id: str) -> None:
    """Anything but 64 lower-case hex digits is refused before it becomes a path."""
    with pytest.raises(ValueError, match="object id"):
        vault.exists(object_id)


def test_settle(vault: Vault, objects: Path) -> None:
    """What was brought has its name when settled and not before; the same content may be brought twice."""
    arrivals = [vault.bring("frame", bytes([n]) * 1000) for n in (*range(30), 7)]
    assert not list(objects.rglob("*.ga1"))
    vault.settle(arrivals)
    ids = [arriving.object_id for arriving in arrivals]
    assert ids[7] == ids[30]
    assert sorted(set(ids)) == sorted(path.stem for path in objects.rglob("*.ga1"))
    assert [bytes([n]) * 1000 for n in range(30)] == [vault.get("frame", object_id) for object_id in ids[:30]]
    assert not list((objects / "incoming").iterdir())
    assert vault.bring("frame", bytes([7]) * 1000).path is None


def test_what_is_brought_by_several_threads_settles_together(vault: Vault) -> None:
    """Threads seal side by side; nothing of one is lost in the other."""
    with ThreadPoolExecutor(4) as pool:
        arrivals = list(pool.map(lambda n: vault.bring("frame", bytes([n % 40]) * 5000), range(200)))
    vault.settle(arrivals)
    assert {bytes([n]) * 5000 for n in range(40)} == {
        vault.get("frame", arriving.object_id) for arriving in arrivals
    }


def test_settled_objects_are_on_disk_before_they_have_a_name(
    vault: Vault, objects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is flushed before the names appear and again after: a power cut leaves no hollow file."""
    seen: list[int] = []

    def counting(path: Path) -> None:
        seen.append(len(list(objects.rglob("*.ga1"))))
        durable.sync_filesystem(path)

    monkeypatch.setattr(vault_module, "sync_filesystem", counting)
    vault.settle([vault.bring("frame", bytes([n])) for n in range(5)])
    assert seen == [0, 5]


def test_single_object_is_on_disk_before_it_has_a_name(
    vault: Vault, objects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single put: flush of the file while unnamed, then flush of the directory that names it."""
    flushed: list[tuple[bool, int]] = []
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        named = len(list(objects.rglob("*.ga1")))
        flushed.append((Path(f"/proc/self/fd/{descriptor}").is_dir(), named))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    vault.put("frame", b"x")
    assert flushed[0] == (False, 0)
    assert flushed[-1] == (True, 1)


def test_disk_refuses(vault: Vault, objects: Path) -> None:
    """A disk that refuses is one sentence with a hint, whichever step it refuses."""
    arriving = vault.bring("frame", b"y")
    assert arriving.path is not None
    arriving.path.unlink()
    with pytest.raises(ApplianceError, match="cannot write to the vault"):
        vault.settle([arriving])
    shutil.rmtree(objects / "incoming")
    with pytest.raises(ApplianceError, match="cannot write to the vault") as single:
        vault.put("frame", b"x")
    assert single.value.hint
    with pytest.raises(ApplianceError, match="cannot write to the vault"):
        vault.bring("frame", b"x")


def test_sweep(vault: Vault, objects: Path) -> None:
    """What was brought and never settled goes; what has a name stays."""
    kept = vault.put("frame", b"kept")
    vault.bring("frame", b"left behind")
    assert vault.sweep() == 1
    assert not list((objects / "incoming").iterdir())
    assert vault.exists(kept)


class Disk:
    """Waits for the disk, counted; the n-th fails, or is the last thing its process does."""

    def __init__(self, fails: int = 0) -> None:
        self.waits, self._fails = 0, fails

    def __call__(self, path: Path) -> None:
        self.waits += 1
        if self.waits == self._fails:
            raise OSError(5, "Input/output error")


@pytest.mark.parametrize("fails", (1, 2))
def test_what_the_disk_refused_is_not_there(
    vault: Vault, objects: Path, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    """A wait that fails leaves no name, so that the next try writes and waits anew; what was stored stays."""
    before = vault.put("frame", b"before")
    monkeypatch.setattr(vault_module, "sync_filesystem", Disk(fails))
    arrivals = [vault.bring("frame", content) for content in (b"x", b"y")]
    with pytest.raises(ApplianceError, match="cannot write to the vault"):
        vault.settle(arrivals)
    assert [file_of(objects, before)] == list(objects.rglob("*.ga1"))
    again, disk = [vault.bring("frame", content) for content in (b"x", b"y")], Disk()
    monkeypatch.setattr(vault_module, "sync_filesystem", disk)
    vault.settle(again)
    assert disk.waits == 2 and {b"x", b"y"} == {vault.get("frame", one.object_id) for one in again}


def test_a_single_object_that_the_disk_refused_is_not_there(
    vault: Vault, objects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above for `put`, whichever of the folders cannot be flushed."""
    for fails in (1, 2):
        with monkeypatch.context() as patch:
            patch.setattr(vault_module, "sync_directory", Disk(fails))
            with pytest.raises(ApplianceError, match="cannot write to the vault"):
                vault.put("frame", b"x")
        assert not list(objects.rglob("*.ga1")) and not list((objects / "incoming").iterdir())
    disk = Disk()
    monkeypatch.setattr(vault_module, "sync_directory", disk)
    assert vault.get("frame", vault.put("frame", b"x")) == b"x" and disk.waits == 2


def test_a_name_that_another_process_gave_is_flushed_before_it_is_believed(
    vault: Vault, objects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the names and the last wait: whoever finds the names waits once, each time it writes."""
    vault.settle([vault.bring("frame", b"x")])
    for store in (lambda one: one.settle([one.bring("frame", b"x")]), lambda one: one.put("frame", b"x")):
        disk, later = Disk(), vault_in(objects)
        monkeypatch.setattr(vault_module, "sync_filesystem", disk)
        for _ in range(2):
            store(later)
        assert disk.waits == 1
        later.sweep()  # another writer may have been killed since
        store(later)
        assert disk.waits == 2


def test_a_refused_batch_takes_nothing_that_another_has_stored(
    vault: Vault, objects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same content in two batches: the second one's failure leaves what the first acknowledged."""
    first, second = vault.bring("frame", b"x"), vault.bring("frame", b"x")
    vault.settle([first])
    monkeypatch.setattr(vault_module, "sync_filesystem", Disk(2))
    with pytest.raises(ApplianceError):
        vault.settle([second, vault.bring("frame", b"y")])
    assert [file_of(objects, first.object_id)] == list(objects.rglob("*.ga1"))
    assert not list((objects / "incoming").iterdir())


def test_what_vanished_between_bringing_and_settling_is_not_acknowledged(vault: Vault, objects: Path) -> None:
    """Found stored, then taken back by the batch that had named it: there is nothing to acknowledge."""
    vault.put("frame", b"x")
    found = vault.bring("frame", b"x")
    assert found.path is None
    file_of(objects, found.object_id).unlink()
    with pytest.raises(ApplianceError, match="cannot write to the vault"):
        vault.settle([found])
