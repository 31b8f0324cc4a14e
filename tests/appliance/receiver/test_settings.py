"""The receiver's file: strict, and what it says of certificates is checked before anybody listens."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.receiver.checking import checked, fingerprint
from appliance.receiver.settings import Limits, read
from tests.appliance.receiver.case import Site


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("settings"))


def test_it_is_read(made: Site) -> None:
    """What stands there is what is used; the rest is as documented."""
    settings = read(made.file)
    assert settings.limits == Limits(complete_s=1) and settings.ae_title == "GRADAUDIT"
    (peer,) = settings.peers.values()
    assert (peer.name, peer.ae_title, peer.hl7, peer.fingerprint) == (
        "pacs",
        "PACS",
        True,
        made.peer.fingerprint,
    )
    view = checked(made.file)
    assert view.fingerprint == made.own.fingerprint == fingerprint(made.own.certificate)
    assert view.peers[0].sends == "DICOM as PACS and HL7"


CHANGES = [
    ("[dicom]", "[dicom]\ntls = false"),
    ("[dicom]", "[dicon]"),
    ('"127.0.0.1:0"\nae', '"localhost:0"\nae'),
    ('"127.0.0.1:0"\nae', '"127.0.0.1"\nae'),
    ('"127.0.0.1:0"\nae', '"127.0.0.1:70000"\nae'),
    ('"GRADAUDIT"', '"SEVENTEEN LETTERS"'),
    ('"GRADAUDIT"', '"A\\\\B"'),
    ('"GRADAUDIT"', "7"),
    ("complete_s = 1", "complete_s = 0"),
    ("complete_s = 1", "complete_s = true"),
    ("complete_s = 1", "complete_s = 1.5"),
    ("complete_s = 1", "forever = 1"),
    ('name = "pacs"', 'name = "Dr. Smith"'),
    ("hl7 = true", 'hl7 = "yes"'),
    ('certificate_sha256 = "', 'certificate_sha256 = "00'),
    ("[[peer]]", "[peer]"),
    ('key = "pki/receiver.key"\n', ""),
    ("[receiver]", "[receiver"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_what_is_not_known_is_refused(made: Site, tmp_path: Path, old: str, new: str) -> None:
    """Each with a word that says where."""
    text = made.file.read_text()
    assert old in text
    (tmp_path / "receiver.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(UsageError, match=r"receiver|peer|listen"):
        read(tmp_path / "receiver.toml")


def test_two_peers_are_two(made: Site, tmp_path: Path) -> None:
    """Neither a certificate nor an AE title stands for two."""
    text = made.file.read_text()
    peer = text[text.index("[[peer]]") :]
    for again in (peer, peer.replace('"pacs"', '"other"').replace(made.peer.fingerprint, "0" * 64)):
        (tmp_path / "receiver.toml").write_text(text + again)
        with pytest.raises(UsageError, match="two peers"):
            read(tmp_path / "receiver.toml")


@pytest.mark.parametrize("name", ["file", "certificate", "authorities"])
def test_what_others_may_have_written(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the file, by its folder, or since it is theirs: nothing that it says is believed."""
    site = Site(tmp_path)
    path = getattr(read(site.file), name)
    for mode in (0o666, 0o664):
        path.chmod(mode)
        with pytest.raises(UsageError, match=f"may write to the receiver's {name}"):
            checked(site.file)
    path.chmod(0o644)
    for mode in (0o777, 0o775):
        path.parent.chmod(mode)
        with pytest.raises(UsageError, match="may replace the receiver's"):
            checked(site.file)
    path.parent.chmod(0o755)
    checked(site.file)
    owner = path.stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    if owner:
        with pytest.raises(UsageError, match="belongs to another account"):
            checked(site.file)
        return
    path.chmod(0o644)
    os.chown(path, 12345, -1)
    with pytest.raises(UsageError, match=f"receiver's {name} belongs to another account"):
        checked(site.file)


def test_what_is_no_plain_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A pipe in the place of the file or of a certificate, and a file that would have to be cut."""
    site = Site(tmp_path)
    whole = site.file.read_text()
    site.file.write_text(whole + "#" * (1 << 20))
    with pytest.raises(UsageError, match="file cannot be read: File too large"):
        read(site.file)
    site.file.write_text(whole)
    for name, path in (("certificate", site.own.certificate), ("file", site.file)):
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(UsageError, match=f"receiver's {name} cannot be read: it is no plain file"):
            checked(site.file)


def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    """A key that others may read, one of another certificate, one that is no key."""
    site = Site(tmp_path)
    site.own.key.chmod(0o644)
    with pytest.raises(UsageError, match="other accounts"):
        checked(site.file)
    site.own.key.chmod(0o600)
    given = {site.peer.key.read_text(): "of another certificate", "no key": "not PEM", "": "not PEM"}
    for text, why in given.items():
        site.own.key.write_text(text)
        with pytest.raises(UsageError, match=why):
            checked(site.file)
    site.own.key.unlink()
    with pytest.raises(UsageError, match="key cannot be read: No such file"):
        checked(site.file)
