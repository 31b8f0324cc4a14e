"""Entries about the catalogue that were made with the log's key alone: whoever has the disk has it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from appliance import roots
from appliance.api import Appliance
from appliance.errors import IntegrityError, UsageError
from appliance.evidence.entries import Act, Entry
from appliance.evidence.log import EvidenceLog
from appliance.roots import ACT, CatalogueRoots
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.workspace import Workspace
from tests.appliance import members_site as case
from tests.appliance.evidence_case import FrozenClock
from tests.appliance.test_catalogue_roots import CHANGES, KEY, with_roots
from tests.appliance.test_log_segments import in_year


@pytest.fixture
def put_back(tmp_path: Path) -> Path:
    """A catalogue that was put back to the state before the last change, and its log."""
    Catalogue.create(tmp_path / "catalogue.db", KEY, {"site_name": "St. Anna"})
    EvidenceLog.open(tmp_path / "log", clock=in_year(2026)).close()
    with_roots(tmp_path, CHANGES["model"])
    shutil.copy(tmp_path / "catalogue.db", tmp_path / "kept")
    with_roots(tmp_path, CHANGES["audit"])
    shutil.copy(tmp_path / "kept", tmp_path / "catalogue.db")
    return tmp_path


def told(site: Path) -> list[Entry]:
    """What the log says of the catalogue."""
    return EvidenceLog.open(site / "log", create=False).acts(ACT)


def again(entry: Entry, object_: str) -> Act:
    """The same entry with another object."""
    return Act(ACT, object_, entry.outcome, "system", "", entry.detail_digest, entry.result_root)


FORGED: dict[str, Callable[[Entry], Act]] = {
    "as earlier versions wrote it": lambda entry: again(entry, "workspace"),
    "said once more": lambda entry: again(entry, entry.object),
    "without an object": lambda entry: again(entry, ""),
    "with a MAC of zeros": lambda entry: again(entry, "0" * 64),
    "as a beginning": lambda entry: Act(ACT, entry.object, "begins", "system", "", "", entry.result_root),
}


def of_the_state_put_back(site: Path) -> Entry:
    """The entry that said where the catalogue stood that was put back."""
    settled = [entry for entry in told(site) if entry.outcome == "done"]
    return next(one for one in settled[::-1] if one.result_root != settled[-1].result_root)


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_entry_does_not_let_an_older_catalogue_in(put_back: Path, kind: str) -> None:
    """With the log's key one appends what the log once said; the entry is refused, not believed."""
    log = EvidenceLog.open(put_back / "log", create=False)
    log.append_all([FORGED[kind](of_the_state_put_back(put_back))])
    with pytest.raises(IntegrityError, match=r"entry .* of the log was not made with its key"):
        with_roots(put_back, lambda catalogue: None)
    last = EvidenceLog.open(put_back / "log", create=False).entries(-1)[0]
    assert ("catalogue.check", "refused") == (last.act, last.outcome)


