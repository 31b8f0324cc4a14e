"""A bundle of few files: pip's wheel out of this environment, our own installer, and a stand-in product."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.evidence.verify_evidence import Key, compose_note
from appliance.site import bundle, bundling
from appliance.site.bundle import Manifest

ROOT: Final = Path(__file__).parent.parent
PROJECT: Final = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "gradaudit-appliance"
version = "{version}"
"""
BACKEND: Final = """import pathlib, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    here, name = pathlib.Path(__file__).parent, "gradaudit_appliance-1"
    about = f"{name}.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder) / f"{name}-py3-none-any.whl", "w") as out:
        out.writestr("standin.pth", f"{here}\\n")
        out.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\\nName: gradaudit_appliance\\nVersion: 1\\n")
        out.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        out.writestr(f"{about}/entry_points.txt", "[console_scripts]\\ngradaudit = standin:main\\n")
        out.writestr(f"{about}/RECORD", "")
    return f"{name}-py3-none-any.whl"
"""
STAND_IN: Final = """import small
def main():
    print("version {version}", small.WORD)
    raise SystemExit({code})
"""
PARTS: Final = ("install.sh", "appliance/__init__.py", "appliance/evidence/__init__.py")
FOLDERS: Final = ("appliance/site", "appliance/isolation")


class Made(NamedTuple):
    """Bundles by version, their key with its words, and, where one was installed, its calls for a network."""

    folder: Path
    bundles: dict[str, Path]
    key: Ed25519PrivateKey
    words: str
    calls: list[str] | None = None


def wheels(folder: Path) -> Path:
    """pip, as it is installed here, and a module of one line."""
    folder.mkdir()
    found = importlib.metadata.distribution("pip")
    with zipfile.ZipFile(folder / f"pip-{found.version}-py3-none-any.whl", "w") as out:
        for name in found.files or ():
            if not str(name).startswith("..") and "__pycache__" not in str(name):
                out.write(Path(str(found.locate_file(name))), str(name))
    about = "small-1.0.dist-info"
    with zipfile.ZipFile(folder / "small-1.0-py3-none-any.whl", "w") as out:
        out.writestr("small.py", "WORD = 'here'\n")
        out.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
        out.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        out.writestr(f"{about}/RECORD", "")
    return folder


def source(folder: Path, version: str, *, starts: bool = True) -> Path:
    """The stand-in product in one version."""
    for name in (*PARTS, "appliance/evidence/verify_evidence.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pyproject.toml").write_text(PROJECT.format(version=version))
    (folder / "backend.py").write_text(BACKEND)
    (folder / "standin.py").write_text(STAND_IN.format(version=version, code=0 if starts else 1))
    return folder


def small_bundle(
    folder: Path, packed: Path, version: str, key: Ed25519PrivateKey, *, starts: bool = True
) -> Path:
    """The bundle of one version."""
    made = source(folder / f"source-{version}", version, starts=starts)
    return bundling.make(made, packed, folder / f"{version}.bundle", key)


def signed_anew(
    path: Path,
    into: Path,
    key: Ed25519PrivateKey,
    change: Callable[[Manifest], Manifest] = dataclasses.replace,
) -> Path:
    """The same files under a list that was changed, and signed by `key`."""
    data = path.read_bytes()
    with bundle.Bundle(path) as found:
        manifest = change(found.manifest).encoded()
        rest = data[found.begins :]
    public = Key(bundle.KEY_NAME, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    text = bundle.signed_text(manifest)
    with into.open("wb") as out:
        bundle.written(out, manifest, public, compose_note(text, public, key.sign(text)), [])
    into.write_bytes(into.read_bytes().removesuffix(bundle.END) + rest)
    return into


def digest_of(folder: Path) -> str:
    """What lies in a folder, links as links."""
    told = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        told.update(str(path.relative_to(folder)).encode())
        if path.is_symlink():
            told.update(str(path.readlink()).encode())
        elif path.is_file():
            told.update(path.read_bytes())
    return told.hexdigest()
