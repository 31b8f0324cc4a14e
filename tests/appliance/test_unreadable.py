"""A disk that cannot read a sector: whoever meets it names the file, and a check of everything goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.errors import ApplianceError, IntegrityError
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.layout import walk
from appliance.workspace.workspace import Workspace
from tests.appliance import whole_site
from tests.appliance.whole_site import AUDIT_ID, PASSPHRASE, run

Break = Callable[[Path, int], None]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return whole_site.build(tmp_path / "ws")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Break:
    """Lets reads of a file fail at and behind a place, as a failing disk does."""
    places: dict[str, int] = {}
    pread = os.pread

    def failing(descriptor: int, length: int, offset: int) -> bytes:
        if offset + length > places.get(str(Path(f"/proc/self/fd/{descriptor}").readlink()), 1 << 60):
            raise OSError(5, "Input/output error")
        return pread(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", failing)
    return lambda path, place: places.update({str(path): place})


def objects(site: Path) -> list[Path]:
    """Sealed objects, the largest first."""
    return sorted((site / "objects").rglob("*.ga1"), key=lambda path: -path.stat().st_size)


@pytest.mark.parametrize("place", (0, 84, 17_000))
def test_an_unreadable_object_is_named(site: Path, broken: Break, place: int) -> None:
    """In its header, its only chunk or one in the middle: one sentence with the file, and a next step."""
    with Workspace.open(site, PASSPHRASE) as workspace:
        (frame,) = (one.frame_object for one in workspace.catalogue.instances())
        broken(objects(site)[0], place)
        with pytest.raises(IntegrityError, match=rf"{objects(site)[0].name}.*Input/output") as raised:
            workspace.vault.get("frame", frame)
        assert raised.value.hint


def test_an_unreadable_step_is_named(site: Path, broken: Break) -> None:
    """The step, and how to do without it."""
    (step,) = (site / "steps").rglob("*.ga1")
    broken(step, 0)
    with (
        Workspace.open(site, PASSPHRASE) as workspace,
        pytest.raises(IntegrityError, match=rf"{step.name}.*Input/output") as raised,
    ):
        workspace.steps(AUDIT_ID).get("ab" * 32)
    assert "audit abandon" in raised.value.hint


def test_verify_goes_on_behind_what_cannot_be_read(
    site: Path, broken: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two unreadable objects, an unreadable step, and one that was changed: four lines, and exit code 20."""
    first, second, third = objects(site)
    (step,) = (site / "steps").rglob("*.ga1")
    third.write_bytes(third.read_bytes()[:-1])
    for path in (first, second, step):
        broken(path, 84)
    said = run(monkeypatch, site, "workspace", "verify")
    assert said.code == 20 and "unexpected" not in said.err, said
    for path in (first, second, third, step):
        assert path.name in said.out
    assert said.out.count("Input/output error") == 3


def test_an_unreadable_header_is_named(site: Path, broken: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check reads a header itself before it asks the vault."""
    broken(objects(site)[0], 0)
    said = run(monkeypatch, site, "workspace", "verify")
    assert (said.code, objects(site)[0].name in said.out) == (20, True), said


def test_verify_goes_on_behind_an_unreadable_catalogue(
    site: Path, broken: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects cannot be told apart then, and none is called damaged; steps and log are looked at as ever."""
    (step,) = (site / "steps").rglob("*.ga1")
    broken(step, 0)

    def unreadable(self: Catalogue) -> None:
        raise ApplianceError("cannot use catalogue.db: disk i/o error", "Is the disk full or read-only?")

    monkeypatch.setattr(Catalogue, "verify", unreadable)
    monkeypatch.setattr(Catalogue, "instances", unreadable)
    said = run(monkeypatch, site, "workspace", "verify")
    assert said.code == 20 and "disk i/o" in said.out and step.name in said.out, said
    assert "objects/" not in said.out


def test_what_cannot_be_looked_at_is_named_and_what_has_gone_is_not(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose inode cannot be read is damage; one that a writer took away since the listing is none."""
    unreadable, vanished = objects(site)[0], site / "objects/incoming" / ("ab" * 16)
    vanished.touch(0o600)
    lstat = Path.lstat

    def failing(path: Path) -> os.stat_result:
        if path == vanished:
            raise FileNotFoundError(2, "No such file or directory")
        if path == unreadable:
            raise OSError(5, "Input/output error")
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", failing)
    found = {one.name: one.trouble for one in walk(site)}
    assert "Input/output error" in found[str(unreadable.relative_to(site))]
    assert str(vanished.relative_to(site)) not in found
    said = run(monkeypatch, site, "workspace", "verify")
    assert said.code == 20 and unreadable.name in said.out and vanished.name not in said.out, said
