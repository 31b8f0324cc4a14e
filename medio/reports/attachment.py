"""The words of a document inside another: HL7 v2 ED, FHIR Attachment, DICOM Encapsulated Document."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from xml.etree.ElementTree import Element

from medio.errors import EmptyReport, NotReadable, NotSupported
from medio.reports.cda import cda_text, enclosed, looks_like_cda, parse_cda
from medio.reports.markup import markup_text
from medio.reports.narrative import decoded, narrative, says_something
from medio.reports.pdf import looks_like_pdf, pdf_text

MAX_DOCUMENT_BYTES = 64 << 20
_PICTURES = ("image/", "audio/", "video/", "model/", "application/dicom", "application/octet-stream")


def from_base64(text: str) -> bytes:
    """Bytes of a Base64 value, white space and missing padding forgiven, all else not.

    Raises:
        NotReadable: other letters than Base64 has.
    """
    letters = re.sub(r"\s+", "", text)
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotReadable("attachment-damaged", "an attached document that is no Base64") from error


def document_text(data: bytes, media_type: str = "", *, inside: bool = False) -> str:
    """The text of an attached document; its content decides what it is before the stated type does.

    Args:
        data: decoded bytes of a PDF, HTML, CDA or text document, also compressed with gzip.
        media_type: as stated, such as `text/plain`; may be empty.
        inside: these bytes were enclosed in a CDA, which may not enclose another.

    Raises:
        NotReadable: damaged, or beyond the limits.
        NotSupported: RTF, pictures and other formats, named in the reason.
        EmptyReport: no words in it.
    """
    if data.startswith(b"\x1f\x8b"):
        data = _unpacked(data)
    stated = media_type.partition(";")[0].strip().lower()
    if looks_like_pdf(data):
        return pdf_text(data)
    if stated.endswith("pdf"):
        raise NotReadable("pdf-damaged", "an attached document that is not the PDF it claims to be")
    if data.lstrip().startswith(b"{\\rtf") or stated in ("text/rtf", "application/rtf"):
        raise NotSupported("rtf", "documents in Rich Text Format are not read")
    text = decoded(data)
    if stated.startswith(_PICTURES) or "\0" in text:
        raise NotSupported("attachment-type", "an attached document that is no text")
    if looks_like_cda(text) and not inside:
        found = clinical_text(parse_cda(text))
    elif "html" in stated or re.match(r"\s*<(!doctype html|html|div|p|body)\b", text, re.IGNORECASE):
        found = markup_text(text)
    elif text.lstrip().startswith("<?xml"):
        raise NotSupported("xml", "XML documents other than CDA are not read")
    else:
        found = text
    found = narrative([found])
    if not says_something(found):
        raise EmptyReport("empty-report", "no words in the attached document")
    return found


def clinical_text(document: Element) -> str:
    """The sections of a CDA, or the words of the one document it encloses.

    Raises:
        NotReadable, NotSupported, EmptyReport: as `document_text`.
    """
    sent = enclosed(document)
    if sent is None:
        return cda_text(document)
    body, media_type, coded = sent
    return document_text(from_base64(body) if coded else body.encode(), media_type, inside=True)


def _unpacked(data: bytes) -> bytes:
    """Inflate gzip with a ceiling."""
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = stream.decompress(data, MAX_DOCUMENT_BYTES)
    except zlib.error as error:
        raise NotReadable("attachment-damaged", "a compressed document that is damaged") from error
    if not stream.eof:
        raise NotReadable("attachment-damaged", "a compressed document that is cut short or too large")
    return plain
