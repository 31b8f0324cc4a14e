from __future__ import annotations

import io
import os
import struct
import time
import zipfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from medio.archives import HARMLESS_BYTES, MAX_MEMBERS
from medio.errors import MedioError
from medio.sources import Reader, files_below, is_archive, read_bytes, walk

DATA = b"DICM stands further on" * 20


def refused(path: Path) -> tuple[str, str]:
    """Outcome and reason with which a file is set aside."""
    with pytest.raises(MedioError) as caught:
        read_bytes(path)
    return str(caught.value.outcome), caught.value.reason


def archive(path: Path, *members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A ZIP archive of these members, names repeated as they come."""
    repeated = len({name for name, _ in members}) < len(members)
    with (
        pytest.warns(UserWarning) if repeated else nullcontext(),
        zipfile.ZipFile(path, "w", method) as opened,
    ):
        for name, data in members:
            opened.writestr(name, data)
    return path


def patched(path: Path, *changes: tuple[bytes, int, bytes]) -> Path:
    """The archive with bytes put `offset` after every occurrence of a mark."""
    data = bytearray(path.read_bytes())
    for mark, offset, new in changes:
        place = data.find(mark)
        while place >= 0:
            data[place + offset : place + offset + len(new)] = new
            place = data.find(mark, place + 1)
    path.write_bytes(data)
    return path


def test_members_keep_odd_names_apart(tmp_path: Path) -> None:
    """Repeated, dotted, foreign and exclaiming names: each member is listed once and read as itself."""
    members = [
        ("IM1", b"one"),
        ("IM1", b"two"),
        ("./sub//b", b"three"),
        ("bild ä ☃!/x", b"four"),
        ("d/", b""),
    ]
    folder = tmp_path / "why!"
    folder.mkdir()
    path = archive(folder / "a.zip", *members)
    found = list(walk([tmp_path]))
    assert [str(one).removeprefix(f"{path}!/") for one in found] == ["IM1", "IM1#2", "bild ä ☃!/x", "sub/b"]
    assert [read_bytes(one) for one in found] == [b"one", b"two", b"four", b"three"]


def test_names_in_the_old_code_page_are_read(tmp_path: Path) -> None:
    """Without the UTF-8 flag a name is code page 437."""
    path = archive(tmp_path / "a.zip", ("BILDx", DATA))
    path.write_bytes(path.read_bytes().replace(b"BILDx", b"BILD\x84"))
    (member,) = walk([path])
    assert member.name == "BILDä" and read_bytes(member) == DATA


def test_sizes_behind_the_data_and_64_bit_fields_are_read(tmp_path: Path) -> None:
    """Archives written to a pipe, and archives with ZIP64 records."""
    streamed = tmp_path / "streamed.zip"

    class Pipe(io.RawIOBase):
        def write(self, data: object) -> int:
            with streamed.open("ab") as stream:
                return stream.write(data)  # type: ignore[arg-type]  # bytes, as zipfile hands them

    with zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as opened:  # type: ignore[call-overload]
        opened.writestr("a", DATA)
    large = tmp_path / "large.zip"
    with zipfile.ZipFile(large, "w") as opened, opened.open("a", "w", force_zip64=True) as member:
        member.write(DATA)
    assert [read_bytes(member) for member in walk([streamed, large])] == [DATA, DATA]


def test_what_cannot_be_unpacked_is_unsupported_by_name(tmp_path: Path) -> None:
    """Encryption and other methods need something that is not here; the other members are read."""
    encrypted = archive(tmp_path / "encrypted.zip", ("a", DATA))
    patched(encrypted, (b"PK\x03\x04", 6, b"\x01\x00"), (b"PK\x01\x02", 8, b"\x01\x00"))
    deflate64 = archive(tmp_path / "deflate64.zip", ("a", DATA))
    patched(deflate64, (b"PK\x03\x04", 8, b"\x09\x00"), (b"PK\x01\x02", 10, b"\x09\x00"))
    other = archive(tmp_path / "lzma.zip", ("a", DATA), method=zipfile.ZIP_LZMA)
    found = [refused(member) for path in (encrypted, deflate64, other) for member in walk([path])]
    assert found == [("unsupported", f"archive-{why}") for why in ("encrypted", "method", "method")]


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x1f\x8b\x08" + bytes(200), "gzip"),
        (bytes(257) + b"ustar\x0000", "tar"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(200), "7z"),
        (b"Rar!\x1a\x07\x01\x00", "RAR"),
        (bytes(32769) + b"CD001\x01", "ISO 9660"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00\x00", "xz"),
    ],
)
def test_other_kinds_of_archive_are_named(tmp_path: Path, start: bytes, kind: str) -> None:
    """Valid, but somebody has to unpack it; the message says what it is."""
    (tmp_path / "a").write_bytes(start)
    with pytest.raises(MedioError, match=f"a {kind} archive") as caught:
        read_bytes(tmp_path / "a")
    assert (caught.value.outcome, caught.value.reason) == ("unsupported", "archive-kind")


def test_a_preamble_is_no_archive(tmp_path: Path) -> None:
    """The first 128 bytes of a DICOM file may hold anything, also the mark of an archive."""
    for mark in (b"PK\x03\x04", b"\x1f\x8b\x08", b"PK\x05\x06"):
        (tmp_path / "a").write_bytes(mark.ljust(128, b"\0") + b"DICM")
        assert not is_archive(tmp_path / "a") and read_bytes(tmp_path / "a")[128:] == b"DICM"


def test_an_empty_archive_is_one_file_with_a_reason(tmp_path: Path) -> None:
    """No file vanishes without a word, also one with folders only."""
    empty, folders = archive(tmp_path / "a.zip"), archive(tmp_path / "b.zip", ("d/", b""))
    assert list(walk([tmp_path])) == [empty, folders]
    assert refused(empty) == refused(folders) == ("rejected", "archive-empty")


def test_bombs_are_refused_by_their_directory(tmp_path: Path) -> None:
    """Too many members, too much inside, members over one another: refused before anything is unpacked."""
    crowd = tmp_path / "crowd.zip"
    with zipfile.ZipFile(crowd, "w") as opened:
        for number in range(MAX_MEMBERS + 1):
            opened.writestr(str(number), b"")
    giant = archive(tmp_path / "giant.zip", ("a", DATA))
    patched(giant, (b"PK\x01\x02", 24, struct.pack("<L", 0xFFFFFFF0)))
    overlap = archive(tmp_path / "overlap.zip", *((str(n), os.urandom(4096)) for n in range(9)))
    patched(overlap, (b"PK\x01\x02", 42, bytes(4)))
    endless = archive(tmp_path / "endless.zip", ("a", DATA))
    patched(endless, (b"PK\x05\x06", 12, struct.pack("<L", 0x7FFFFFFF)))
    started = time.monotonic()
    for path in (crowd, giant, overlap, endless):
        assert list(walk([path])) == [path]
        assert refused(path) == ("rejected", "archive-limits"), path.name
    assert time.monotonic() - started < 2


def test_one_dense_member_costs_only_itself(tmp_path: Path) -> None:
    """A blank image packs well: harmless up to a size, refused alone beyond it where the whole is no bomb."""
    blank, bomb, noise = bytes(HARMLESS_BYTES), bytes(HARMLESS_BYTES + 1), os.urandom(1 << 20)
    path = archive(tmp_path / "a.zip", ("blank", blank), ("bomb", bomb), ("noise", noise))
    first, second, third = walk([path])
    assert (read_bytes(first), read_bytes(third)) == (blank, noise)
    assert refused(second) == ("rejected", "archive-limits")


def test_damage_in_one_member_costs_only_itself(tmp_path: Path) -> None:
    """A wrong checksum, a stream that ends early and a wrong size are told from the rest."""
    path = archive(tmp_path / "a.zip", ("a", DATA), ("b", DATA + b"b"), ("c", DATA + b"c"))
    data = bytearray(path.read_bytes())
    second = data.find(b"PK\x03\x04", 1)
    data[second + 31 : second + 36] = b"\xff" * 5
    path.write_bytes(data)
    first, damaged, last = walk([path])
    assert (read_bytes(first), read_bytes(last)) == (DATA, DATA + b"c")
    assert refused(damaged) == ("rejected", "archive-damaged")
    sizes = archive(tmp_path / "s.zip", ("a", DATA))
    patched(sizes, (b"PK\x01\x02", 24, struct.pack("<L", len(DATA) + 9)))
    assert [refused(member) for member in walk([sizes])] == [("rejected", "archive-damaged")]


def test_an_archive_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members that come one after another do not parse the directory again."""
    path = archive(tmp_path / "a.zip", *((f"{n:03}", str(n).encode()) for n in range(50)))
    opened: list[object] = []
    open_zip = zipfile.ZipFile.__init__
    monkeypatch.setattr(
        zipfile.ZipFile, "__init__", lambda self, *a, **k: (opened.append(self), open_zip(self, *a, **k))[1]
    )
    with Reader() as reader:
        assert [reader.read(member) for member in reader.members(path)] == [
            str(n).encode() for n in range(50)
        ]
    assert len(opened) == 1


def test_names_that_are_no_text_are_listed_and_read(tmp_path: Path) -> None:
    """Old exports have file names in another character set than the system's."""
    name = b"r\xf6ntgen.dcm"
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(DATA)
    (found,) = walk([tmp_path])
    assert os.fsencode(found.name) == name and read_bytes(found) == DATA


def test_paths_that_overlap_give_each_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a file in it, and the same by another spelling; what lies behind a link is another place."""
    monkeypatch.chdir(tmp_path)
    for name in ("a/b/x", "a/y", "c/z"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(DATA)
    Path("a/link").symlink_to(Path("../c"))
    given = [Path("a/b"), Path("a"), tmp_path / "a" / "y", Path("a/../a/b/x"), Path("a/link/z"), Path("a/y")]
    found = list(files_below(given))
    assert ["a/b/x", "a/link", "a/link/z", "a/y"] == sorted(map(str, found))


def test_folders_are_listed_lazily_and_at_any_depth(tmp_path: Path) -> None:
    """The first file of many folders comes before the last folder is looked into."""
    deep = tmp_path / "a" / Path(*["d"] * 300)
    deep.mkdir(parents=True)
    (deep / "last").write_bytes(DATA)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "late").write_bytes(DATA)
    found = files_below([tmp_path])
    assert next(found) == deep / "last"
    (tmp_path / "b" / "late").unlink()
    assert list(found) == []
