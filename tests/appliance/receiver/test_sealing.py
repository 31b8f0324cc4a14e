"""The format of a received file: frozen, sealed piece by piece, and opened by nobody else."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest

from appliance.errors import Busy, IntegrityError, Locked, UsageError
from appliance.receiver import spool
from appliance.receiver.sealing import Address, Sealing, unsealed
from appliance.receiver.spool import Spool, TooLarge
from appliance.workspace.ga1 import CHUNK
from appliance.workspace.keys import SecretKey
from tests.appliance.receiver.case import VAULT, WORKSPACE_ID, opened

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "received.json").read_text())
ADDRESS = Address.of_vault(VAULT, WORKSPACE_ID)


def sealed(content: bytes, *cuts: int) -> bytes:
    """A file, made of pieces."""
    sealing = Sealing(ADDRESS)
    places = [0, *cuts, len(content)]
    pieces = [sealing.add(content[begin:end]) for begin, end in itertools.pairwise(places)]
    return b"".join([sealing.head, *pieces, sealing.end()])


def opens(path: Path, vault: SecretKey = VAULT, workspace_id: bytes = WORKSPACE_ID) -> bytes:
    """What it holds, for this vault."""
    with path.open("rb") as file:
        found = unsealed(file.fileno(), vault, workspace_id, "it")
        return found.read(0, found.size)


def test_the_frozen_file_opens(tmp_path: Path) -> None:
    """A file written by the first version is read by every later one."""
    vault, workspace_id = SecretKey(bytes.fromhex(VECTOR["vault"])), bytes.fromhex(VECTOR["workspace_id"])
    address = Address.of_vault(vault, workspace_id)
    assert (address.public.hex(), address.names.raw.hex()) == (VECTOR["public"], VECTOR["names"])
    (tmp_path / "file").write_bytes(bytes.fromhex(VECTOR["file"]))
    assert opens(tmp_path / "file", vault, workspace_id).decode() == VECTOR["content"]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 100_000])
def test_pieces_of_any_size_are_the_same_content(tmp_path: Path, size: int) -> None:
    """However it is cut, it opens to the same bytes."""
    draw = random.Random(size)
    content = draw.randbytes(size)
    for cuts in (
        (),
        (1,),
        (size // 2, size // 2),
        tuple(sorted(draw.sample(range(size + 1), min(size, 20)))),
    ):
        (tmp_path / "file").write_bytes(sealed(content, *cuts))
        assert opens(tmp_path / "file") == content


def test_nobody_else_opens_it_and_no_byte_may_change(tmp_path: Path) -> None:
    """Another vault, another workspace, every flipped byte, every cut."""
    path, good = tmp_path / "file", sealed(b"a secret" * 10)
    path.write_bytes(good)
    assert opens(path) == b"a secret" * 10
    for vault, workspace_id in ((SecretKey.random(), WORKSPACE_ID), (VAULT, bytes(16))):
        with pytest.raises(IntegrityError):
            opens(path, vault, workspace_id)
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(IntegrityError):
            opens(path)
        path.write_bytes(good[:place])
        with pytest.raises(IntegrityError):
            opens(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format":"gradaudit-received"}', "x" * 5000])
def test_an_address_that_is_none(tmp_path: Path, text: str) -> None:
    """Refused in words."""
    with pytest.raises(Locked):
        Address.read(tmp_path / "absent")
    (tmp_path / "receiver.json").write_text(text)
    with pytest.raises(UsageError):
        Address.read(tmp_path / "receiver.json")


@pytest.fixture
def box(tmp_path: Path) -> Spool:
    spool.create(tmp_path / "spool", ADDRESS)
    return Spool(tmp_path / "spool")


def received(box: Spool, content: bytes, group: str = "0" * 32) -> bool:
    """Received in one piece."""
    arriving = box.begin(1000)
    arriving.write(content)
    return arriving.keep(group)


def test_what_is_there_is_not_kept_again(box: Spool) -> None:
    """Where it waits to be taken in."""
    assert [received(box, b"one"), received(box, b"one"), received(box, b"two")] == [True, False, True]
    one, two = sorted(box.listed(spool.ARRIVING), key=lambda file: opened(file.path))
    box.move([one], spool.READY)
    assert [received(box, b"one"), received(box, b"two")] == [False, False]
    assert [(file.path.name, opened(file.path)) for file in box.listed(spool.READY)] == [
        (one.path.name, b"one")
    ]
    assert [(file.path.name, opened(file.path)) for file in box.listed(spool.ARRIVING)] == [
        (two.path.name, b"two")
    ]
    taken = opened(box.root / spool.READY / one.path.name)
    box.remove(box.listed(spool.READY))
    assert received(box, taken) and not any((box.root / spool.INCOMING).iterdir())


def test_one_receiver_sweeps_what_was_half_done(box: Spool) -> None:
    """Only one holds it; a larger object than allowed ends, and a discarded one leaves nothing."""
    arriving = box.begin(3)
    with pytest.raises(TooLarge):
        arriving.write(b"four")
    arriving.discard()
    assert not any((box.root / spool.INCOMING).iterdir())
    box.begin(3).write(b"abc")
    box.hold()
    assert not any((box.root / spool.INCOMING).iterdir())
    with pytest.raises(Busy):
        Spool(box.root).hold()
    box.release()
    Spool(box.root).hold()


def test_names_say_nothing_and_links_are_no_files(box: Spool, tmp_path: Path) -> None:
    """Everything on disk belongs to its account alone; what has another name is not looked at."""
    received(box, b"one")
    (box.root / spool.READY / "a.sealed").write_bytes(b"")
    (box.root / spool.READY / ".hidden").write_bytes(b"")
    assert box.listed(spool.READY) == []
    (found,) = box.listed(spool.ARRIVING)
    assert found.path.stat().st_mode & 0o077 == 0 == box.root.stat().st_mode & 0o077
