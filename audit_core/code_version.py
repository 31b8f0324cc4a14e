"""Which code computes: a digest of this package's own source files. Torch-free."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def code_digest() -> str:
    """Hex SHA-256 over every source file of this package, by path."""
    return digest_of(Path(__file__).resolve().parent)


def digest_of(package: Path) -> str:
    """Hex SHA-256 over every Python and json file below `package`, by path."""
    digest = hashlib.sha256()
    for file in sorted([*package.rglob("*.py"), *package.rglob("*.json")]):
        content = hashlib.sha256(file.read_bytes()).digest()
        digest.update(f"{file.relative_to(package).as_posix()}\0".encode() + content)
    return digest.hexdigest()
