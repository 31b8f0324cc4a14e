"""FHIR JSON -> resources that can be found by reference. R4, R4B and R5, and STU3 where names differ.

Resources stay plain dictionaries: real ones deviate from every version's grammar, and a readable report is
worth more than a valid one. `conforms` asks the kept library whether the grammar of a version holds.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from medio.dicom import wall
from medio.errors import NotReadable, NotSupported

Resource = dict[str, Any]
MAX_JSON_BYTES = 32 << 20  # as objects in memory about twenty times that at worst
MAX_RESOURCES = 200_000
_VERSIONS = ("fhir.resources.R4B", "fhir.resources", "fhir.resources.STU3")  # the second is R5
_TYPE = re.compile(r"[A-Z][A-Za-z]{2,60}")
_DICOM_TAG = re.compile(r"[0-9A-Fa-f]{8}")


def looks_like_json(data: bytes) -> bool:
    """Whether these bytes start as a JSON object or a list of them."""
    return re.match(rb"[{\[]\s*[\"{}]", data[:256].lstrip(b"\xef\xbb\xbf \t\r\n")) is not None


def items(value: Any) -> list[Any]:
    """A repeated element as a list, whether the sender wrote a list, one value or nothing."""
    if isinstance(value, list):
        return value
    return [] if value is None or value == "" else [value]


def objects(value: Any) -> list[Resource]:
    """The objects of a repeated element."""
    return [one for one in items(value) if isinstance(one, dict)]


def text_at(resource: Any, *path: str) -> str:
    """The text at a path of element names, the first of each repeated one; empty when there is none."""
    for name in path:
        found = objects(resource)
        resource = found[0].get(name) if found else None
    value = next(iter(items(resource)), "")
    return value.strip() if isinstance(value, str) else ""


def kind_of(resource: Resource) -> str:
    """The resource's type, or empty."""
    kind = resource.get("resourceType")
    return kind if isinstance(kind, str) else ""


@dataclass(frozen=True)
class Resources:
    """All resources of one file, and the ways by which they name each other."""

    entries: tuple[Resource, ...]
    by_name: dict[str, Resource]  # full URL, and Type/id

    def of(self, *kinds: str) -> Iterator[Resource]:
        """Resources of these types, in the file's order."""
        return (resource for resource in self.entries if kind_of(resource) in kinds)

    def resolve(self, owner: Resource, reference: Any) -> Resource | None:
        """What a Reference means: contained in its owner, or in the same file; None when sent apart."""
        name = text_at(reference, "reference")
        if name.startswith("#"):
            return next((one for one in objects(owner.get("contained")) if one.get("id") == name[1:]), None)
        return self.by_name.get(name) or self.by_name.get(short_name(name))


def short_name(reference: str) -> str:
    """`Type/id` of a relative or absolute reference, without version; other references as they are."""
    match = re.search(r"([A-Z][A-Za-z]+/[A-Za-z0-9.\-]{1,64})(?:/_history/[^/]*)?$", reference)
    return match.group(1) if match else reference


def load(data: bytes) -> Resources:
    """Parse a resource, a bundle, a list of resources, or one resource a line (NDJSON).

    Raises:
        NotReadable: damaged, beyond the limits, or of no type FHIR knows.
        NotSupported: JSON of another kind.
    """
    if len(data) > MAX_JSON_BYTES:
        raise NotReadable("too-large", f"JSON of more than {MAX_JSON_BYTES} bytes")
    with wall("json-damaged"):
        text = data.decode("utf-8-sig")
    found: list[tuple[str, Resource]] = []
    for document in _documents(text):
        found.extend(_entries(document))
        if len(found) > MAX_RESOURCES:
            raise NotReadable("too-large", f"more than {MAX_RESOURCES} resources")
    if not any(kind_of(resource) for _, resource in found):
        _refuse([resource for _, resource in found])
    names: dict[str, Resource] = {}
    for url, resource in found:
        for name in (url, f"{kind_of(resource)}/{resource.get('id')}"):
            if name:
                names.setdefault(name, resource)
    return Resources(tuple(resource for _, resource in found), names)


def _documents(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_no_constant)
    with wall("json-damaged"):
        document, end = decoder.raw_decode(text.lstrip())
        yield document
        rest = text.lstrip()[end:]
        for line in rest.split("\n"):
            if line.strip():
                yield decoder.decode(line)


def _no_constant(name: str) -> NoReturn:
    raise ValueError("NaN and infinity are no JSON")


def _entries(document: Any) -> Iterator[tuple[str, Resource]]:
    """Resources with the URL they are known by; bundles are opened, also inside bundles."""
    waiting = [("", one) for one in reversed(objects(document))]
    while waiting:
        url, resource = waiting.pop()
        yield url, resource
        if kind_of(resource) == "Bundle":
            for entry in reversed(objects(resource.get("entry"))):
                waiting += [(text_at(entry, "fullUrl"), one) for one in objects(entry.get("resource"))]


def _refuse(found: Sequence[Resource]) -> NoReturn:
    names = [name for resource in found[:1] for name in list(resource)[:8]]
    if names and all(_DICOM_TAG.fullmatch(name) for name in names):
        raise NotSupported("dicom-json", "the DICOM JSON model is not read")
    raise NotSupported("json", "a JSON document that is no FHIR resource")


def known_type(kind: str) -> bool:
    """Whether FHIR R4B or R5 has a resource of this type."""
    if not _TYPE.fullmatch(kind):
        return False
    with wall("fhir-library"):
        return any(importlib.util.find_spec(f"{package}.{kind.lower()}") for package in _VERSIONS[:2])


def conforms(resource: Resource) -> bool:
    """Whether the resource obeys the grammar of R4, R5 or STU3."""
    kind = kind_of(resource)
    importlib.import_module("fhir.resources")  # without the library there is no answer
    for package in _VERSIONS:
        try:
            with wall("fhir-invalid"):
                model = getattr(importlib.import_module(f"{package}.{kind.lower()}"), kind)
                model.model_validate(resource)
        except NotReadable:
            continue  # a version without this type, or whose grammar it breaks
        return True
    return False
