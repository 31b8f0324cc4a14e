from __future__ import annotations

import base64
import gzip

import pytest

from medio.errors import MedioError
from medio.reports import attachment
from medio.reports.attachment import document_text, from_base64
from medio.reports.cda import cda_text, parse_cda
from tests.medio.documents import cda, pdf


@pytest.mark.parametrize(
    ("data", "stated", "words"),
    [
        (pdf("Clear."), "", "Clear."),
        (pdf("Clear."), "text/plain", "Clear."),
        (b"<html><head><title>x</title></head><body><p>Clear.</p></body></html>", "", "Clear."),
        (b"<p>Clear.</p>", "text/html; charset=utf-8", "Clear."),
        (b"Lungs:  clear.\r\n\r\n", "text/plain", "Lungs:  clear."),
        (gzip.compress(b"Clear.", mtime=0), "text/plain", "Clear."),
        ("Größe".encode("utf-16"), "", "Größe"),
        (cda(("Findings", "Clear."), ("Impression", "Normal.")), "", "Findings: Clear.\nImpression: Normal."),
    ],
)
def test_the_content_decides(data: bytes, stated: str, words: str) -> None:
    """A stated type is a hint; what the bytes are counts more."""
    assert document_text(data, stated) == words


@pytest.mark.parametrize(
    ("data", "stated", "reason"),
    [
        (b"{\\rtf1 Clear.}", "", "rtf"),
        (b"Clear.", "text/rtf", "rtf"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "", "attachment-type"),
        (b"GIF89a", "image/gif", "attachment-type"),
        (b"<?xml version='1.0'?><other/>", "text/xml", "xml"),
        (b"Clear.", "application/pdf", "pdf-damaged"),
        (b"...", "text/plain", "empty-report"),
        (pdf(""), "", "no-text-layer"),
        (gzip.compress(b"Clear.", mtime=0)[:-9], "", "attachment-damaged"),
        (b"\x1f\x8bno gzip", "", "attachment-damaged"),
        (b"<?xml version='1.0'?><!DOCTYPE x><ClinicalDocument/>", "", "xml-doctype"),
        (b"<ClinicalDocument>", "", "xml-damaged"),
    ],
)
def test_what_gives_no_words_says_why(data: bytes, stated: str, reason: str) -> None:
    """Every other document has a reason of its own."""
    with pytest.raises(MedioError) as caught:
        document_text(data, stated)
    assert caught.value.reason == reason


def test_a_bomb_stops_at_the_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inflating ends at the limit, whatever the compressed size."""
    monkeypatch.setattr(attachment, "MAX_DOCUMENT_BYTES", 1000)
    with pytest.raises(MedioError) as caught:
        document_text(gzip.compress(b"a" * 1001, mtime=0))
    assert caught.value.reason == "attachment-damaged"


def test_base64_forgives_white_space_and_padding_alone() -> None:
    """Lines and a missing end are common; other letters mean damage."""
    assert from_base64("Q2xl\r\n YXIu") == b"Clear."
    assert from_base64("Q2xlYXI") == b"Clear"
    for damaged in ("Q2xl...", "Q2x-", "QQQQQ"):
        with pytest.raises(MedioError) as caught:
            from_base64(damaged)
        assert caught.value.reason == "attachment-damaged"


def test_sections_of_a_clinical_document() -> None:
    """Titles stand before their sections; tables and paragraphs are lines; sections may nest."""
    table = "<table><tr><td>Spine</td><td>normal</td></tr></table><paragraph>Heart.</paragraph>"
    text = sections(("Findings", table), ("Impression", "None."))
    assert text == "Findings: Spine normal\nHeart.\nImpression: None."
    nested = "</text><component><section><title>Lungs</title><text>Clear.</text></section></component><text>"
    assert "Lungs: Clear." in sections(("Findings", f"See below.{nested}"))


def test_a_clinical_document_may_enclose_another_but_once() -> None:
    """A PDF or text in a CDA without sections is read; a CDA in a CDA is no way to nest without end."""
    assert document_text(enclosing(pdf("Clear."))) == "Clear."
    assert document_text(PLAIN_INSIDE) == "Clear & dry."
    with pytest.raises(MedioError) as caught:
        document_text(enclosing(enclosing(pdf("Clear."))))
    assert caught.value.reason == "xml"


PLAIN_INSIDE = (
    b'<ClinicalDocument xmlns="urn:hl7-org:v3"><component><nonXMLBody><text mediaType="text/plain">'
    b"Clear &amp; dry.</text></nonXMLBody></component></ClinicalDocument>"
)


def enclosing(document: bytes) -> bytes:
    """A CDA without sections that encloses a document."""
    return (
        b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><component><nonXMLBody>'
        b'<text representation="B64">' + base64.b64encode(document) + b"</text>"
        b"</nonXMLBody></component></ClinicalDocument>"
    )


def sections(*found: tuple[str, str]) -> str:
    """The text of a CDA with these sections."""
    return cda_text(parse_cda(cda(*found).decode()))
