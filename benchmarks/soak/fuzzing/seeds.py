"""Healthy files to damage: generated ones, and those of the corpus where there is one."""

from __future__ import annotations

import base64
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tests.medio.objects import content, dataset, image, jpeg_image, oru, part10, structured_report

LARGEST = 300_000  # bytes; damage in small files meets more code
_NUMBERS = np.random.default_rng(1)


@dataclass(frozen=True, slots=True)
class Seed:
    """One healthy file.

    Attributes:
        ending: of its name, in lower case: tells whether free text is a report.
    """

    name: str
    data: bytes
    ending: str = ""


def seeds(kind: str, corpus: Path | None) -> list[Seed]:
    """All seeds of a kind, `dicom`, `reports` or `archives`, in a fixed order."""
    made = {"dicom": _dicom, "reports": _reports, "archives": _archives}[kind]()
    found = [] if corpus is None or kind == "archives" else list(_files(corpus / kind / "."))
    return [*made, *found]


def _files(folder: Path) -> Iterator[Seed]:
    """The corpus; what is meant to be refused is among it: damage may make it readable."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".csv" and 0 < path.stat().st_size <= LARGEST:
            yield Seed(str(path.relative_to(folder)), path.read_bytes(), path.suffix.lower())


def _dicom() -> list[Seed]:
    grey = _NUMBERS.integers(0, 4096, (65, 67)).astype(np.uint16)
    signed = (grey.astype(np.int32) - 2048).astype(np.int16)
    colour = _NUMBERS.integers(0, 256, (16, 18, 3)).astype(np.uint8)
    found = {
        "grey": image(grey, BitsStored=12, WindowCenter=1000, WindowWidth=400),
        "signed": image(signed, RescaleSlope=2, RescaleIntercept=-5),
        "colour": image(colour, "RGB"),
        "frames": image(np.stack([grey] * 5), NumberOfFrames=5),
        "jpeg": jpeg_image(colour),
        "report": structured_report([content("TEXT", "Finding", TextValue="Clear."), _container(30)]),
        "directory": _directory(),
    }
    found["implicit"] = image(grey, syntax=ImplicitVRLittleEndian)
    for name, codec in {"rle": RLELossless, "jls": JPEGLSLossless, "j2k": JPEG2000Lossless}.items():
        found[name] = image(grey)
        found[name].compress(codec)
    made = [Seed(f"made/{name}", part10(one)) for name, one in found.items()]
    big = io.BytesIO()
    dcmwrite(big, image(grey.byteswap(), syntax=ExplicitVRBigEndian), implicit_vr=False, little_endian=False)
    return [*made, Seed("made/big", big.getvalue()), Seed("made/deflated", deflated(part10(image(grey))))]


def _container(depth: int) -> Dataset:
    inner = [_container(depth - 1)] if depth else [content("TEXT", "Impression", TextValue="None.")]
    return content("CONTAINER", "Section", ContentSequence=inner)


def _directory() -> Dataset:
    ds = dataset("1.2.840.10008.1.3.10")
    ds.DirectoryRecordSequence = []
    for number in range(9):
        record = Dataset()
        record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", ["A", f"IM{number}"]
        ds.DirectoryRecordSequence.append(record)
    return ds


def deflated(plain: bytes, packed: bytes = b"") -> bytes:
    """An explicit little endian file in the deflated syntax; with this as its deflated part when given."""
    syntax = plain.find(b"1.2.840.10008.1.2.1\0")
    name = b"1.2.840.10008.1.2.1.99"
    head = plain[: syntax - 2] + len(name).to_bytes(2, "little") + name
    size = 144 + int.from_bytes(plain[140:144], "little")
    packer = zlib.compressobj(wbits=-15)
    return head + plain[syntax + 20 : size] + (packed or packer.compress(plain[size:]) + packer.flush())


def _reports() -> list[Seed]:
    message = oru(
        "OBR|1|P1|A1|1^CHEST^L|||20240101||||||||||||||||RAD|F", "OBX|1|TX|2^Findings||No \\T\\ clear.||||||F"
    )
    batch = b"FHS|^~\\&\rBHS|^~\\&\r" + message * 3 + b"BTS|3\rFTS|1\r"
    page = pdf("No acute finding.")
    resource = {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "status": "final",
        "code": {"text": "CT chest", "coding": [{"system": "http://loinc.org", "code": "24627-2"}]},
        "category": [{"coding": [{"code": "RAD"}]}],
        "subject": {"reference": "#p"},
        "contained": [{"resourceType": "Patient", "id": "p", "identifier": [{"value": "PAT1"}]}],
        "text": {"status": "generated", "div": "<div><p>Clear &amp; <b>free</b>.</p></div>"},
        "conclusion": "No acute finding.",
        "presentedForm": [{"contentType": "application/pdf", "data": base64.b64encode(page).decode()}],
    }
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}] * 3}
    table = (
        b'patient_id,accession,date,report\nP1,A1,20240101,"Clear, both sides."\nP2,A2,20240102,Effusion.\n'
    )
    plain = b"PatientID: P1\nAccessionNumber: A1\n\nNo acute finding.\n"
    embedded = oru(
        "OBR|1|P1|A1|1^CT^L", "OBX|1|ED|PDF||^application^pdf^Base64^" + base64.b64encode(page).decode()
    )
    return [
        *(
            Seed("made/oru", message, ".hl7"),
            Seed("made/batch", batch, ".hl7"),
            Seed("made/pdf-in-oru", embedded),
        ),
        *(Seed("made/mllp", b"\x0b" + message + b"\x1c\r", ".hl7"), Seed("made/pdf", page, ".pdf")),
        *(Seed("made/fhir", json.dumps(resource).encode(), ".json"), Seed("made/table", table, ".csv")),
        *(Seed("made/bundle", json.dumps(bundle).encode(), ".json"), Seed("made/plain", plain, ".txt")),
        Seed("made/ndjson", (json.dumps(resource) + "\n").encode() * 3, ".ndjson"),
    ]


def pdf(text: str) -> bytes:
    """One page of one line, its stream deflated."""
    stream = zlib.compress(f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode())
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> "
        b"/MediaBox [0 0 612 792] >>",
        b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    )
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + table + b"trailer\n<< /Size 6 /Root 1 0 R >>\n"
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def _archives() -> list[Seed]:
    members = {
        "a.dcm": part10(image(np.zeros((8, 8), np.uint8))),
        "b/c.txt": b"Clear.",
        "b/ä.hl7": oru("OBR|1|P|A"),
    }
    found = []
    for name, method in {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}.items():
        for zip64 in (False, True):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", method) as archive:
                for member, data in members.items():
                    with archive.open(member, "w", force_zip64=zip64) as stream:
                        stream.write(data)
            found.append(Seed(f"made/{name}{'64' * zip64}.zip", buffer.getvalue(), ".zip"))
    return found
