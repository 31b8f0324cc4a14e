"""The verdict page as PDF/A, where WeasyPrint and the system's Pango are; elsewhere it is said to be absent.

Imported lazily: it costs a second, and most commands never need it. Nothing is fetched: the page names no
outside resource, and whatever would be asked for, from a file or a network, is refused. The same page in the
same fonts gives the same bytes.
"""

from __future__ import annotations

from hashlib import sha256
from importlib import import_module
from typing import Any, Final

from appliance.words.table import tell

VARIANT: Final = "pdf/a-3a"
_PAPER: Final = "@page{size:A4}"


def absent() -> str:
    """Why no PDF can be made on this machine, as a sentence; "" where one can."""
    try:
        import_module("weasyprint")
    except ImportError:
        return tell("pack.no_pdf.weasyprint")
    except OSError:  # its libraries are loaded by name
        return tell("pack.no_pdf.pango")
    return ""


def rendered(page: str) -> bytes | None:
    """A page as PDF/A-3a; None where `absent` says why."""
    if absent():
        return None
    document = _laid_out(page, pdf_variant=VARIANT)
    made: bytes = document.write_pdf(pdf_variant=VARIANT, pdf_identifier=sha256(page.encode()).digest()[:16])
    return made


def sheets(page: str, paper: str = "A4") -> int:
    """How many sheets of `paper` ("A4", "Letter") a page takes; only where `absent` says nothing."""
    return len(_laid_out(page, f"@page{{size:{paper}}}").pages)


def _laid_out(page: str, paper: str = _PAPER, **options: Any) -> Any:
    weasyprint = import_module("weasyprint")
    refusing = import_module("weasyprint.urls").URLFetcher(allowed_protocols=())
    source = weasyprint.HTML(string=page, url_fetcher=refusing)
    sheet = weasyprint.CSS(string=paper, url_fetcher=refusing)
    return source.render(stylesheets=[sheet], **options)
