"""`install.sh bundle`: the appliance with all it needs in one signed file, made where there is a network."""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from appliance.evidence.verify_evidence import Key, compose_note
from appliance.isolation import LAYERS
from appliance.site import bundle, machine
from appliance.site.bundle import KEY_NAME, Manifest, Member, Needs, Refused
from appliance.site.offline import HASHES, say
from appliance.site.sbom import about, canonical_name, ingredients

SBOM: Final = "sbom.cdx.json"
REQUIRED: Final = ("seccomp",)
"""Without it no audit is safe; the other layers are warned about."""
START: Final = (
    "install.sh",
    "appliance/__init__.py",
    "appliance/evidence/__init__.py",
    "appliance/isolation/",
)
STARTED: Final = ("appliance/evidence/verify_evidence.py", "appliance/site/")
"""What checks a bundle on a machine that has nothing yet: these files and folders, once more, in front."""
_FEWEST: Final = 10_000_000  # bytes of a virtual environment and what pip writes beside
_AGAIN: Final = 1.4  # what is compiled, and blocks of the file system
_NOT_SOURCE: Final = re.compile(r"(^|/)(\.(?!ci/|gitignore)|__pycache__|[^/]+\.egg-info)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a bundle; the exit code."""
    parser = argparse.ArgumentParser(prog="./install.sh bundle")
    parser.add_argument(
        "-o", "--output", type=Path, help="the file to write (gradaudit-VERSION-MACHINE.bundle)"
    )
    parser.add_argument(
        "--sign", type=Path, default=_usual_key(), help="private key; made where it is not there"
    )
    parser.add_argument(
        "--wheels", type=Path, help="take wheels from this folder alone; otherwise pip fetches them"
    )
    parser.add_argument("--torch-index", default="", help="package index to take torch from")
    asked = parser.parse_args(arguments)
    root = Path(__file__).resolve().parent.parent.parent
    try:
        with tempfile.TemporaryDirectory(prefix="gradaudit-bundle-") as scratch:
            wheels = asked.wheels or fetched(
                root / "requirements.lock", Path(scratch) / "wheels", asked.torch_index
            )
            made = make(
                sources(root, Path(scratch) / "source"), wheels, asked.output, signing_key(asked.sign)
            )
    except Refused as refused:
        say(f"error: {refused}" + (f"\nhint: {refused.hint}" if refused.hint else ""))
        return refused.exit_code
    except OSError as wrong:
        say(f"error: {wrong.strerror}: {wrong.filename}")
        return 1
    with bundle.Bundle(made) as found:
        _say_what_next(made, found)
    return 0


def _usual_key() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "gradaudit" / "bundle-key.pem"


def signing_key(path: Path) -> Ed25519PrivateKey:
    """The key that signs bundles; a new one, open to its owner alone, where there is none.

    Raises:
        Refused: other accounts may read it, or it is no Ed25519 key without a passphrase.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Ed25519PrivateKey.generate()
        text = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
        say(f"made a key to sign bundles with: {path}; whoever has it can install anything at your sites")
        return made
    if path.stat().st_mode & 0o077:
        raise Refused(f"other accounts may open {path}", f"chmod 600 {path}")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as wrong:
        raise Refused(f"{path} is no private key without a passphrase", "give one in PEM, Ed25519") from wrong
    if not isinstance(key, Ed25519PrivateKey):
        raise Refused(f"{path} is no Ed25519 key", "openssl genpkey -algorithm ed25519 makes one")
    return key


def fetched(lock: Path, into: Path, torch_index: str = "") -> Path:
    """Wheels of the lock and of pip itself, as pip's own configuration finds them; nothing is built.

    An index for torch is asked for torch alone: another package of that name there would not be taken.

    Raises:
        Refused: pip could not.
    """
    pip = f"pip=={importlib.metadata.version('pip')}"
    say("fetching wheels")
    beside: tuple[str, ...] = ()
    if torch_index:
        beside = ("--find-links", str(into))
        lines = lock.read_text(encoding="utf-8").splitlines()
        torch = next(line for line in lines if line.startswith("torch=="))
        _fetch(into, "--index-url", torch_index, "--no-deps", torch)
    _fetch(into, *beside, "--requirement", str(lock), pip)
    return into


def _fetch(into: Path, *what: str) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-input", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--only-binary", ":all:", "--wheel-dir", str(into), *what],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        say("\n".join(done.stdout.splitlines()[-15:]))
        raise Refused("pip could not fetch the wheels", "the lines above say why; pip config list")


def sources(root: Path, into: Path) -> Path:
    """The committed state of the checkout, unpacked; or the folder itself where it is not a checkout.

    Raises:
        Refused: git cannot give it.
    """
    if not (root / ".git").exists():
        return root
    done = subprocess.run(
        ["git", "-C", str(root), "archive", "--format=tar", "HEAD"], capture_output=True, check=False
    )
    if done.returncode:
        raise Refused(f"git does not give the sources: {done.stderr.decode(errors='replace').strip()}")
    if subprocess.run(
        ["git", "-C", str(root), "status", "--porcelain"], capture_output=True, check=False
    ).stdout:
        say("changes that are not committed are not in the bundle")
    into.mkdir()
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(into, filter="data")
        (into / ".commit").write_text(str(archive.pax_headers.get("comment", "")), encoding="ascii")
    return into


def make(source: Path, wheels: Path, output: Path | None, key: Ed25519PrivateKey) -> Path:
    """Write a bundle.

    Args:
        source: the appliance's files.
        wheels: folder with a wheel of everything it needs, pip among them.
        output: the file; by default one in the working folder that tells version and machine.
        key: signs it.

    Returns:
        The file.

    Raises:
        Refused: a wheel is for another machine, or pip's is missing.
    """
    made = time.strftime(
        "%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time()))
    )
    commit_file = source / ".commit"
    commit = commit_file.read_text(encoding="ascii") if commit_file.exists() else ""
    version = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    packed = [(bundle.measured(f"wheels/{path.name}", path), path) for path in sorted(wheels.glob("*.whl"))]
    if not any(path.name.startswith("pip-") for _, path in packed):
        raise Refused(
            f"there is no wheel of pip in {wheels}", "the machine without a network installs with it"
        )
    ours = [(bundle.measured(f"source/{name}", source / name), source / name) for name in _files(source)]
    first = [
        (
            Member(f"start/{member.name.removeprefix('source/')}", member.size, member.sha256, member.runs),
            path,
        )
        for member, path in ours
        if member.name.removeprefix("source/").startswith((*START, *STARTED))
    ]
    with tempfile.TemporaryDirectory() as scratch:
        told = Path(scratch) / HASHES
        told.write_text(_hashed(packed), encoding="ascii")
        bom = Path(scratch) / SBOM
        bom.write_text(json.dumps(ingredients(version, commit, made, packed), indent=1), encoding="utf-8")
        beside = [(bundle.measured(path.name, path), path) for path in (told, bom)]
        files = [*first, *beside, *ours, *packed]
        needs = Needs(
            machine.python_here(),
            platform.machine(),
            oldest_glibc([path.name for _, path in packed]),
            REQUIRED,
            tuple(sorted(set(LAYERS) - set(REQUIRED))),
            _room(files),
        )
        manifest = Manifest(version, commit, made, needs, tuple(member for member, _ in files)).encoded()
        public = Key(KEY_NAME, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
        text = bundle.signed_text(manifest)
        output = output or Path(f"gradaudit-{version}-py{needs.python}-{needs.machine}.bundle")
        partial = output.with_name(f".{output.name}.part")
        try:
            with partial.open("wb") as out:
                bundle.written(out, manifest, public, compose_note(text, public, key.sign(text)), files)
            partial.replace(output)
        finally:
            partial.unlink(missing_ok=True)
    return output


def _files(source: Path) -> Iterator[str]:
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        if path.is_file() and not path.is_symlink() and not _NOT_SOURCE.search(name):
            yield name


def _hashed(packed: Sequence[tuple[Member, Path]]) -> str:
    """What pip installs: exactly these wheels."""
    lines = []
    for member, path in packed:
        told = about(path)
        lines.append(f"{canonical_name(told['Name'])}=={told['Version']} --hash=sha256:{member.sha256}\n")
    return "".join(sorted(lines))


def oldest_glibc(names: Sequence[str]) -> str:
    """The oldest glibc on which every one of these wheels runs, by their tags (PEP 600).

    Raises:
        Refused: a wheel is for another machine or another Python than this one.
    """
    oldest = (2, 17)
    for name in names:
        *_, python, abi, tags = name.removesuffix(".whl").split("-")
        versions = [_glibc_of(tag) for tag in tags.split(".")]
        fitting = [version for version in versions if version]
        if not fitting:
            raise Refused(
                f"{name} is for another machine", "fetch wheels on a machine like those they are for"
            )
        if not any(_is_for_this_python(tag, abi.split(".")) for tag in python.split(".")):
            raise Refused(
                f"{name} is for another Python than {machine.python_here()}",
                "fetch wheels with the Python that they are for",
            )
        oldest = max(oldest, min(fitting))
    return f"{oldest[0]}.{oldest[1]}"


def _is_for_this_python(tag: str, abis: Sequence[str]) -> bool:
    """By its tags (PEP 425): plain Python 3, this very version, or an earlier one's stable interface."""
    found = re.fullmatch(r"(py|cp)3(\d*)", tag)
    if found is None:
        return False
    own, least = sys.version_info.minor, int(found[2] or 0)
    if found[1] == "py" or "abi3" in abis:
        return least <= own
    return least == own and not {f"cp3{own}", "none"}.isdisjoint(abis)


def _glibc_of(tag: str) -> tuple[int, int] | None:
    legacy = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
    if tag == "any":
        return (2, 5)
    if found := re.fullmatch(rf"manylinux_(\d+)_(\d+)_{platform.machine()}", tag):
        return int(found[1]), int(found[2])
    name, _, processor = tag.partition("_")
    if processor != platform.machine():
        return None
    if name == "linux":  # built here: for this glibc
        major, minor = machine.glibc().split(".")[:2]
        return int(major), int(minor)
    return legacy.get(name)


def _room(files: Sequence[tuple[Member, Path]]) -> int:
    """Bytes that an installation takes while it runs: what is in the bundle, and the wheels unpacked."""
    unpacked = 0
    for _, path in files:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                unpacked += sum(part.file_size for part in archive.infolist())
    return _FEWEST + sum(member.size for member, _ in files) + int(unpacked * _AGAIN)


def _say_what_next(made: Path, found: bundle.Bundle) -> None:
    needs = found.manifest.needs
    say(f"written: {made} ({made.stat().st_size / 1e6:.0f} MB, {len(found.manifest.files)} files)")
    say(f"for: Linux on {needs.machine}, Python {needs.python}, glibc {needs.glibc} or newer")
    say(f"signed by: {found.words}")
    say(
        "tell these words to whoever installs, and not by the road the file goes. There:\n"
        f"  tar -xf {made.name} start\n"
        f'  start/install.sh offline {made.name} --key "{found.words}"'
    )


if __name__ == "__main__":
    raise SystemExit(main())
