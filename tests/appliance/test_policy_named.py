"""A verdict names the policy that decided it, its version and the digest of its text, wherever it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance import auditing, policy_file, shown
from appliance.api import Appliance
from appliance.cli import app, whole
from appliance.compared import compared
from appliance.pack.pages.page import verdict_page
from appliance.pack.pages.text import verdict_text
from tests.appliance import ward
from tests.appliance.test_limits_shown import FACTS
from tests.appliance.test_policy_dry_run import text

VERSION = "7-spring"
POLICY = policy_file.parse(text(name='"ward"', version=f'"{VERSION}"').encode())
LATER = "A-00000000000c"


@pytest.fixture
def site(root: Path) -> Iterator[Appliance]:
    """A ward's site with one more audit, under a policy of its own."""
    with Appliance.unlock(root, ward.PASSPHRASE, "officer") as opened:
        catalogue = opened._workspace.catalogue
        (before,) = (row for row in catalogue.audits() if row.audit_id == ward.AUDIT)
        digests = {**before.digests, "policy": POLICY.digest, "policy_version": VERSION}
        result = {**(before.result or {}), "policy_text": POLICY.text.decode()}
        catalogue.start_audit(
            replace(
                before, audit_id=LATER, policy="ward", digests=digests, result=result,
                started_utc="2026-01-03T00:00:00+00:00", finished_utc="2026-01-03T00:00:00+00:00",
            )
        )  # fmt: skip
        yield opened


def test_what_begins_keeps_the_version() -> None:
    """Beside the digest, from its first moment: it is known of runs that never ended as well."""
    model: Any = SimpleNamespace(name="lumen", digest="m")
    cohort: Any = SimpleNamespace(name="spring", digest="c")
    begun = auditing.begun(model, cohort, POLICY, {"policy": "ward.toml"})
    assert shown.policy_reference(begun) == f"ward@{VERSION}"
    row = shown.audit_row(begun)
    assert (row.policy, row.policy_version, row.policy_digest) == ("ward", VERSION, POLICY.digest)


def test_what_kept_no_version_is_read_from_its_text(site: Appliance) -> None:
    """Audits of earlier versions of the software: from the policy's text, or by the name alone."""
    (stored,) = (row for row in site._workspace.catalogue.audits() if row.audit_id == LATER)
    older = replace(stored, digests={"policy": POLICY.digest})
    assert shown.policy_reference(older) == f"ward@{VERSION}"
    assert shown.policy_reference(replace(older, result=None)) == "ward"
    assert shown.policy_reference(replace(older, result={"policy_text": "name ="})) == "ward"


def test_the_views_name_it(site: Appliance) -> None:
    """The audit, its row, the overview, its case, a comparison, and the pages of its pack."""
    view = site.audit(LATER)
    assert (view.policy, view.policy_digest) == (f"ward, version {VERSION}", POLICY.digest)
    row = site.audits()[0]
    assert (row.policy, row.policy_version, row.policy_digest) == ("ward", VERSION, POLICY.digest)
    case = site.case(LATER).row
    assert (case.policy, case.policy_digest) == (f"ward@{VERSION}", POLICY.digest)
    told = repr(compared(view, site.audit(ward.AUDIT)).rows)
    assert all(repr(part) in told for part in ("ward", VERSION, POLICY.digest))
    for page in (verdict_page(view, FACTS), verdict_text(view)):
        assert f"ward, version {VERSION}" in page
        assert POLICY.digest in page


def test_the_overview_names_it(site: Appliance) -> None:
    """Each model's last verdict."""
    (stored,) = (row for row in site._workspace.catalogue.audits() if row.audit_id == LATER)
    model: Any = SimpleNamespace(name="lumen", vendor="acme")
    row = shown.overview_row(model, stored)
    assert (row.policy, row.policy_digest) == (f"ward@{VERSION}", POLICY.digest)


@pytest.mark.parametrize("form", ["--json", "--plain", ""])
@pytest.mark.parametrize("words", [("audit", "show", LATER), ("audit", "ls"), ("case", "show", LATER)])
def test_the_commands_name_it(
    site: Appliance,
    root: Path,
    words: tuple[str, ...],
    form: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """For a program, aloud and for a reader: name, version, and at least the digest's first digits."""
    (tmp_path / "passphrase").write_text(ward.PASSPHRASE)
    (tmp_path / "passphrase").chmod(0o600)
    monkeypatch.setenv("GRADAUDIT_WORKSPACE", str(root))
    monkeypatch.setenv("GRADAUDIT_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    capsys.readouterr()
    whole(app)([*words, *filter(None, [form])], standalone_mode=False)
    said = capsys.readouterr().out
    if form == "--json":
        document = json.dumps([json.loads(line) for line in said.splitlines()])
        assert POLICY.digest in document
    for part in ("ward", VERSION, POLICY.digest[:12]):
        assert part in said, part
