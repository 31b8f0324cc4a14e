"""The verdict as PDF/A: one sheet whatever it says, all inside it, the same bytes, nothing fetched."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pypdf
import pytest

from appliance.evidence import verify_evidence as checked
from appliance.pack import building
from appliance.pack.pages import members as made
from appliance.pack.pages import pdf
from appliance.pack.pages.page import verdict_page
from appliance.views import VerdictWord
from tests.appliance import evidence_case
from tests.appliance.pack.page_case import facts, longest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def able() -> None:
    """Most of this needs WeasyPrint and Pango."""
    if pdf.absent():
        pytest.skip("not shown: needs WeasyPrint and Pango")


@pytest.mark.parametrize("word", list(VerdictWord))
def test_the_longest_verdict_is_one_sheet(word: VerdictWord) -> None:
    """Letter is the shorter paper, A4 the narrower one."""
    page = verdict_page(longest(word), facts("The University Hospital of a long name in a long town " * 3))
    papers = ("A4", "Letter") if word is VerdictWord.INCONCLUSIVE else ("Letter",)
    assert dict.fromkeys(papers, 1) == {paper: pdf.sheets(page, paper) for paper in papers}


def test_an_ordinary_verdict_is_one_sheet_and_two_would_be_seen() -> None:
    """Of the shipped kind, on both papers; a page twice as long is two."""
    page = verdict_page(evidence_case.view(), facts())
    assert [1, 1] == [pdf.sheets(page, paper) for paper in ("A4", "Letter")]
    main = page[page.index("<main>") : page.index("</main>")]
    assert pdf.sheets(page.replace("</main>", f"{main}</main>"), "A4") == 2


@pytest.fixture(scope="module")
def paper(members: Mapping[str, bytes]) -> pypdf.PdfReader:
    """The PDF of the pack."""
    return pypdf.PdfReader(io.BytesIO(members["verdict.pdf"]))


def test_it_says_that_it_is_pdf_a(paper: pypdf.PdfReader) -> None:
    """PDF/A-3a by its metadata; an output intent with a colour profile; tagged, with language and title."""
    metadata = paper.root_object["/Metadata"].get_object().get_data().decode()  # type: ignore[union-attr]
    assert "part" in metadata and ">3<" in metadata.replace('"', ">").replace("part=>3>", ">3<")
    assert "conformance" in metadata and ">A<" in metadata.replace('"', ">").replace("conformance=>A>", ">A<")
    root: Any = paper.root_object
    assert root["/MarkInfo"]["/Marked"] and "/StructTreeRoot" in root
    assert str(root["/Lang"]) == "en"
    (intent,) = root["/OutputIntents"]
    assert len(intent.get_object()["/DestOutputProfile"].get_object().get_data()) > 100
    assert paper.metadata is not None and paper.metadata.title == "FAIL: lumen-vlm"


def test_every_font_is_inside(paper: pypdf.PdfReader) -> None:
    """No letter depends on the machine that opens it."""
    fonts: dict[str, bool] = {}
    for page in paper.pages:
        for name, font in page["/Resources"]["/Font"].items():  # type: ignore[index]
            held = font.get_object()
            for kind in held.get("/DescendantFonts", [held]):
                described = kind.get_object()["/FontDescriptor"].get_object()
                fonts[name] = any(f"/FontFile{number}" in described for number in ("", "2", "3"))
    assert fonts and all(fonts.values())


def test_it_reads_as_the_page_reads(paper: pypdf.PdfReader) -> None:
    """Verdict, count, what is not proven, and the key's words are text in it, on one sheet."""
    assert len(paper.pages) == 1
    words = " ".join(paper.pages[0].extract_text().split())
    for told in ("FAIL", "21 of 46 patients flagged as exposed", "It does not prove", "not legal advice"):
        assert told in words


def test_same_page_same_bytes_in_another_process(tmp_path: Path) -> None:
    """Neither time nor process is in it."""
    page = verdict_page(evidence_case.view(), facts())
    first = pdf.rendered(page)
    assert first is not None
    (tmp_path / "page.html").write_text(page)
    code = (
        "import hashlib, pathlib, sys; from appliance.pack.pages import pdf;"
        "print(hashlib.sha256(pdf.rendered(pathlib.Path(sys.argv[1]).read_text())).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "page.html"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.strip() == hashlib.sha256(first).hexdigest()


def test_nothing_is_fetched(tmp_path: Path) -> None:
    """A drawing that a page names is not in its PDF; the library left to itself would have taken it."""
    secret = tmp_path / "secret.svg"
    secret.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="200" height="40"><text y="20">SECRET</text></svg>'
    )
    page = (
        f'<!DOCTYPE html><html lang="en"><title>t</title><p>shown<img src="{secret.as_uri()}" alt=""></html>'
    )
    words = []
    for made_of in (pdf.rendered(page), import_module("weasyprint").HTML(string=page).write_pdf()):
        assert made_of is not None
        words.append(pypdf.PdfReader(io.BytesIO(made_of)).pages[0].extract_text())
    assert ["SECRET" in said for said in words] == [False, True]


@pytest.mark.parametrize(("error", "named"), [(ImportError, "WeasyPrint is not"), (OSError, "Pango is not")])
def test_without_it_the_pack_says_so(
    error: type[Exception], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No verdict.pdf, a README that says why, and a pack that verifies."""

    def missing(name: str) -> None:
        raise error(name)

    monkeypatch.setattr(pdf, "import_module", missing)
    made._paper.cache_clear()
    log, given = evidence_case.closed_audit(tmp_path / "log")
    members = checked.split_zip(building.build(log, given))[0]
    made._paper.cache_clear()
    readme = members["README.txt"].decode()
    assert "verdict.pdf" not in members
    assert f"There is no verdict.pdf: verdict.pdf was not made: {named} on this machine." in readme
    assert "the same sheet as PDF/A" not in readme


def test_an_outside_checker_agrees(members: Mapping[str, bytes], tmp_path: Path) -> None:
    """veraPDF, where it is installed."""
    checker = shutil.which("verapdf")
    if checker is None:
        pytest.skip("not shown: needs veraPDF")
    (tmp_path / "verdict.pdf").write_bytes(members["verdict.pdf"])
    done = subprocess.run(
        [checker, "--flavour", "3a", "--format", "text", tmp_path / "verdict.pdf"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("PASS"), done.stdout
