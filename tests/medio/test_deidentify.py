from __future__ import annotations

import pytest

from medio.deidentify import pseudonym

KEY = bytes(range(32))


def test_the_pseudonym_is_frozen() -> None:
    """A stored pseudonym must be found again by every later version."""
    assert pseudonym(KEY, "SITE", "PAT1") == "P-ab09bb6703e6dc37b186475f"


def test_key_issuer_and_id_all_count() -> None:
    """No two patients, issuers or sites share a pseudonym, however the strings are cut."""
    cases = [
        (KEY, "A|B", "C"),
        (KEY, "A", "B|C"),
        (KEY, "", "A|B|C"),
        (KEY[::-1], "A|B", "C"),
        (KEY, "A", "C"),
    ]
    assert len({pseudonym(*case) for case in cases}) == len(cases)


def test_weak_keys_and_missing_ids_are_refused() -> None:
    """A short key could be searched; no id would make all unknown patients one."""
    for key, patient in ((KEY[:16], "PAT1"), (KEY, "")):
        with pytest.raises(ValueError):
            pseudonym(key, "SITE", patient)
