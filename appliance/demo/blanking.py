"""Which demo images are left out, and which boxes of the others are painted black.

Every VQA-RAD image carries two things MedPix burned in: its watermark at the top right, and a footer with a
case identifier, the uploader's and the source's name and a date. Both were drawn at a fixed size on the
original picture, so their boxes follow from the original's size. What a scanner burned in was found by eye.
"""

from __future__ import annotations

import io
import math

from PIL import Image, ImageDraw

FOOTER_PX = 26  # height in pixels of the original picture: two lines of 12 and a margin
WATERMARK_PX = (116, 32)  # width and height in pixels of the original picture

# Source ids left out: a scanner's overlay shows a study date, a time, a birth date, or an examination,
# accession or patient number over more than a corner of the picture.
LEFT_OUT_OVERLAY = (
    *("23803", "24390", "27576", "31259", "32970", "40596", "42182"),
    *("48749", "50848", "50962", "51709", "53287", "54795", "56388"),
)
# The second picture of the patient of 55245; one picture per patient is kept.
LEFT_OUT_SECOND = ("55286",)
LEFT_OUT = frozenset((*LEFT_OUT_OVERLAY, *LEFT_OUT_SECOND))

# Further boxes, as fractions (left, top, right, bottom) of the picture: cut-off rests of numbers, lines too
# coarse to read that may hold a name, and further logos. Window values, slice positions, sequence
# names and side markers stay: they name nobody.
EXTRA_BOXES: dict[str, tuple[tuple[float, float, float, float], ...]] = {
    "17145": ((0.92, 0.93, 1.0, 1.0), (0.88, 0.03, 1.0, 0.06)),
    "31955": ((0.33, 0.0, 0.70, 0.035),),
    "31962": ((0.0, 0.0, 1.0, 0.035),),
    "32981": ((0.92, 0.92, 1.0, 1.0),),
    "51212": ((0.0, 0.0, 0.15, 0.08),),
    "51774": ((0.36, 0.0, 0.66, 0.035),),
    "52248": ((0.0, 0.0, 0.08, 0.035),),
    "56344": ((0.0, 0.0, 0.15, 0.02),),
    "57935": ((0.0, 0.0, 0.25, 0.01),),
}


def boxes(source_id: str, size: tuple[int, int], source_width: int) -> list[tuple[int, int, int, int]]:
    """Boxes to paint black, in pixels of the picture at hand.

    Args:
        source_id: number in the picture's VQA-RAD name.
        size: width and height of the picture at hand.
        source_width: width of the original picture, before it was scaled down.
    """
    width, height = size
    scale = width / source_width
    footer = math.ceil(FOOTER_PX * scale) + 1
    mark_w, mark_h = (math.ceil(edge * scale) + 1 for edge in WATERMARK_PX)
    found = [(0, height - footer, width, height), (width - mark_w, 0, width, mark_h)]
    for left, top, right, bottom in EXTRA_BOXES.get(source_id, ()):
        found.append(
            (int(left * width), int(top * height), math.ceil(right * width), math.ceil(bottom * height))
        )
    return found


def blank(jpeg: bytes, source_id: str, source_width: int) -> bytes:
    """The picture with its boxes painted black, as JPEG with the original's own tables and sampling.

    The same tables keep what lies outside the boxes nearly untouched: coefficients fall on the same steps.
    """
    with Image.open(io.BytesIO(jpeg)) as picture:
        tables = picture.quantization  # type: ignore[attr-defined]
        sampling = "keep" if picture.mode == "RGB" else -1
        draw = ImageDraw.Draw(picture)
        for left, top, right, bottom in boxes(source_id, picture.size, source_width):
            draw.rectangle((left, top, right - 1, bottom - 1), fill=0)
        out = io.BytesIO()
        picture.save(out, "JPEG", qtables=tables, subsampling=sampling, optimize=True)
    return out.getvalue()
