"""Findings held open for a session: opened once, watched, dropped with the keys; a reveal asks again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from appliance.api import Appliance
from appliance.errors import IntegrityError, Locked, NotPermitted
from appliance.finding_views import HIGHEST, WIDEST, FindingsAsked, Second
from appliance.revealed import thumbnail
from appliance.workspace.evidence_batches import EVIDENCE
from appliance.workspace.evidence_store import engine_of, file_of
from appliance.workspace.workspace import Workspace
from tests.appliance import ward

REASON = "an access request"
SECOND = Second("second", "words of a second one")


def unlocked(root: Path, passphrase: str = ward.PASSPHRASE, name: str = "officer") -> Appliance:
    return Appliance.unlock(root, passphrase, name)


def acts(site: Appliance) -> list[tuple[str, str]]:
    return [(one.act, one.outcome) for one in site._log.rows(0, site.log_count())]


def with_two(root: Path) -> None:
    """The site takes two officers for findings."""
    with unlocked(root) as site:
        site.add_user(SECOND.name, "officer", SECOND.secret)
        site.set_quorum(2)


def left_unlocked(root: Path) -> Appliance:
    """What `gradaudit unlock` leaves: the keys of work, and no passphrase."""
    with unlocked(root) as site:
        keyring, keys = site._workspace.keyring, site._workspace._opened
    return Appliance(Workspace(root, keyring, keys))


def test_the_first_page_is_an_entry_and_the_next_are_none(root: Path) -> None:
    """Paging and filtering write nothing; what is listed is what a single command lists."""
    with unlocked(root) as site:
        expected = site.findings(ward.AUDIT)
    with unlocked(root) as site:
        site.open_findings()
        assert site.findings_need().opened
        first = site.findings_page(ward.AUDIT, FindingsAsked(), 0, 5)
        before = site.log_count()
        second = site.findings_page(ward.AUDIT, FindingsAsked(), 5, 100)
        assert (*first.rows, *second.rows) == expected
        assert first.total == len(expected)
        assert site.findings_page(ward.AUDIT, FindingsAsked(role="calibration"), 0, 3).rows
        assert site.log_count() == before
        assert ("findings.open", "allowed") in acts(site)
        assert acts(site).count(("findings.list", "allowed")) == 2
        site.finding(ward.AUDIT, expected[0].patient)
        assert site.log_count() == before + 1


def test_two_sites_look_at_once(root: Path) -> None:
    """Findings held open keep nobody out."""
    with unlocked(root) as one, unlocked(root) as other:
        one.open_findings()
        one.findings_page(ward.AUDIT)
        other.open_findings()
        assert other.findings_page(ward.AUDIT) == one.findings_page(ward.AUDIT)


def test_an_audit_that_ended_meanwhile_is_there(root: Path) -> None:
    """Its batch is merged when it is asked for, and the list of the first stays right."""
    later = "A-00000000000c"
    with unlocked(root) as site:
        site.open_findings()
        before = site.findings_page(ward.AUDIT)
        ward.audited(site._workspace, site._cohort(ward.COHORT), later, "done")
        assert site.findings_page(later).total == before.total
        assert site.findings_page(ward.AUDIT) == before


def test_an_erased_patient_leaves_an_open_list(root: Path) -> None:
    """Erased by another program while the list is open: the next page has none of it."""
    with unlocked(root) as site:
        site.open_findings()
        before = site.findings_page(ward.AUDIT)
        with unlocked(root) as other:
            plan = other.erasure_plan(ward.ERASED_ONE)
            other.erase_patient(ward.ERASED_ONE, confirmed=plan.patient)
            other.findings(ward.AUDIT)  # carries it out
        after = site.findings_page(ward.AUDIT)
        assert plan.patient in {row.patient for row in before.rows}
        assert plan.patient not in {row.patient for row in after.rows}
        assert after.total < before.total


def test_a_lock_drops_what_was_opened(root: Path) -> None:
    """After it neither a connection nor the evidence key is left in the program."""
    site = unlocked(root)
    site.open_findings()
    site.findings_page(ward.AUDIT)
    site.lock()
    assert (site._held, site._typed) == (None, None)


def test_a_changed_evidence_key_ends_it(root: Path) -> None:
    """The quorum was changed by another program: nothing more is shown, also not what was listed."""
    with unlocked(root) as site:
        site.open_findings()
        site.findings_page(ward.AUDIT)
        with_two(root)
        with pytest.raises(Locked):
            site.findings_page(ward.AUDIT)
        assert site._held is None


def test_a_database_put_in_its_place_ends_it(root: Path) -> None:
    """Another file under the same name is not looked into past the checks of an opening."""
    with unlocked(root) as site:
        site.open_findings()
        site.findings_page(ward.AUDIT)
        (path,) = (root / EVIDENCE).glob("evidence-*.db")
        other = path.with_suffix(".copy")
        other.write_bytes(path.read_bytes())
        other.replace(path)
        with pytest.raises(NotPermitted, match="another file"):
            site.findings_page(ward.AUDIT)


def test_rows_changed_past_the_software_are_not_listed(root: Path) -> None:
    """A score that somebody with the key changed by hand is noticed when the list is opened."""
    with unlocked(root) as site:
        site.findings(ward.AUDIT)
        key = site._workspace.evidence_key()
        engine = engine_of(file_of(root / EVIDENCE, key), key)
        with engine.connect() as connection, connection.begin():
            connection.execute(text("UPDATE scores SET value = -1.0 WHERE value > 1.0"))
        engine.dispose()
        site.open_findings()
        with pytest.raises(IntegrityError, match="not those that were merged"):
            site.findings_page(ward.AUDIT)


# -- who has to be there -------------------------------------------------------------------------------------


def test_left_unlocked_takes_the_passphrase(root: Path) -> None:
    """What `unlock` keeps opens nothing; a wrong passphrase neither, and each try is an entry."""
    with left_unlocked(root) as site:
        assert site.findings_need().passphrase
        with pytest.raises(NotPermitted):
            site.open_findings()
        with pytest.raises(Locked):
            site.open_findings("not the passphrase")
        assert {("findings.open", "refused"), ("workspace.join", "refused")} <= set(acts(site))
        site.open_findings(ward.PASSPHRASE)
        patient = site.findings_page(ward.AUDIT).rows[0].patient
        assert site.reveal_images(ward.AUDIT, patient, REASON).who.identities
        assert not site.findings_need().passphrase


def test_the_second_one_is_there_for_one_act(root: Path) -> None:
    """With a quorum of two the list stays open, and a reveal takes the second one again."""
    with_two(root)
    with unlocked(root) as site:
        assert site.findings_need().second
        with pytest.raises(NotPermitted):
            site.open_findings()
        site.open_findings(second=SECOND)
        patient = site.findings_page(ward.AUDIT).rows[0].patient
        with pytest.raises(NotPermitted):
            site.reveal_images(ward.AUDIT, patient, REASON)
        assert ("findings.reveal", "refused") in acts(site)
        assert site.reveal_images(ward.AUDIT, patient, REASON, SECOND).who.patient == patient
        with pytest.raises(NotPermitted):
            site.reveal_images(ward.AUDIT, patient, REASON)
        assert [one.by for one in site.reveals()] == ["officer, second"]


# -- what a reveal shows -------------------------------------------------------------------------------------


def test_a_reveal_shows_small_images_and_masked_texts(root: Path) -> None:
    """One of each pair that is still there, after the entry; nothing of them in the view's own words."""
    with unlocked(root) as site:
        site.open_findings()
        patient = site.findings_page(ward.AUDIT).rows[0].patient
        view = site.reveal_images(ward.AUDIT, patient, REASON)
        assert ("findings.reveal", "allowed") in acts(site)
        assert {one.pair_id for one in view.pairs} == {one.pair_id for one in view.who.studies}
        for one in view.pairs:
            assert (len(one.image), {len(row) for row in one.image}) == (8, {8})
            assert one.text.startswith("text ")
            assert one.masked
        identity = view.who.identities[0][1]
        assert identity not in repr(view)
        assert view.pairs[0].text not in repr(view)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (97, 5), (3000, 2000), (100, 4000), (1, 500)])
def test_a_thumbnail_is_small_and_true(shape: tuple[int, int]) -> None:
    """Never larger than stated or than the frame, of its shape, each pixel the mean of its area."""
    frame = np.broadcast_to(np.random.default_rng(1).integers(0, 256, (*shape, 1), np.uint8), (*shape, 3))
    rows = thumbnail(frame)
    assert 1 <= len(rows) <= min(HIGHEST, shape[0])
    assert {len(row) for row in rows} == {len(rows[0])}
    assert 1 <= len(rows[0]) <= min(WIDEST, shape[1])
    small = np.array([list(row) for row in rows])
    edges = [np.append(np.arange(n) * size // n, size) for n, size in zip(small.shape, shape, strict=True)]
    for y in {0, len(rows) // 2, len(rows) - 1}:
        for x in {0, len(rows[0]) - 1}:
            area = frame[edges[0][y] : edges[0][y + 1], edges[1][x] : edges[1][x + 1], 0]
            rounded = small[y, x]
            assert abs(rounded - area.mean()) <= 0.51
