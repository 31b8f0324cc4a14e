"""CDA R2 document -> its sections as text (HL7 CDA 4.3), parsed by the standard library, without DOCTYPE."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from medio.dicom import wall
from medio.errors import NotReadable
from medio.reports.markup import MAX_MARKUP, markup_text
from medio.reports.narrative import Item, lines

_ROOT = re.compile(r"<(?:\w+:)?ClinicalDocument[\s/>]")


def looks_like_cda(text: str) -> bool:
    """Whether the first element is a ClinicalDocument, as far as the first kilobytes tell."""
    return text.lstrip().startswith("<") and _ROOT.search(text[:8192]) is not None


def cda_text(text: str) -> str:
    """Title and narrative block of every section, in order.

    Raises:
        NotReadable: damaged, longer than any report, or with a DOCTYPE, which no CDA has and an attack needs.
    """
    if len(text) > MAX_MARKUP:
        raise NotReadable("too-large", "more markup than a report holds")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise NotReadable("xml-doctype", "XML with a DOCTYPE is refused")
    with wall("xml-damaged"):
        document = ElementTree.fromstring(text.lstrip())
        return "\n".join(lines(list(_sections(document))))


def _sections(document: ElementTree.Element) -> Iterator[Item]:
    for element in document.iter():
        element.tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else "comment"
    for section in document.iter("section"):
        block = section.find("text")
        if block is not None:
            words = markup_text(ElementTree.tostring(block, encoding="unicode"))
            yield Item(section.findtext("title", ""), words)
