"""Whom a FHIR resource is about, and every value in the file that tells who somebody is."""

from __future__ import annotations

from collections.abc import Iterator

from medio.identity import MAX_CHARACTERS, MAX_VALUES
from medio.reports.fhir_resources import Resource, Resources, items, kind_of, objects, text_at

_NOT_MEDICAL = (
    "SS",
    "DL",
    "PPN",
    "NI",
    "TAX",
    "MB",
    "NIIP",
    "SB",
)  # HL7 table 0203: not the hospital's number
_STAFF = ("performer", "resultsInterpreter", "author", "attester", "custodian", "interpreter", "referrer")


def identifier_type(identifier: Resource) -> str:
    """HL7 table 0203 code of an Identifier, such as MR, ACSN, PLAC, FILL."""
    kinds = [
        text_at(coding, "code")
        for coding in objects((objects(identifier.get("type")) or [{}])[0].get("coding"))
    ]
    return next((kind.upper() for kind in kinds if kind), "")


def subject_of(resource: Resource, resources: Resources) -> Resource:
    """The patient as far as this file knows: the resource named, else the reference to it.

    Where a resource names nobody, it is the only patient of its file.
    """
    reference = next(iter(objects(resource.get("subject")) or objects(resource.get("patient"))), None)
    if reference is None:
        patients = list(resources.of("Patient"))
        return patients[0] if len(patients) == 1 else {}
    return resources.resolve(resource, reference) or reference


def patient_ids(subject: Resource) -> tuple[list[str], str]:
    """The hospital's number first, the others after it, and who issued the first."""
    found = [one for one in objects(subject.get("identifier")) if text_at(one, "value")]
    hospital = [one for one in found if identifier_type(one) not in _NOT_MEDICAL]
    hospital.sort(key=lambda one: identifier_type(one) != "MR")
    if not hospital:
        return [""], ""
    ids = list(dict.fromkeys(text_at(one, "value") for one in hospital))
    issuer = text_at(hospital[0], "assigner", "display") or text_at(hospital[0], "system")
    return ids, issuer.removeprefix("urn:oid:")


def identity(resource: Resource, resources: Resources) -> tuple[str, ...]:
    """Ids, names (`FAMILY^GIVEN`), birth dates, addresses and numbers of patient and staff, each once."""
    subject = subject_of(resource, resources)
    people = [subject, *objects(resource.get("subject"))]
    for name in _STAFF:
        for one in objects(resource.get(name)):
            for reference in (one, *objects(one.get("actor")), *objects(one.get("party"))):
                people += [reference, resources.resolve(resource, reference) or {}]
    values = (value for person in people for value in _values(person))
    return tuple(dict.fromkeys(value for value in values if 0 < len(value) <= MAX_CHARACTERS))[:MAX_VALUES]


def _values(person: Resource) -> Iterator[str]:
    if not kind_of(person):
        yield text_at(person, "display")
    yield from (text_at(one, "value") for one in objects(person.get("identifier")))
    yield text_at(person, "birthDate").replace("-", "")
    for name in items(person.get("name")):
        if isinstance(name, str):  # of an organization
            yield name
        elif isinstance(name, dict):
            given = [one for one in items(name.get("given")) if isinstance(one, str)]
            yield "^".join([text_at(name, "family"), *given]).strip("^")
            yield text_at(name, "text")
    yield from (text_at(one, "value") for one in objects(person.get("telecom")))
    for address in objects(person.get("address")):
        yield from (line for line in items(address.get("line")) if isinstance(line, str))
        yield from (text_at(address, part) for part in ("text", "city", "district", "postalCode"))