def test_without_the_mac_a_forged_entry_is_believed(put_back: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above."""
    log = EvidenceLog.open(put_back / "log", create=False)
    log.append_all([FORGED["said once more"](of_the_state_put_back(put_back))])
    monkeypatch.setattr(CatalogueRoots, "_is_ours", lambda self, entry: True)
    with_roots(put_back, lambda catalogue: None)


def test_pruning_does_not_make_the_log_forget(put_back: Path) -> None:
    """With the log's key one closes the year and removes it; then no entry tells of the catalogue."""
    log = EvidenceLog.open(put_back / "log", create=False, clock=FrozenClock(4_000_000_000_000))
    log.append("a.b")
    while log.closed_years():
        log.remove_oldest_year()
    assert told(put_back) == []
    with pytest.raises(IntegrityError, match="were pruned"):
        with_roots(put_back, lambda catalogue: None)
    log.append_all([FORGED["as earlier versions wrote it"](of_any(put_back))])
    with pytest.raises(IntegrityError, match="not made with its key"):
        with_roots(put_back, lambda catalogue: None)


def of_any(site: Path) -> Entry:
    """An entry as it could have been."""
    catalogue = Catalogue(site / "catalogue.db", KEY)
    root = catalogue.root()
    catalogue.close()
    return Entry(0, 0, "", 0, "system", ACT, "workspace", "done", "", "", root)


def test_a_workspace_of_an_earlier_version_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its entries have no MAC and count until the first one that has; one put back is found either way."""
    Catalogue.create(tmp_path / "catalogue.db", KEY, {"site_name": "St. Anna"})
    EvidenceLog.open(tmp_path / "log").close()
    with monkeypatch.context() as earlier:
        earlier.setattr(CatalogueRoots, "_say", _said_by_an_earlier_version)
        with_roots(tmp_path, CHANGES["model"])
        shutil.copy(tmp_path / "catalogue.db", tmp_path / "first")
        with_roots(tmp_path, CHANGES["cohort"])
    assert {"workspace"} == {entry.object for entry in told(tmp_path)}
    shutil.copytree(tmp_path, tmp_path / "twin")
    shutil.copy(tmp_path / "twin" / "first", tmp_path / "twin" / "catalogue.db")
    with pytest.raises(IntegrityError, match="put back"):
        with_roots(tmp_path / "twin", lambda catalogue: None)
    last = told(tmp_path)[-1]
    with_roots(tmp_path, lambda catalogue: None)
    assert (last.result_root, 64) == (told(tmp_path)[-1].result_root, len(told(tmp_path)[-1].object))
    EvidenceLog.open(tmp_path / "log").append_all([again(last, "workspace")])
    with pytest.raises(IntegrityError, match="not made with its key"):
        with_roots(tmp_path, lambda catalogue: None)


def _said_by_an_earlier_version(
    self: CatalogueRoots, outcome: str, before: str, after: str, following: object
) -> None:
    self._log.append(ACT, roots._OBJECT, outcome, detail_digest=before, result_root=after)


def test_an_entry_counts_at_its_own_number_only(put_back: Path) -> None:
    """The MAC is over the number: what was true at one place of the log is nothing at another."""
    catalogue = Catalogue(put_back / "catalogue.db", KEY)
    log = EvidenceLog.open(put_back / "log", create=False)
    watched = CatalogueRoots(catalogue, log)
    entries = log.acts(ACT)
    assert all(watched._is_ours(entry) for entry in entries)
    moved = [Entry(**{**asdict(entry), "index": entry.index + 1}) for entry in entries]
    assert not any(watched._is_ours(entry) for entry in moved)
    catalogue.close()


def test_keyring_and_catalogue_of_before_a_change_of_keys_are_refused(tmp_path: Path) -> None:
    """Both files of the state before a user left, put back over the ones after: the log knows better."""
    root = tmp_path / "site"
    secrets = case.build(root)
    kept = tmp_path / "kept"
    kept.mkdir()
    for path in [root / "keyring.json", *root.glob("catalogue*.db*")]:
        shutil.copy(path, kept)
    with case.opened(root, "officer", secrets) as opened:
        opened.remove_user("second")
    with case.opened(root, "officer", secrets):
        pass
    for path in root.glob("catalogue*.db*"):
        path.unlink()
    for path in kept.iterdir():
        shutil.copy(path, root)
    with pytest.raises(IntegrityError, match=r"was not made with its key|put back"):
        case.opened(root, "officer", secrets)


def test_pruning_leaves_what_the_log_knows(tmp_path: Path) -> None:
    """Years that go take no knowledge along: where the catalogue stands is said once more before."""
    made = Workspace.create(tmp_path / "site", "officer passphrase", "s", unsafe_fast_kdf=True)
    with Appliance(made) as opened:
        size = opened._log.size
        with pytest.raises(UsageError, match="30 days"):
            opened.prune_log(2001, 6)
        assert (ACT, "done") == (opened._log.entries(size)[0].act, opened._log.entries(size)[0].outcome)
