"""Lets each standard's own library look at the members of evidence packs, and says what it thinks of them.

    python benchmarks/pack_standards.py PACK.zip…

A line for each member: its standard, the library with its version, and `valid` or what is wrong; `not shown:
needs X` where a library is not installed. Exit status 1 where a library refuses something. Offline.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from appliance.evidence import verify_evidence as checked  # noqa: E402 - the checkout comes first on the path

Members = Mapping[str, bytes]


class Refused(Exception):
    """A library has something against a document."""


class Form(NamedTuple):
    """One member: its standard, the distribution that knows it, and the look."""

    standard: str
    library: str
    look: Callable[[Any, Members], None]


def cyclonedx(document: Any, _: Members) -> None:
    """CycloneDX 1.6 by its strict JSON schema. Raises Refused."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if (found := JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))) is not None:
        raise Refused(repr(found))


def fhir(document: Any, _: Members) -> None:
    """A FHIR R4B Bundle with all its resources. Raises Refused."""
    from fhir.resources.R4B.bundle import Bundle

    _taken(Bundle.model_validate, document)


def oscal(document: Any, _: Members) -> None:
    """OSCAL assessment results. Raises Refused."""
    from trestle.oscal import OSCAL_VERSION
    from trestle.oscal.assessment_results import Model

    _taken(Model.model_validate, document)
    if (said := document["assessment-results"]["metadata"]["oscal-version"]) != OSCAL_VERSION:
        raise Refused(f"version {said}, the models are of {OSCAL_VERSION}")


def statement(document: Any, _: Members) -> None:
    """The payload as in-toto Statement v1 with SLSA provenance v1, by their own messages. Raises Refused."""
    from google.protobuf.json_format import ParseDict, ParseError
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    said = json.loads(b64decode(document["payload"]))
    try:
        Statement.copy_from_pb(ParseDict(said, statement_pb2.Statement())).validate()
        ParseDict(said["predicate"], Provenance())
    except (ParseError, ValueError) as error:
        raise Refused(str(error)) from error


def envelope(document: Any, members: Members) -> None:
    """The DSSE signature, by the key that the pack carries. Raises Refused."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    key = checked.parse_key(members["log/verifier-key"], "log/verifier-key")
    known = SSlibKey(key.name, "ed25519", "ed25519", {"public": key.public.hex()})
    try:
        Envelope.from_dict(json.loads(json.dumps(document))).verify([known], 1)
    except VerificationError as error:
        raise Refused(str(error)) from error


def _taken(take: Callable[[Any], Any], document: Any) -> None:
    try:
        take(document)
    except ValueError as error:
        raise Refused(str(error)) from error


FORMS: dict[str, tuple[Form, ...]] = {
    "crosswalk.oscal.json": (Form("OSCAL 1.2.1 assessment results", "compliance-trestle", oscal),),
    "log/audit-events.fhir.json": (Form("FHIR R4B Bundle of AuditEvents", "fhir.resources", fhir),),
    "model.cdx.json": (Form("CycloneDX 1.6", "cyclonedx-python-lib", cyclonedx),),
    "run.intoto.json": (
        Form("DSSE v1", "securesystemslib", envelope),
        Form("in-toto Statement v1, SLSA provenance v1", "in-toto-attestation", statement),
    ),
}


def looked_at(members: Members) -> list[tuple[str, Form, str]]:
    """(member, form, answer) of all members that follow a standard; the answer is "" where all is well."""
    found = []
    for name, forms in FORMS.items():
        for form in forms if name in members else ():
            try:
                version(form.library)
            except PackageNotFoundError:
                found.append((name, form, f"not shown: needs {form.library}"))
                continue
            try:
                form.look(json.loads(members[name]), members)
            except Refused as refused:
                found.append((name, form, str(refused)))
            else:
                found.append((name, form, ""))
    return found


def main(paths: list[str]) -> int:
    """Print a line for each member of each pack."""
    refused = False
    for path in paths:
        members, problems = checked.split_zip(Path(path).read_bytes())
        if not members:
            print(f"{path}: {problems[0]}")
            return 2
        for name, form, answer in looked_at(members):
            refused |= bool(answer) and not answer.startswith("not shown")
            by = "" if answer.startswith("not shown") else f"{form.library} {version(form.library)}: "
            size = len(members[name])
            print(f"{Path(path).name}  {name}  {size} bytes  {form.standard}  {by}{answer or 'valid'}")
    return 1 if refused else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
