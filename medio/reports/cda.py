"""CDA R2 document -> its sections as text (HL7 CDA 4.3), parsed by the standard library, without DOCTYPE."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from medio.dicom import wall
from medio.errors import NotReadable
from medio.reports.markup import MAX_MARKUP, markup_text
from medio.reports.narrative import Item, lines

_ROOT = re.compile(r"<(?:\w+:)?ClinicalDocument[\s/>]")


def looks_like_cda(text: str) -> bool:
    """Whether the first element is a ClinicalDocument, as far as the first kilobytes tell."""
    return text.lstrip().startswith("<") and _ROOT.search(text[:8192]) is not None


def parse_cda(text: str) -> Element:
    """The document, its element names without namespaces.

    Raises:
        NotReadable: damaged, longer than any report, or with a DOCTYPE, which no CDA has and an attack needs.
    """
    if len(text) > MAX_MARKUP:
        raise NotReadable("too-large", "more markup than a report holds")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise NotReadable("xml-doctype", "XML with a DOCTYPE is refused")
    with wall("xml-damaged"):
        document = ElementTree.fromstring(text.lstrip())
    for element in document.iter():
        element.tag = element.tag.rpartition("}")[2]
    return document


def cda_text(document: Element) -> str:
    """Title and narrative block of every section, in order."""
    return "\n".join(lines(list(_sections(document))))


def enclosed(document: Element) -> tuple[str, str, bool] | None:
    """The one document a CDA without sections encloses: as sent, its media type, and whether it is Base64."""
    body = document.find("component/nonXMLBody/text")
    if body is None:
        return None
    return "".join(body.itertext()), body.get("mediaType", ""), body.get("representation") == "B64"


def _sections(document: Element) -> Iterator[Item]:
    for section in document.iter("section"):
        block = section.find("text")
        if block is not None:
            words = markup_text(ElementTree.tostring(block, encoding="unicode"))
            yield Item(section.findtext("title", ""), words)
