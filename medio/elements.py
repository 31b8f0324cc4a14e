"""Single attributes of a parsed dataset, as text or numbers; damaged values count as absent.

Converting an element the way pydicom does costs several microseconds and an object. Plain ASCII values, and
nearly all handles are, are taken from the bytes as read instead; everything else goes through pydicom.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

MAX_TEXT = 256  # characters of a handle; LO allows 64, some systems write more
_UID = re.compile(r"[0-9.]{1,64}")
_TEXT_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "IS", "LO", "SH", "TM", "UI"})
_PADDING = "\0 \t\r\n"


def text_of(dataset: Any, keyword: str) -> str:
    """One attribute as trimmed text; empty when absent, undecodable or absurdly long."""
    text = _ascii(dataset, keyword)
    if text is None or "\\" in text:
        text = _converted(dataset, keyword)
    return text if len(text) <= MAX_TEXT and text.isprintable() else ""


def texts_of(dataset: Any, keyword: str) -> tuple[str, ...]:
    """All values of one attribute as trimmed texts; none when it is absent or undecodable."""
    text = _ascii(dataset, keyword)
    if text is not None:
        return tuple(part.strip(_PADDING) for part in text.split("\\")) if text else ()
    try:
        value = dataset.get(keyword)
        several = value if isinstance(value, (list, tuple)) or hasattr(value, "append") else (value,)
        return tuple(str(one).strip(_PADDING) for one in several if one is not None)
    except Exception:  # noqa: BLE001 - as in _converted
        return ()


def number_of(dataset: Any, keyword: str, default: float) -> float:
    """First value of a numeric attribute; a value that is no finite number counts as absent."""
    try:
        number = float(next(iter(texts_of(dataset, keyword))))
    except (StopIteration, ValueError):
        return default
    return number if math.isfinite(number) else default


def uid_of(dataset: Any, keyword: str) -> str:
    """A UID that is one (PS3.5 §9.1 characters and length), else empty: a malformed UID joins nothing."""
    return valid_uid(text_of(dataset, keyword))


def valid_uid(text: str) -> str:
    """`text` when it may serve as a UID, else empty."""
    return text if _UID.fullmatch(text) and any(digit.isdigit() for digit in text) else ""


def date_of(text: str) -> str:
    """`YYYYMMDD` from a DA (also the old dotted form) or a timestamp, else empty."""
    match = re.match(r"(\d{4})\.?(\d{2})\.?(\d{2})", text)
    found = "".join(match.groups()) if match else ""
    return "" if found == "00000000" else found


@lru_cache(maxsize=512)
def _known(keyword: str) -> tuple[BaseTag, bool]:
    """Tag of a keyword, and whether the dictionary has it as short text."""
    tag = Tag(tag_for_keyword(keyword))
    return tag, dictionary_VR(tag) in _TEXT_VRS


def plain_text(element: Any) -> str | None:
    """The trimmed value of an element not yet converted, when its bytes are ASCII and nothing but text.

    Several values are still joined by backslashes. None when pydicom has to look at it.
    """
    if type(element) is not RawDataElement:
        return None
    value = element.value
    if type(value) is not bytes or not value.isascii() or b"\x1b" in value:
        return None
    return value.decode("ascii").strip(_PADDING)


def _ascii(dataset: Any, keyword: str) -> str | None:
    """Values of one attribute, joined, when that takes no conversion; empty when it is absent, else None."""
    tag, is_text = _known(keyword)
    element = dataset.get_item(tag, keep_deferred=True)
    if element is None:
        return ""
    if element.VR not in _TEXT_VRS and not (element.VR is None and is_text):
        return None
    return plain_text(element)


def _converted(dataset: Any, keyword: str) -> str:
    try:
        value = dataset.get(keyword)
        if isinstance(value, MultiValue):  # several where the standard has one: as they stand in the file
            value = "\\".join(str(one) for one in value)
        return "" if value is None else str(value).strip(_PADDING)
    except Exception:  # noqa: BLE001 - converting a damaged value may raise anything; a tolerated value is then absent
        return ""
