"""Small documents made by hand: PDF, CDA and FHIR, so that every test knows the right words."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

from pypdf import PdfReader, PdfWriter

RADIOLOGY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}
LABORATORY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "LAB"}]}


def pdf(*pages: str) -> bytes:
    """A PDF with one line of text a page; an empty line gives a page without text, as a scan has."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for line in pages:
        shown = f"BT /F1 12 Tf 72 720 Td ({line}) Tj ET" if line else "0 0 m 9 9 l S"
        objects.append(f"<</Length {len(shown)}>>stream\n{shown}\nendstream".encode())
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>"
            b"/Contents %d 0 R>>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(kids), b" ".join(kids))
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj" % number + body + b"endobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)
    return bytes(out)


def locked_pdf(line: str, password: str) -> bytes:
    """The same, encrypted; an empty password is the usual protection against copying."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(line))))
    writer.encrypt(password, "owner", algorithm="AES-256")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def cda(*sections: tuple[str, str], head: str = "") -> bytes:
    """A CDA document with these sections of title and narrative block."""
    body = "".join(
        f"<component><section><title>{title}</title><text>{text}</text></section></component>"
        for title, text in sections
    )
    return (
        '<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3">'
        f"{head}<component><structuredBody>{body}</structuredBody></component></ClinicalDocument>"
    ).encode()


def attachment(data: bytes, kind: str) -> dict[str, str]:
    """A FHIR Attachment."""
    return {"contentType": kind, "data": base64.b64encode(data).decode()}


def resource(kind: str, **elements: Any) -> dict[str, Any]:
    """A FHIR resource of this type."""
    return {"resourceType": kind, **elements}


def diagnostic_report(**elements: Any) -> dict[str, Any]:
    """A final imaging report, valid in R4; None takes an element away."""
    facts = {
        "id": "r1",
        "status": "final",
        "category": [RADIOLOGY],
        "code": {"text": "CT of the chest"},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2024-01-02T10:00:00Z",
        "issued": "2024-01-02T12:30:00Z",
    }
    return resource("DiagnosticReport", **{k: v for k, v in (facts | elements).items() if v is not None})


def bundle(*resources: dict[str, Any], kind: str = "collection") -> dict[str, Any]:
    """A Bundle of these resources, each known by a URL of its server."""
    entries = [
        {"fullUrl": f"http://server/fhir/{one['resourceType']}/{one.get('id', n)}", "resource": one}
        for n, one in enumerate(resources)
    ]
    return resource("Bundle", type=kind, entry=entries)


def as_json(*resources: dict[str, Any]) -> bytes:
    """One resource a line."""
    return "\n".join(json.dumps(one) for one in resources).encode()
