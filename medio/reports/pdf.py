"""PDF -> text of its text layer, page by page, with pypdf. A scan has none: that is said, not recognised."""

from __future__ import annotations

import hashlib
import io
import logging
import re
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from medio.dicom import wall
from medio.errors import EmptyReport, NotReadable, NotSupported
from medio.records import Report, ReportSource
from medio.reports.narrative import MAX_TEXT_BYTES, narrative, says_something

MAX_PDF_BYTES = 64 << 20
MAX_PAGES = 200
MAX_SECONDS = 20.0  # between pages; one page that takes longer is ended with its process
_ILLEGIBLE = 0.3  # share of signs that are no text, above which the layer is none
_UNMAPPED = re.compile(r"\(cid:\d{1,5}\)|(?:/[A-Za-z]{1,5}\d{1,5}){3}")  # glyphs without a character


def looks_like_pdf(data: bytes) -> bool:
    """Whether a PDF header stands in the first kilobyte (ISO 32000-1 Annex H, implementation note 13)."""
    return b"%PDF-" in data[:1024]


def read_pdf(data: bytes) -> Report:
    """Read a PDF file that came alone. It states no patient and no study, so its report has no handles.

    Raises:
        NotReadable, NotSupported, EmptyReport: as `pdf_text`.
    """
    return Report(
        content_digest=hashlib.sha256(data).hexdigest(),
        source=ReportSource.PDF,
        PatientID="",
        IssuerOfPatientID="",
        StudyInstanceUID="",
        AccessionNumber="",
        StudyDate="",
        text=pdf_text(data),
        status="unknown",
    )


def pdf_text(data: bytes) -> str:
    """The text layer in the order in which it was written, as an audit uses it.

    Raises:
        NotReadable: damaged, or beyond the limits of bytes, pages and time.
        NotSupported: it opens only with a password.
        EmptyReport: no text layer, or one of signs that are no letters.
    """
    if len(data) > MAX_PDF_BYTES:
        raise NotReadable("too-large", f"more than {MAX_PDF_BYTES} bytes")
    with wall("pdf-damaged"), _quiet():
        text = narrative(_pages(data))
    if not says_something(text) or not _legible(text):
        raise EmptyReport("no-text-layer", "a PDF whose pages are pictures")
    return text


def _pages(data: bytes) -> Iterator[str]:
    from pypdf import PdfReader  # only where there is a PDF

    ends = time.monotonic() + MAX_SECONDS
    reader = PdfReader(io.BytesIO(data))
    if not reader.is_encrypted and not reader.pages:
        raise NotReadable("pdf-damaged", "a PDF without pages")
    if reader.is_encrypted and not reader.decrypt(""):
        raise NotSupported("pdf-encrypted", "the PDF needs a password")
    if len(reader.pages) > MAX_PAGES:
        raise NotReadable("pdf-limits", f"more than {MAX_PAGES} pages")
    length = 0
    for page in reader.pages:
        text = page.extract_text()
        length += len(text)
        if length > MAX_TEXT_BYTES or time.monotonic() > ends:
            raise NotReadable("pdf-limits", "more text, or more work, than a report is")
        yield text


@contextmanager
def _quiet() -> Iterator[None]:
    """pypdf warns through logging, with words from the file; they belong nowhere."""
    logger = logging.getLogger("pypdf")
    nowhere, passed_on = logging.NullHandler(), logger.propagate
    logger.addHandler(nowhere)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = passed_on
        logger.removeHandler(nowhere)


def _legible(text: str) -> bool:
    """Whether most signs are letters, digits or punctuation: fonts without a table give garbage."""
    signs = [sign for sign in _UNMAPPED.sub("\ufffd" * 3, text) if not sign.isspace()]
    bad = sum(sign == "\ufffd" or unicodedata.category(sign)[0] == "C" for sign in signs)
    return bad <= _ILLEGIBLE * len(signs)
