"""A workspace with one user of each role, cheap to unlock; and what somebody with the disk alone can do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.api import Appliance
from appliance.workspace.workspace import Workspace

PASSPHRASES = {
    "officer": "four random words",
    "second": "five other random words",
    "operator": "words of an operator",
    "auditor": "words of an auditor",
}


def build(root: Path) -> dict[str, str]:
    """Make the workspace; returns every user's secret by name, with `scanner` and `paper`."""
    workspace = Workspace.create(root, PASSPHRASES["officer"], "Test", unsafe_fast_kdf=True)
    with Appliance(workspace) as site:
        site.add_user("second", "officer", PASSPHRASES["second"])
        site.add_user("operator", "operator", PASSPHRASES["operator"])
        site.add_user("auditor", "auditor", PASSPHRASES["auditor"])
        scanner = site.add_machine("scanner").split()[1]
        return PASSPHRASES | {"scanner": scanner, "paper": site.add_recovery()}


def opened(root: Path, name: str, secrets: dict[str, str]) -> Appliance:
    """The workspace as this user opens it."""
    if name == "paper":
        return Appliance.recover(root, secrets[name])
    return Appliance.unlock(root, secrets[name], name)


def tampered(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change keyring.json and correct its digest: the disk is enough for that."""
    path = root / "keyring.json"
    document = json.loads(path.read_text())
    document.pop("sha256")
    change(document)
    plain = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    path.write_text(json.dumps(document | {"sha256": hashlib.sha256(plain).hexdigest()}))


def acts(site: Appliance) -> list[tuple[str, str, str]]:
    """Role of the actor, act and outcome of every entry of the log."""
    return [(row.actor.partition(":")[0], row.act, row.outcome) for row in site._log.rows(0, site._log.size)]
