"""What real senders send: sealed, on disk before it is acknowledged, taken in, and nowhere in the clear."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.errors import IntegrityError
from appliance.receiver import spool, tally
from appliance.receiver.sealing import Address
from appliance.workspace.workspace import Workspace
from tests.appliance.receiver.case import PATIENCE_S, ROOT, VAULT, Running, Sender, Site
from tests.appliance.receiver.test_mllp import MESSAGE, exchanged

STUDIES = ROOT / "appliance" / "demo" / "assets" / "studies"
PASSPHRASE = "four random words"
DCMTK = Path("/usr/bin/storescu")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def everything_on_disk(root: Path) -> bytes:
    """Every byte below a folder, and every name."""
    return b"".join(
        str(path).encode() + (path.read_bytes() if path.is_file() else b"") for path in root.rglob("*")
    )


def lie_there(folder: Path, number: int) -> None:
    """When so many files are in a folder."""
    end = time.monotonic() + PATIENCE_S
    while len(list(folder.iterdir())) < number:
        assert time.monotonic() < end, "they never came"
        time.sleep(0.05)


def uids(site: Site) -> list[str]:
    """SOP instances of what was acknowledged."""
    from io import BytesIO

    from pydicom import dcmread

    return sorted(str(dcmread(BytesIO(content)).SOPInstanceUID) for content in site.contents())


def test_a_pacs_sends_twice(site: Site) -> None:
    """Each instance is acknowledged both times and lies there once, by studies; no byte names the patient."""
    with Running(site) as running:
        first = list(Sender(site, running.dicom, numbers=[0, 10]).answers())
        again = list(Sender(site, running.dicom, numbers=[0, 10]).answers())
        said = running.end()
    assert [0] * 10 == [status for _, status in first] == [status for _, status in again]
    assert sorted(uid for uid, _ in first) == uids(site)
    assert len({one.group for one in site.files()}) == 2
    counts = tally.read(site.root / spool.TALLY)
    assert counts[tally.RECEIVED, "pacs", "-"] == 10 == counts[tally.AGAIN, "pacs", "-"]
    assert b"CANARY" not in everything_on_disk(site.root) + said.encode()
    assert any(b"CANARY^PATIENT" in content for content in site.contents())  # it was looked for rightly


def test_killed_right_after_an_answer(site: Site) -> None:
    """Three kills without warning: whatever was acknowledged is there, whole, and nothing twice."""
    acknowledged: set[str] = set()
    for turn in range(3):
        with Running(site) as running:
            answers = Sender(site, running.dicom, numbers=[10 * turn, 10 * turn + 10]).answers()
            for uid, status in answers:
                acknowledged |= {uid} if status == 0 else set()
                if len(acknowledged) >= 5 * (turn + 1):
                    running.kill()
    found = uids(site)
    assert len(acknowledged) >= 15
    assert acknowledged <= set(found) and len(found) == len(set(found))
    counts = tally.read(site.root / spool.TALLY)
    assert counts[tally.RECEIVED, "pacs", "-"] + counts[tally.AGAIN, "pacs", "-"] >= len(acknowledged)
    lock = site.root / spool.LOCK
    assert lock.stat().st_size == 1  # it ended, and nobody stopped it
    with Running(site) as running:  # what was half done is swept, what was whole is handed over
        assert list((site.root / spool.INCOMING).iterdir()) == []
        running.end()
    assert lock.stat().st_size == 0


def test_an_object_larger_than_the_room_that_is_left(site: Site) -> None:
    """Out of resources is said although there was room when it began; what fits is received."""
    site.write(spool_mib=2)
    with Running(site) as running:
        assert [
            status for _, status in Sender(site, running.dicom, numbers=[0, 1], size=4 << 20).answers()
        ] == [0xA700]
        assert list((site.root / spool.INCOMING).iterdir()) == [] == site.files()
        assert [
            status for _, status in Sender(site, running.dicom, numbers=[0, 1], size=1 << 20).answers()
        ] == [0]


@pytest.mark.parametrize("limits", [{"keep_free_mib": 1 << 29}, {"spool_mib": 1}])
def test_no_room(site: Site, limits: dict[str, int]) -> None:
    """Out of resources is said of each instance, nothing is kept of it, and what was acknowledged stays."""
    site.write(**limits)
    with Running(site) as running:
        answers = list(Sender(site, running.dicom, numbers=[0, 4], size=900_000).answers())
        assert exchanged(site, running.hl7, MESSAGE).split(b"\r")[1][:6] in (b"MSA|AE", b"MSA|AA")
    kept = [uid for uid, status in answers if status == 0]
    assert {status for _, status in answers} <= {0, 0xA700} and len(kept) < 4
    assert len(site.files()) - len(kept) <= 1
    assert list((site.root / spool.INCOMING).iterdir()) == []


def test_the_disk_is_full_in_the_middle(site: Site) -> None:
    """The kernel has no room at a flush: that instance is refused, the next one is received."""
    if shutil.which("strace") is None:
        pytest.skip("not shown: needs strace")
    prefix = (
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fsync",
        "-e",
        "inject=fsync:error=ENOSPC:when=3",
    )
    with Running(site, prefix) as running:
        answers = list(Sender(site, running.dicom, numbers=[0, 4]).answers())
    refused = [uid for uid, status in answers if status == 0xA700]
    assert len(answers) == 4 and 1 <= len(refused) <= 3  # each thread has a third flush
    assert sorted(uid for uid, status in answers if status == 0) == uids(site)


def test_dcmtk_sends(site: Site) -> None:
    """DCMTK's storescu over TLS."""
    if not DCMTK.is_file():
        pytest.skip("not shown: needs dcmtk")
    files = sorted(map(str, STUDIES.glob("*-report.dcm")))[:5]
    tls = ("+tls", str(site.peer.key), str(site.peer.certificate), "+cf", str(site.authority.certificate))
    with Running(site) as running:
        command = [
            str(DCMTK),
            *tls,
            "-aet",
            "PACS",
            "-aec",
            "GRADAUDIT",
            "127.0.0.1",
            str(running.dicom),
            *files,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        other = subprocess.run(
            [*command[:1], *tls, "-aet", "ELSE", *command[8:]], capture_output=True, text=True, check=False,
            timeout=PATIENCE_S,
        )  # fmt: skip
    assert (done.returncode, len(site.files())) == (0, 5), done.stderr
    assert other.returncode != 0 and "Calling AE Title Not Recognized" in other.stdout + other.stderr


def test_what_was_received_is_taken_in(tmp_path: Path) -> None:
    """Images and a report by HL7 are in the workspace, once; a file that is none is in the quarantine."""
    root = tmp_path / "workspace"
    with Appliance(Workspace.create(root, PASSPHRASE, "Test", unsafe_fast_kdf=True)) as workplace:
        workplace.set_up_receiver()
        site = Site(tmp_path, root / spool.FOLDER)
        image = next(path for path in sorted(STUDIES.glob("*.hl7")))
        pictures = [str(image.with_suffix(".dcm"))]
        with Running(site) as running:
            sent = [*Sender(site, running.dicom, files=pictures, numbers=[0, 2]).answers()]
            assert b"MSA|AA" in exchanged(site, running.hl7, image.read_bytes())
            assert workplace.take_received().files == 0  # not complete
            ready = root / spool.FOLDER / spool.READY
            lie_there(ready, 4)
            assert "CANARY" not in running.end()
        assert [status for _, status in sent] == [0, 0, 0]
        (damaged, *_) = sorted(ready.iterdir())
        view = workplace.take_received()
        assert (view.files, view.images + view.reports, view.set_aside) == (4, 4, 0), view
        assert workplace.take_received().files == 0 and workplace.received().bytes == 0
        assert len(workplace.studies()) == 2 and damaged.suffix == ".sealed"
        rows = workplace._log.rows(0, workplace._log.size)
        acts = [(row.act, row.outcome) for row in rows]
        assert acts.count(("receiver.study", "noted")) == 3 and ("receiver.take", "done") in acts
    with Running(site) as running:  # the same again: acknowledged, and in the workspace once
        assert [status for _, status in Sender(site, running.dicom, files=pictures).answers()] == [0]
        lie_there(ready, 1)
    (ready / f"{'0' * 32}-{'0' * 64}.sealed").write_bytes(b"sealed by nobody")
    with Appliance.unlock(root, PASSPHRASE) as workplace:
        view = workplace.take_received()
        assert (view.files, view.duplicates, view.set_aside) == (2, 1, 1)
        assert [row.reason for row in workplace.quarantine()] == ["not-sealed-here"]
        assert workplace.retry_received() == 1 == workplace.take_received().set_aside
        assert workplace.received().quarantine == 1
        other = Address.of_vault(VAULT, bytes.fromhex(workplace._workspace.workspace_id))
        other.write(root / spool.FOLDER / spool.ADDRESS)
        with pytest.raises(IntegrityError, match="another address"):
            workplace.take_received()
    assert b"CANARY" not in everything_on_disk(root)
