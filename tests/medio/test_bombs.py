"""Small files that would become large, deep or endless: each is refused by name within the limits of a file.

Every file is read by a process of its own, whose peak of memory counts (SECURITY §6).
"""

from __future__ import annotations

import base64
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fuzzing.prison import Prison
from fuzzing.seeds import deflated, pdf

from tests.medio.objects import SC, dataset, image, oru, part10

SECONDS, MEMORY_BYTES = 10.0, 2 << 30  # as an ingest allows; each takes at most 2 s on a quiet machine
ENDLESS = 0xFFFFFFFF
PLAIN = part10(dataset(SC))
ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, ENDLESS)
SEQUENCE = struct.pack("<HH4sL", 0x0040, 0xA730, b"SQ\0\0", ENDLESS)


def element(group: int, number: int, vr: bytes, length: int) -> bytes:
    """The head of an element with a four-byte length."""
    return struct.pack("<HH2sHL", group, number, vr, 0, length)


def giant(**attributes: int) -> bytes:
    """An image whose header promises more than there is."""
    ds = image(np.zeros((8, 8), np.uint16))
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return part10(ds)


def packed(megabytes: int) -> bytes:
    """Zeros, deflated a thousand times."""
    packer = zlib.compressobj(9, wbits=-15)
    one = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)  # which refers to nothing before
    return one * megabytes + packer.flush()


def pdf_bomb() -> bytes:
    """A page whose stream inflates to a gigabyte."""
    stream = zlib.compress(b"")
    whole = pdf("x")
    start, end = whole.find(b"stream\n") + 7, whole.find(b"\nendstream")
    bomb = b"\x78\xda" + packed(1024) + stream[-4:]
    return whole[:start] + bomb + whole[end:]


def nested_pages(depth: int) -> bytes:
    """A page tree that never comes to a page."""
    kids = b"".join(
        b"%d 0 obj\n<< /Kids [%d 0 R] /Count 9 >>\nendobj\n" % (n, n + 1) for n in range(2, depth)
    )
    return (
        b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
        + kids
        + b"trailer\n<< /Root 1 0 R >>\n"
    )


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "deflate": (lambda: deflated(PLAIN, packed(4096)), ""),
    "nested-sequences": (lambda: PLAIN + (SEQUENCE + ITEM) * 100_000, ""),
    "open-items": (lambda: PLAIN + element(0x0040, 0xA730, b"SQ", 8 * 500_000) + ITEM * 500_000, ""),
    "open-items-without-length": (lambda: PLAIN + SEQUENCE + ITEM * 500_000, ""),
    "many-items": (
        lambda: (
            PLAIN
            + element(0x0040, 0xA730, b"SQ", 8 << 20)
            + struct.pack("<HHL", 0xFFFE, 0xE000, 0) * (1 << 20)
        ),
        "",
    ),
    "endless-text": (lambda: PLAIN + element(0x0040, 0xA160, b"UT", ENDLESS), ""),
    "endless-pixels": (lambda: PLAIN + element(0x7FE0, 0x0010, b"OW", ENDLESS), ""),
    "huge-length": (lambda: PLAIN + element(0x7FE0, 0x0010, b"OW", 0xFFFFFFFE), ""),
    "giant-frame": (lambda: giant(Rows=65535, Columns=65535), ""),
    "giant-frames": (lambda: giant(NumberOfFrames=2_147_483_647), ""),
    "zip-in-fhir": (
        lambda: json.dumps(
            {
                "resourceType": "DiagnosticReport",
                "status": "final",
                "code": {"text": "CT"},
                "presentedForm": [
                    {"contentType": "application/pdf", "data": base64.b64encode(pdf_bomb()).decode()}
                ],
            }
        ).encode(),
        ".json",
    ),
    "pdf-stream": (pdf_bomb, ".pdf"),
    "pdf-pages": (lambda: nested_pages(20_000), ".pdf"),
    "json-depth": (lambda: b'{"resourceType":' + b"[" * 1_000_000, ".json"),
    "json-number": (lambda: b'{"resourceType":"DiagnosticReport","a":' + b"9" * (1 << 20) + b"}", ".json"),
    "markup-depth": (
        lambda: (
            b'{"resourceType":"DiagnosticReport","status":"final","text":{"div":"'
            + b"<div>" * 200_000
            + b'"}}'
        ),
        ".json",
    ),
    "csv-field": (lambda: b"patient_id,report\nP1," + b"A" * (80 << 20), ".csv"),
    "csv-columns": (lambda: b"patient_id,report" + b"," * (8 << 20) + b"\n", ".csv"),
    "hl7-fields": (lambda: oru("OBR|1", "OBX|1|TX|||" + "~" * (8 << 20)), ".hl7"),
    "hl7-escapes": (lambda: oru("OBR|1", "OBX|1|TX|||" + "\\X" * (4 << 20)), ".hl7"),
    "hl7-giant": (lambda: oru("OBR|1", "OBX|1|TX|||" + "A" * (80 << 20)), ".hl7"),
}
"""How each is made, by name, and its ending."""


@pytest.fixture(scope="module")
def prison() -> Iterator[Prison]:
    """One reading process for all."""
    with Prison("content", SECONDS, MEMORY_BYTES) as opened:
        yield opened


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_in_time(prison: Prison, name: str) -> None:
    """Refused, or taken in without its contents; never beyond the time and memory of one file."""
    make, ending = BOMBS[name]
    verdict = prison.read(make(), ending)
    assert verdict.end == "refused" or verdict.what in ("empty_report empty-report", "document no-pixels"), (
        verdict
    )


@pytest.mark.parametrize("layers", [1, 6])
def test_archives_of_zeros_are_refused_in_time(tmp_path: Path, layers: int) -> None:
    """As the well-known 42.zip: archives in archives, each a thousand times its size."""
    data = bytes(1 << 24)
    for _ in range(layers):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(1 if layers == 1 else 8):
                archive.writestr(str(number), data)
        data = buffer.getvalue()
    with Prison("archive", SECONDS, MEMORY_BYTES) as prison:
        verdict = prison.read(data, ".zip")
    assert verdict.end == "refused" and verdict.what in ("archive-limits", "archive-nested"), verdict
