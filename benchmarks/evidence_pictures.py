"""Draws the pages of an evidence pack as small pictures, the first sheets of each as they print on A4.

    gradaudit evidence pack AUDIT -o PACK.zip
    python benchmarks/evidence_pictures.py PACK.zip [--vendor VENDOR.zip] [--out docs/pictures]

Needs WeasyPrint with Pango, and pypdfium2.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pypdfium2
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from appliance.evidence import verify_evidence as checked  # noqa: E402 - the checkout comes first on the path
from appliance.pack.pages import pdf  # noqa: E402

WIDTH = 640  # pixels of a sheet
SHEETS = 2  # of a page, side by side
COLOURS = 24  # of a picture; keeps it small
GAP = 12


def pages(pack: Path) -> dict[str, str]:
    """Name of a page without its ending -> HTML, of a pack that verifies."""
    data = pack.read_bytes()
    checked.check_pack(data)
    members = checked.split_zip(data)[0]
    return {
        name.removesuffix(".html").rpartition("/")[2]: text.decode()
        for name, text in members.items()
        if name.endswith(".html")
    }


def drawn(page: str) -> Image.Image:
    """The first sheets of a page, side by side on grey."""
    made = pdf.rendered(page)
    assert made is not None, pdf.absent()
    document = pypdfium2.PdfDocument(made)
    sheets = []
    for number in range(min(SHEETS, len(document))):
        sheet = document[number]
        sheets.append(sheet.render(scale=WIDTH / sheet.get_width()).to_pil().convert("RGB"))
    height = max(sheet.height for sheet in sheets)
    picture = Image.new("RGB", ((WIDTH + GAP) * len(sheets) - GAP, height), "#9aa6b2")
    for place, sheet in enumerate(sheets):
        picture.paste(sheet, ((WIDTH + GAP) * place, 0))
    return picture.quantize(COLOURS)


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("--vendor", type=Path, help="the vendor edition of the same audit")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    chosen = parser.parse_args()
    found = pages(chosen.pack)
    if chosen.vendor is not None:
        found |= {
            f"vendor-{name}": page for name, page in pages(chosen.vendor).items() if name != "crosswalk"
        }
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name, page in sorted(found.items()):
        path = chosen.out / f"evidence-{name}.png"
        drawn(page).save(path, optimize=True)
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
