"""The list of ingredients of a bundle, in CycloneDX 1.6: what each wheel says of itself, with its digest."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from appliance.site.bundle import Member

PRODUCT = "gradaudit-appliance"


def about(wheel: Path) -> Message:
    """The core metadata of a wheel.

    Raises:
        ValueError: the file is no wheel.
    """
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if re.fullmatch(r"[^/]+\.dist-info/METADATA", name):
                return HeaderParser().parsestr(archive.read(name).decode("utf-8", errors="replace"))
    raise ValueError(f"{wheel.name} has no metadata")


def canonical_name(name: str) -> str:
    """A distribution's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def ingredients(
    version: str, commit: str, made: str, wheels: Sequence[tuple[Member, Path]]
) -> dict[str, Any]:
    """The document.

    Args:
        version: of the appliance.
        commit: what it was made from.
        made: when, ISO, UTC.
        wheels: each as the bundle lists it, and where it lies.
    """
    parts = [_component(member, about(path)) for member, path in wheels]
    root = f"pkg:generic/{PRODUCT}@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, f'{root}#{commit}#{made}')}",
        "version": 1,
        "metadata": {
            "timestamp": made,
            "component": {"type": "application", "bom-ref": root, "name": PRODUCT, "version": version},
        },
        "components": parts,
        "dependencies": [
            {"ref": root, "dependsOn": [part["bom-ref"] for part in parts]},
            *({"ref": part["bom-ref"]} for part in parts),
        ],
    }


def _component(member: Member, told: Message) -> dict[str, Any]:
    name, version = canonical_name(str(told["Name"])), str(told["Version"])
    package = f"pkg:pypi/{name}@{version.replace('+', '%2B')}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": package,
        "name": name,
        "version": version,
        "purl": package,
        "hashes": [{"alg": "SHA-256", "content": member.sha256}],
    }
    if told["Summary"]:
        found["description"] = str(told["Summary"])[:200]
    if told["License-Expression"]:
        found["licenses"] = [{"expression": str(told["License-Expression"])}]
    elif told["License"] and len(str(told["License"])) <= 100:
        found["licenses"] = [{"license": {"name": str(told["License"])}}]
    return found
