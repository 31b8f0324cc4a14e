"""Policies on the command line: what the screen does, with exit codes, hints and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance import policy_file
from tests.appliance.test_users_commands import Site

DEFAULT = (policy_file.FOLDER / "default.toml").read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


def file(site: Site, version: str, name: str = "default") -> Path:
    """default.toml under another version, with a smaller share to be found."""
    path = site.folder / f"{name}-{version}.toml"
    text = DEFAULT.replace('version = "shipped-2"', f'version = "{version}"')
    path.write_text(text.replace("must_detect = 0.25", "must_detect = 0.2").replace('"default"', f'"{name}"'))
    return path


def rows(text: str) -> dict[str, dict[str, str]]:
    """Versions by reference."""
    return {row["reference"]: row for row in map(json.loads, text.splitlines())}


def test_from_a_file_to_what_is_in_force(site: Site) -> None:
    """check, propose, diff, dry-run, approve by two, show, ls: with one officer missing it is exit 21."""
    own = file(site, "2", "ward")
    assert site.run("policy", "check", str(own), user="").stdout.startswith("ward version 2: usable")
    site.run("users", "quorum", "2", "--with", "second", "--with-fd", "{0}", given=[site.secrets["second"]])
    done = site.run("policy", "propose", str(own), "--reason", "as the board asked", user="operator")
    assert (done.returncode, "dry-run ward" in done.stderr) == (0, True), done.stderr
    assert "as the board asked" not in done.stdout + done.stderr
    done = site.run("policy", "diff", "default", "ward@2")
    assert "changed  decision.must_detect: 0.25 -> 0.2  (stricter)" in done.stdout
    found = json.loads(site.run("policy", "diff", "default", "ward@2", "--json").stdout)
    assert {one["key"]: one["effect"] for one in found["keys"]} == {
        "name": "neither", "version": "neither", "decision.must_detect": "stricter",
    }  # fmt: skip
    assert "0 finished audits under ward@2" in site.run("policy", "dry-run", "ward").stderr
    alone = site.run("policy", "approve", "ward@2")
    assert (alone.returncode, "two officers together" in alone.stderr) == (21, True)
    done = site.run(
        "policy", "approve", "ward@2", "--with", "second", "--with-fd", "{0}",
        given=[site.secrets["second"]],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = site.run("policy", "show", "ward").stdout
    assert "ward@2: in force since" in told
    assert "approved  officer, second" in told and "as the board asked" in told and "[decision]" in told
    assert rows(site.run("policy", "ls", "--json").stdout)["ward@2"]["state"] == "in force"


def test_a_proposal_is_rejected_with_a_reason(site: Site) -> None:
    """The name alone is not enough; afterwards its version is used up."""
    own = file(site, "9", "clinic")
    assert site.run("policy", "propose", str(own)).returncode == 0
    done = site.run("policy", "reject", "clinic", "--reason", "no")
    assert (done.returncode, "hint: name the version: clinic@9" in done.stderr) == (2, True)
    assert site.run("policy", "reject", "clinic@9", "--reason", "too few controls").returncode == 0
    assert rows(site.run("policy", "ls", "--json").stdout)["clinic@9"]["state"] == "rejected"
    again = site.run("policy", "approve", "clinic@9")
    assert (again.returncode, "no policy clinic@9 waits" in again.stderr) == (2, True)


def test_a_wrong_file_is_named_by_line(site: Site) -> None:
    """Key, line and the nearest key there is; exit 2."""
    path = site.folder / "wrong.toml"
    path.write_text(DEFAULT.replace("alpha_fail =", "alpha_fial ="))
    for words in (("check",), ("propose",)):
        done = site.run("policy", *words, str(path))
        assert done.returncode == 2
        assert f"error: {path}, line 8: the policy has an unknown key decision.alpha_fial" in done.stderr
        assert "hint: did you mean decision.alpha_fail?" in done.stderr


def test_who_may_not_decide_is_told(site: Site) -> None:
    """An auditor reads and compares; proposing, approving and rejecting are exit 21."""
    assert site.run("policy", "show", "hipaa", user="auditor").returncode == 0
    for words in (("propose", "x.toml"), ("approve", "x@1"), ("reject", "x@1", "--reason", "no")):
        done = site.run("policy", *words, user="auditor")
        assert (done.returncode, "Ask an" in done.stderr) == (21, True), words
