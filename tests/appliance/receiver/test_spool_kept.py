"""What was acknowledged is on disk and whole, also where something went wrong before; and never too much."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from appliance.api import Appliance
from appliance.errors import Busy, CannotWrite, NotNow, UsageError
from appliance.receiver import spool, taking, tally
from appliance.receiver.mllp import Messages, _Message
from appliance.receiver.process import Handover, Receiver
from appliance.receiver.sealing import Address
from appliance.receiver.settings import Limits, Peer, read
from appliance.receiver.spool import ForeignSpool, Spool
from appliance.receiver.tally import Tally
from appliance.supervisor import Supervisor
from appliance.workspace.durable import sync_directory
from appliance.workspace.workspace import Workspace
from tests.appliance.receiver import wire
from tests.appliance.receiver.case import PATIENCE_S, VAULT, WORKSPACE_ID, Site, opened
from tests.appliance.receiver.sender import CT, EXPLICIT
from tests.appliance.receiver.test_mllp import MESSAGE

GROUP = "0" * 32
PASSPHRASE = "four random words"


@pytest.fixture
def box(tmp_path: Path) -> Spool:
    spool.create(tmp_path / "spool", Address.of_vault(VAULT, WORKSPACE_ID))
    return Spool(tmp_path / "spool")


def received(box: Spool, content: bytes, group: str = GROUP) -> bool:
    """Received in one piece."""
    arriving = box.begin(len(content))
    try:
        arriving.write(content)
        return arriving.keep(group)
    finally:
        arriving.discard()


def flip(path: Path) -> None:
    """A bit of its content."""
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)


def watched(monkeypatch: pytest.MonkeyPatch, *refusals: OSError) -> list[str]:
    """Names of the folders that are flushed from now on; the first times fail."""
    flushed: list[str] = []
    left = list(refusals)

    def sync(path: Path) -> None:
        if left:
            raise left.pop(0)
        sync_directory(path)
        flushed.append(path.name)

    monkeypatch.setattr(spool, "sync_directory", sync)
    return flushed


@pytest.mark.parametrize("folder", [spool.ARRIVING, spool.READY])
def test_the_folder_is_flushed_also_where_it_is_there_already(
    box: Spool, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gave it its name may have ended, or failed, before the folder was flushed."""
    refused = watched(monkeypatch, OSError(errno.EIO, "EIO"))
    with pytest.raises(OSError):
        received(box, b"one")
    assert refused == []
    if folder == spool.READY:
        box.move(box.listed(spool.ARRIVING), folder)
    flushed = watched(monkeypatch)
    assert not received(box, b"one") and flushed == [folder]
    assert [opened(one.path) for one in box.listed(folder)] == [b"one"]
    assert not any((box.root / spool.INCOMING).iterdir())


