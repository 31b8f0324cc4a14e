"""The verifier under every Python that it promises to need nothing else than: 3.8 to 3.13, where they are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.evidence import verify_evidence as checked
from appliance.pack import building
from tests.appliance.evidence_case import closed_audit
from tests.appliance.pack.small_pack import DEEP, signed_again, small_parts


def interpreter(minor: int) -> str | None:
    """Path of a Python 3 of this minor version: one of pyenv's, or of the search path but for its shims."""
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python3.{minor}"))
    found = shutil.which(f"python3.{minor}")
    return str(kept[-1]) if kept else None if found is None or "shims" in found else found


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A log, and packs: whole, of parts withheld, for the vendor, changed in one byte, too deep."""
    folder = tmp_path_factory.mktemp("bare")
    log, given = closed_audit(folder / "log")
    with small_parts():
        whole = building.build(log, given)
        packs = {
            "whole": whole,
            "withheld": building.build(log, given, withhold=["results.json#/result/exposure", "data.json"]),
            "vendor": building.build(log, given, "vendor"),
            "changed": whole.replace(b"Reason 2.", b"Reason 5."),
            "deep": checked.build_zip(
                signed_again(log, {**checked.split_zip(whole)[0], "disclosure.json": DEEP})
            ),
        }
    for name, data in packs.items():
        (folder / name).write_bytes(data)
    return {"log": folder / "log", **{name: folder / name for name in packs}}


@pytest.mark.parametrize("minor", range(8, 14))
def test_the_answers_are_the_same(evidence: dict[str, Path], minor: int) -> None:
    """Isolated, without site packages: every line as under this Python, and nothing on stderr."""
    python = interpreter(minor)
    if python is None:
        pytest.skip(f"not shown: needs python3.{minor}")
    for name, path in evidence.items():
        command = [python, "-I", "-S", "-W", "error", checked.__file__, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            expected = checked.check(path).lines
        except checked.Broken as broken:
            assert (done.returncode, done.stderr) == (1, ""), done.stderr
            assert done.stdout == f"BROKEN: {broken}\n"
            assert name in ("changed", "deep")
        else:
            assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
            assert tuple(done.stdout.splitlines()[1:]) == expected
            assert done.stdout.startswith("valid: intact")
