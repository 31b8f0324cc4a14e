"""The first file an auditor opens."""

from __future__ import annotations

from appliance.words.table import tell


def readme(key_words: str) -> str:
    """README.txt of a pack."""
    return tell("pack.readme", words=key_words)
