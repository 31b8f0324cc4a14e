"""The whole bundle: made, tampered with in ten places, installed where there is no network; figures as JSON.

    python benchmarks/air_gap.py [--wheels DIR] [--room DIR] [--upgrade]

Needs strace and unshare (util-linux), 7 GiB free in the room (by default a temporary folder) and pip's
configuration to find the pinned wheels. `--upgrade` installs a second bundle over the first and goes back.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from network_calls import network_calls, watching

from appliance.site import bundling
from appliance.site.bundle import Bundle

ROOT = Path(__file__).resolve().parent.parent
BLOCK = 512


def place(path: Path, name: str) -> tuple[int, int]:
    """Where a member's header begins, and how long its content is; by tar's own listing."""
    told = subprocess.run(["tar", "-tvRf", path, name], capture_output=True, text=True, check=True).stdout
    found = re.match(r"block (\d+): \S+ \S+ +(\d+) ", told)
    assert found is not None, told
    return int(found[1]) * BLOCK, int(found[2])


@contextmanager
def turned(path: Path, at: int) -> Iterator[None]:
    """One bit of the file is another one, for as long as the context lasts."""

    def turn() -> None:
        with path.open("r+b") as file:
            file.seek(at)
            sign = file.read(1)[0]
            file.seek(at)
            file.write(bytes([sign ^ 1]))

    turn()
    try:
        yield
    finally:
        turn()


@contextmanager
def longer(path: Path) -> Iterator[None]:
    """The file has one more byte."""
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"\0")
    try:
        yield
    finally:
        os.truncate(path, size)


def tamperings(path: Path) -> dict[str, Callable[[], Any]]:
    """Ten places of a bundle, each with a way to change it."""
    with Bundle(path) as found:
        files = {member.name: member for member in found.manifest.files}
    wheels = sorted(name for name in files if name.startswith("wheels/"))
    torch = next(name for name in wheels if name.startswith("wheels/torch-"))
    inside = {
        "list of files": ("bundle.json", 5000),
        "key": ("bundle.key", 40),
        "signature": ("bundle.sig", 150),
        "checker": ("start/appliance/site/offline.py", 1000),
        "installer": ("start/install.sh", 500),
        "hashes": ("requirements.hashed", 30),
        "ingredients": ("sbom.cdx.json", 200),
        "source": ("source/audit_core/policy.py", 100),
        "largest wheel": (torch, files[torch].size // 2),
    }
    ways: dict[str, Callable[[], Any]] = {}
    for what, (name, offset) in inside.items():
        header, size = place(path, name)
        assert offset < size, name
        ways[what] = lambda at=header + BLOCK + offset: turned(path, at)
    ways["after the last file"] = lambda: longer(path)
    return ways


def offline(start: Path, *given: str | Path, watched: Path | None = None) -> tuple[int, str, float]:
    """`start/install.sh offline …` with this Python; exit code, what was said, seconds."""
    command: list[str | Path] = [start / "install.sh", *given]
    if watched is not None:
        command = ["unshare", "--map-root-user", "--net", *watching(watched), *command]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))
    }
    environment["GRADAUDIT_PYTHON"] = getattr(sys, "_base_executable", sys.executable)
    begun = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr, round(time.monotonic() - begun, 1)


def measure(room: Path, wheels: Path | None, upgrade: bool) -> dict[str, Any]:
    """Everything, in one folder."""
    begun = time.monotonic()
    packed = wheels or bundling.fetched(ROOT / "requirements.lock", room / "wheels")
    source, key = bundling.sources(ROOT, room / "source"), bundling.signing_key(room / "key.pem")
    fetched_s, begun = time.monotonic() - begun, time.monotonic()
    path = bundling.make(source, packed, room / "whole.bundle", key)
    figures: dict[str, Any] = {
        "fetch_s": round(fetched_s, 1),
        "make_s": round(time.monotonic() - begun, 1),
        "bundle_bytes": path.stat().st_size,
    }
    with Bundle(path) as found:
        words, needs = found.words, found.manifest.needs
        figures |= {
            "commit": found.manifest.commit,
            "files": len(found.manifest.files),
            "needs": needs.plain(),
        }
    subprocess.run(["tar", "-xf", path, "start"], cwd=room, check=True)
    asked = ("offline", path, "--key", words, "--into", room / "site")
    refused = {}
    for what, way in tamperings(path).items():
        with way():
            code, said, _ = offline(room / "start", *asked, "--check")
        refused[what] = {"exit": code, "said": said.splitlines()[0] if said else ""}
    figures["tampered"], figures["refused"] = len(refused), sum(one["exit"] == 20 for one in refused.values())
    figures["refusals"] = refused
    code, _, figures["check_s"] = offline(room / "start", *asked, "--check")
    figures["sound_exit"] = code
    code, said, figures["install_s"] = offline(room / "start", *asked, watched=room / "calls")
    figures["install_exit"], figures["network_calls"] = code, len(network_calls(room / "calls"))
    if code:
        return figures | {"said": said}
    version = (room / "site" / "current").resolve()
    used = subprocess.run(["du", "-sb", version], capture_output=True, text=True, check=True).stdout
    figures["installed_bytes"] = int(used.split()[0])
    if upgrade:
        os.environ["SOURCE_DATE_EPOCH"] = str(int(time.time()) + 60)
        second = bundling.make(source, packed, room / "second.bundle", key)
        installed = room / "site" / "current" / "source"
        code, _, figures["upgrade_s"] = offline(installed, "offline", second)
        back, _, figures["rollback_s"] = offline(installed, "rollback")
        figures |= {"upgrade_exit": code, "rollback_exit": back}
        figures["back_on_the_first"] = (room / "site" / "current").resolve() == version
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--room", type=Path)
    parser.add_argument("--upgrade", action="store_true")
    asked = parser.parse_args()
    if asked.room is not None:
        print(json.dumps(measure(asked.room, asked.wheels, asked.upgrade), indent=1))
        return
    with tempfile.TemporaryDirectory(prefix="gradaudit-air-gap-") as room:
        print(json.dumps(measure(Path(room), asked.wheels, asked.upgrade), indent=1))


if __name__ == "__main__":
    main()
