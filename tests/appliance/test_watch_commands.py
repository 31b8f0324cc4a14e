"""The watch on the command line: what a reader and what a program sees of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from appliance import cli
from appliance.errors import UsageError
from appliance.watched import Watched
from appliance.worker import Worker
from tests.appliance.watched_site import PASSPHRASE, WEIGHTS, Site, flip, in_process

REASON = "the vendor has explained it"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A registered line that has changed once, and is open nowhere."""
    with Worker([], "audit", threads=1) as worker, pytest.MonkeyPatch.context() as patched:
        in_process(patched)
        opened = Site(tmp_path_factory.mktemp("site"), worker)
        folder = opened.line("lumen")
        opened.appliance.close()
        flip(folder / "model" / WEIGHTS)
        yield opened


@pytest.fixture(autouse=True)
def _opens(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_process(monkeypatch)
    monkeypatch.setattr(Watched, "_quiet_s", 0.0)
    (tmp_path / "secret").write_text(PASSPHRASE)
    (tmp_path / "secret").chmod(0o600)
    monkeypatch.setenv("GRADAUDIT_WORKSPACE", str(site.root))
    monkeypatch.setenv("GRADAUDIT_PASSPHRASE_FILE", str(tmp_path / "secret"))


def run(*arguments: str) -> Result:
    """One command in this process."""
    done = CliRunner().invoke(cli.app, ["models", *arguments])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done


def printed(*arguments: str) -> dict[str, object]:
    """What a command prints as JSON: its last line."""
    return dict(json.loads(run(*arguments, "--json").stdout.splitlines()[-1]))


def test_a_change_by_commands() -> None:
    """Look, list, show, answer, announce, lineage: as a reader and as a program sees it."""
    assert "no model was looked at yet" in run("watch", "--last").stderr
    assert "no change of a model" in run("changes").stderr
    row = printed("watch", "lumen")
    assert (row["model"], row["state"], row["changed"]) == ("lumen@2", "changed", ["weights"])
    assert "looking at files" in run("watch").stderr
    assert "unchanged" in run("watch", "--last").stdout
    assert run("watch", "--last", "other").stdout == ""
    listed = run("changes", "lumen").stdout
    assert "lumen@2" in listed and "unannounced" in listed and "6 d 23 h left" in listed
    whole = run("changes", "lumen@2").stdout
    assert "lumen@2 against lumen@1: unannounced" in whole and WEIGHTS in whole
    assert "tensors differs, 1 of the differing ones are audited" in whole or "0 of the differing" in whole
    assert "lumen@2" in run("ls").stdout
    assert printed("show", "lumen@1")["version"] == 1
    assert "a later version lies in the vendor's folder" in run("verify", "lumen@1").stdout
    assert "answered: lumen@2" in run("answer", "lumen@2", "--reason", REASON).stdout
    assert REASON in run("changes", "lumen@2").stdout
    said = run("announce", "lumen", "--reason", REASON, "--release", "3 [b]", "--until", "2999-01-01").stdout
    assert "the next change of lumen until 2999-01-01" in said
    told = run("announcements").stdout
    assert "waits for its change" in told and "3 (b)" in told
    assert printed("announcements", "lumen")["release"] == "3 (b)"
    tree = run("lineage").stdout
    assert tree.startswith("model lumen ") and "lumen@2  unannounced" in tree and "not audited" in tree
    versions = printed("lineage", "lumen")["versions"]
    assert [row["model"] for row in versions] == ["lumen@1", "lumen@2"]  # type: ignore[attr-defined]


def test_a_model_that_is_not_there() -> None:
    """One line, whatever is asked of it."""
    for command in ("watch", "changes", "lineage", "announcements"):
        done = CliRunner().invoke(cli.app, ["models", command, "nobody"])
        assert isinstance(done.exception, UsageError) and "no model nobody" in str(done.exception)