def test_what_has_its_name_is_handed_over_also_where_the_sender_was_told_otherwise(
    box: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder could not be flushed, so it was not acknowledged; it does not lie there until a restart."""
    from appliance.receiver.association import OUT_OF_RESOURCES, Storage, _Instance

    handover, counts = Handover(box, 0.0), Tally(box.root / spool.TALLY)
    peer = Peer("pacs", "0" * 64, "PACS", hl7=True)
    message = _Message(box, 1 << 20)
    message.write(MESSAGE)
    asked = SimpleNamespace(AffectedSOPInstanceUID="2.25.1", AffectedSOPClassUID=CT)
    event = SimpleNamespace(request=SimpleNamespace(_dataset_file=_Instance(box, Limits(), asked, EXPLICIT)))
    watched(monkeypatch, *[OSError(errno.EIO, "EIO")] * 2)
    assert b"MSA|AE|" in Messages(box, Limits(), counts, handover.arrived)._answered(message, peer)
    storage = Storage(box, "GRADAUDIT", Limits(), counts, handover.arrived)
    assert OUT_OF_RESOURCES == storage._store(event, peer)
    assert [2, 0] == [len(box.listed(name)) for name in (spool.ARRIVING, spool.READY)]
    assert handover.look() == 2
    assert [0, 2] == [len(box.listed(name)) for name in (spool.ARRIVING, spool.READY)]


def test_a_new_receiver_flushes_what_has_a_name(box: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so where the disk refuses; then another one may try."""
    flushed = watched(monkeypatch)
    box.hold()
    assert {spool.ARRIVING, spool.READY} <= set(flushed)
    box.release()
    watched(monkeypatch, OSError(errno.EIO, "EIO"))
    with pytest.raises(CannotWrite):
        box.hold()
    Spool(box.root).hold()


@pytest.mark.parametrize("folder", [spool.ARRIVING, spool.READY, spool.QUARANTINE])
def test_a_damaged_copy_is_no_copy(box: Spool, folder: str) -> None:
    """Wherever it lies, what is sent again is kept whole."""
    received(box, b"one")
    if folder != spool.ARRIVING:
        box.move(box.listed(spool.ARRIVING), folder)
    (damaged,) = box.listed(folder)
    flip(damaged.path)
    assert received(box, b"one") is (folder == spool.QUARANTINE)
    whole = [one for name in (spool.ARRIVING, spool.READY) for one in box.listed(name)]
    assert [opened(one.path) for one in whole] == [b"one"]


def test_what_fills_the_spool_ends_in_the_middle(box: Spool) -> None:
    """Never more than may lie there; what comes to nothing gives its room back at once."""
    small = Spool(box.root, most_bytes=100_000)
    first, second = small.begin(1 << 20), small.begin(1 << 20)
    first.write(bytes(30_000))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        for _ in range(10):
            second.write(bytes(20_000))
    assert small.used_bytes() <= 100_000
    second.discard()
    assert received(small, bytes(50_000)) and small.used_bytes() <= 100_000
    first.discard()


def test_every_instance_that_nobody_answers_is_removed(box: Spool) -> None:
    """One that is complete and waits for its answer, and the one after it."""
    from appliance.receiver.association import _Provider

    agreed = SimpleNamespace(abstract_syntax=CT, transfer_syntax=[EXPLICIT])
    link = SimpleNamespace(
        _accepted_cx={1: agreed}, get_handlers=lambda event: [], dul=SimpleNamespace(), _handlers={}
    )
    provider = _Provider(link, box, Limits())  # type: ignore[arg-type]
    for uid, header in (("2.25.1", b"\x02"), ("2.25.2", b"\x00")):
        provider._take(1, b"\x03" + wire.command(uid=uid))
        provider._take(1, header + b"\x10\x00\x10\x00PN\x02\x00A^")
    assert len(list((box.root / spool.INCOMING).iterdir())) == 2
    provider.discard()
    assert not any((box.root / spool.INCOMING).iterdir())


def test_a_folder_among_them_is_nobodys(box: Spool) -> None:
    """It is left where it is, and stops nothing."""
    (box.root / spool.INCOMING / "folder").mkdir()
    (box.root / spool.READY / f"{GROUP}-{'0' * 64}.sealed").mkdir()
    box.hold()
    assert box.listed(spool.READY) == [] and (box.root / spool.INCOMING / "folder").is_dir()


def test_a_study_is_handed_over_after_a_failed_look(box: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor to spare: said, not raised as it is; the next look hands it over."""
    received(box, b"one")
    handover = Handover(box, 0)
    with monkeypatch.context() as patched:
        patched.setattr(box, "listed", lambda folder: (_ for _ in ()).throw(OSError(errno.EMFILE, "EMFILE")))
        with pytest.raises(CannotWrite):
            handover.look()
    assert (handover.look(), len(box.listed(spool.READY))) == (1, 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"], ids=["taken", "not there yet"])
def test_an_address_that_cannot_be_listened_on_is_tried_again(tmp_path: Path, host: str) -> None:
    """Not an error of usage, whose exit code keeps the unit from starting it again."""
    import socket

    site = Site(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        site.file.write_text(site.file.read_text().replace("127.0.0.1:0", f"{host}:{port}"))
        with pytest.raises(Busy, match="cannot listen") as refused:
            Receiver(read(site.file), site.root, Supervisor(), print)
    unit = (Path(__file__).parents[3] / "appliance" / "units" / "gradaudit-receive.service").read_text()
    (never,) = [line.split("=")[1].split() for line in unit.splitlines() if line.startswith("RestartPrevent")]
    assert str(refused.value.exit_code) not in never and str(UsageError.exit_code) in never


def test_taking_in_says_what_was_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No entry where there is no room, none of a study not taken; a good copy replaces a damaged one."""
    with Appliance(Workspace.create(tmp_path / "workspace", PASSPHRASE, "T", unsafe_fast_kdf=True)) as site:
        site.set_up_receiver()
        box = Spool(tmp_path / "workspace" / spool.FOLDER)

        def entries(act: str = "") -> int:
            rows = site._log.rows(0, site._log.size)
            return sum(row.act.startswith(act) for row in rows)

        def arrives() -> None:
            received(box, MESSAGE)
            box.move(box.listed(spool.ARRIVING), spool.READY)

        def refuses(*_: object) -> None:
            raise NotNow("nearly full")

        arrives()
        before = entries()
        with monkeypatch.context() as patched, pytest.raises(NotNow):
            patched.setattr("appliance.receiving.expect_room", refuses)
            site.take_received()
        assert entries() == before
        with monkeypatch.context() as patched, pytest.raises(NotNow):
            patched.setattr(taking, "_in_memory", refuses)
            site.take_received()
        assert entries("receiver.study") == 0 and entries() == before + 2
        flip(box.listed(spool.READY)[0].path)
        assert site.take_received().set_aside == 1 == len(site.quarantine()) == entries("receiver.study")
        arrives()
        assert (site.take_received().reports, site.quarantine()) == (1, ())
        assert box.used_bytes() == 0 and site.received().quarantine == 0


def test_a_link_in_the_place_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    """Whoever receives can lay one to the log: nobody who may write there sweeps, lists or moves by it."""
    root = tmp_path / "workspace"
    with Appliance(Workspace.create(root, PASSPHRASE, "T", unsafe_fast_kdf=True)) as site:
        site.set_up_receiver()
        box = Spool(root / spool.FOLDER)
        received(box, MESSAGE)
        before = sorted(path.name for path in (root / "log").iterdir())
        for name in spool.FOLDERS:
            (box.root / name).rename(tmp_path / name)
            (box.root / name).symlink_to(root / "log")
            with pytest.raises(ForeignSpool, match=f"{name} of the receiver's spool"):
                site.take_received()
            with pytest.raises(ForeignSpool):
                site.set_up_receiver()
            with pytest.raises((CannotWrite, OSError)):  # laid between the look and the act
                box.hold() if name == spool.INCOMING else box.listed(name)
            with pytest.raises((CannotWrite, OSError)):
                box.used_bytes()
            (box.root / name).unlink()
            (tmp_path / name).rename(box.root / name)
        assert sorted(path.name for path in (root / "log").iterdir()) == before
        box.move(box.listed(spool.ARRIVING), spool.READY)
        assert site.take_received().reports == 1


def test_a_receiver_that_was_taken_over_fills_no_log(tmp_path: Path) -> None:
    """Words and numbers of its own, thousands of them: so many entries a look, and none is passed over."""
    with Appliance(Workspace.create(tmp_path / "workspace", PASSPHRASE, "T", unsafe_fast_kdf=True)) as site:
        site.set_up_receiver()
        counts = tmp_path / "workspace" / spool.FOLDER / spool.TALLY

        def entries() -> int:
            return sum(row.act == "receiver.refused" for row in site._log.rows(0, site._log.size))

        def say(rows: str) -> None:
            counts.write_text(f'{{"version": 1, "counts": [{rows}]}}')
            site.take_received()

        for number in ("1e999", "-1", "true", "9" * 17, '"7"'):
            say(f'["refused", "pacs", "tls", {number}]')
        assert entries() == 0
        rows = ", ".join(f'["refused", "p{number}", "tls", 1]' for number in range(300))
        looks = []
        for _ in range(3):
            say(rows)
            looks.append(entries())
        assert looks == [256, 300, 300]


@pytest.mark.parametrize("name", [spool.TALLY, spool.ADDRESS])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(box: Spool, name: str) -> None:
    """Whoever receives may write there, and those who hold the keys read it."""
    (box.root / name).unlink(missing_ok=True)
    os.mkfifo(box.root / name)
    looks = {spool.TALLY: tally.read, spool.ADDRESS: Address.read}
    found: list[object] = []

    def look() -> None:
        try:
            found.append(looks[name](box.root / name))
        except UsageError as refused:
            found.append(refused)

    looking = Thread(target=look, daemon=True)
    looking.start()
    looking.join(PATIENCE_S)
    assert len(found) == 1


def test_two_who_take_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another one has taken in since the listing is passed over, without an entry."""
    with Appliance(Workspace.create(tmp_path / "workspace", PASSPHRASE, "T", unsafe_fast_kdf=True)) as site:
        site.set_up_receiver()
        box = Spool(tmp_path / "workspace" / spool.FOLDER)
        received(box, MESSAGE)
        box.move(box.listed(spool.ARRIVING), spool.READY)
        before, room = site._log.size, "appliance.receiving.expect_room"
        found = box.listed(spool.READY)
        with monkeypatch.context() as patched:  # between the listing and the writer's lock
            patched.setattr(room, lambda root: box.remove(found))
            assert site.take_received().files == 0 and site._log.size == before
        monkeypatch.setattr(Spool, "listed", lambda self, folder: found * (folder == spool.READY))
        assert site.take_received().files == 0 and site._log.size == before
