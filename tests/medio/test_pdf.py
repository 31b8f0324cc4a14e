from __future__ import annotations

import io
import logging

import pytest
from pypdf import PdfReader

from medio.errors import MedioError
from medio.records import ReportSource
from medio.reports import pdf as reader
from medio.reports.pdf import looks_like_pdf, pdf_text, read_pdf
from tests.medio.documents import locked_pdf, pdf


def refused(data: bytes) -> str:
    """The reason code with which a PDF is refused."""
    with pytest.raises(MedioError) as caught:
        pdf_text(data)
    return caught.value.reason


def test_pages_are_read_in_order() -> None:
    """The text layer of every page, one after the other."""
    assert pdf_text(pdf("Findings: clear.", "Impression: normal.")) == "Findings: clear.\nImpression: normal."


def test_a_file_alone_has_no_handles() -> None:
    """Nothing in a PDF says reliably whose it is, so nothing is guessed."""
    found = read_pdf(pdf("Patient: 4711. Clear."))
    assert (found.source, found.text) == (ReportSource.PDF, "Patient: 4711. Clear.")
    assert (found.PatientID, found.StudyInstanceUID, found.AccessionNumber) == ("", "", "")


def test_a_header_may_come_late() -> None:
    """Some systems write a few bytes before the header."""
    data = b"\r\n\x00junk" + pdf("Clear.")
    assert looks_like_pdf(data)
    assert pdf_text(data) == "Clear."


def test_protection_without_a_password_is_no_obstacle() -> None:
    """A PDF that anyone can open is read; one that needs a password says so."""
    assert pdf_text(locked_pdf("Clear.", "")) == "Clear."
    assert refused(locked_pdf("Clear.", "secret")) == "pdf-encrypted"


@pytest.mark.parametrize("line", ["", "...", "\\001\\002\\003\\004 a", "\\(cid:12\\)\\(cid:13\\) a"])
def test_a_picture_of_a_page_has_no_text(line: str) -> None:
    """No layer, no words, or signs that are no letters: all are no text layer."""
    assert refused(pdf(line)) == "no-text-layer"


def test_damage_and_limits_have_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut files, too many pages and too much work are refused."""
    assert refused(b"%PDF-1.7\n") == "pdf-damaged"
    assert refused(pdf()) == "pdf-damaged"
    monkeypatch.setattr(reader, "MAX_PAGES", 1)
    assert refused(pdf("One", "Two")) == "pdf-limits"
    monkeypatch.setattr(reader, "MAX_SECONDS", -1.0)
    assert refused(pdf("One")) == "pdf-limits"
    monkeypatch.setattr(reader, "MAX_PDF_BYTES", 10)
    assert refused(pdf("One")) == "too-large"


def test_the_library_says_nothing_aloud(caplog: pytest.LogCaptureFixture) -> None:
    """pypdf's warnings may quote the file; they reach no handler, and logging is as before afterwards."""
    late = b"Jane Doe" + pdf("Clear.")
    PdfReader(io.BytesIO(late))
    assert caplog.records != []
    caplog.clear()
    before = logging.getLogger("pypdf").propagate
    assert pdf_text(late) == "Clear."
    assert caplog.records == []
    assert logging.getLogger("pypdf").propagate is before
    assert logging.getLogger("pypdf").handlers == []
