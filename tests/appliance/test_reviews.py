"""Reviews of the log: by the role they are for, kept through a change of keys; one not kept is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import CannotWrite, IntegrityError
from appliance.workspace.catalogue import Catalogue
from tests.appliance import members_site as case

Site = tuple[Path, dict[str, str]]
FOUND = "Mrs. Canary's record was opened twice"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return tmp_path / "workspace", case.build(tmp_path / "workspace")


def test_an_auditor_reviews_the_log(site: Site) -> None:
    """An auditor writes down what was found; officer and auditor read it, also after the keys changed."""
    root, secrets = site
    with case.opened(root, "auditor", secrets) as opened:
        row = opened.review_log(0, 3, FOUND)
        assert (row.first, row.last, row.found) == (0, 3, FOUND)
        assert row.by.startswith("auditor:")
    with case.opened(root, "officer", secrets) as opened:
        opened.review_log(0, 4, "nothing unusual")
        opened.rotate_keys()
        assert [one.found for one in opened.log_reviews()] == [FOUND, "nothing unusual"]
    with case.opened(root, "auditor", secrets) as opened:
        assert [one.found for one in opened.log_reviews()] == [FOUND, "nothing unusual"]
    assert not [path for path in root.rglob("*") if path.is_file() and b"Canary" in path.read_bytes()]


def test_a_review_that_is_not_kept_is_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the words cannot be stored the log says failed, and there is no review."""
    root, secrets = site

    def full(self: Catalogue, digest: str, content: str) -> None:
        raise CannotWrite("the disk is full")

    with case.opened(root, "auditor", secrets) as opened:
        with monkeypatch.context() as patched, pytest.raises(CannotWrite):
            patched.setattr(Catalogue, "add_review", full)
            opened.review_log(0, 3, FOUND)
        said = [entry.outcome for entry in opened._log.entries(-9) if entry.act == "log.review"]
        assert said == ["begins", "failed"]
        assert opened.log_reviews() == () and opened.last_log_review() == ""


@pytest.mark.parametrize("stored", (None, "", '{"first":0,"found":"nothing","last":3,"salt":"","v":1}'))
def test_a_review_that_was_changed_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch, stored: str | None
) -> None:
    """Words that are gone, or others than the log has the digest of, are an integrity error."""
    root, secrets = site
    with case.opened(root, "officer", secrets) as opened:
        row = opened.review_log(0, 3, FOUND)
        monkeypatch.setattr(Catalogue, "review", lambda self, digest: stored)
        with pytest.raises(IntegrityError, match=f"review of entry {row.entry} is not") as raised:
            opened.log_reviews()
        assert raised.value.hint
