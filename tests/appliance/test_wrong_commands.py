"""Wrong commands on a site that is there: one error line, one hint, exit 2, and nothing half-done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from appliance import policy_file
from appliance.api import Appliance
from appliance.workspace.workspace import Workspace
from tests.appliance.test_command_line import MODELS, PASSPHRASE, STUDIES, Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A workspace with five studies."""
    made = Site(tmp_path_factory.mktemp("site"))
    workspace = Workspace.create(made.root, PASSPHRASE, "Test", unsafe_fast_kdf=True)
    with Appliance(workspace) as appliance:
        appliance.ingest(sorted(STUDIES.iterdir())[:10], lambda step: None)
    return made


@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest", "/nowhere/at/all"],
        ["models", "add", "m", "/nowhere/at/all"],
        ["models", "add", "bad name!", str(MODELS)],
        ["cohort", "create", "c", "--targets", "all", "--controls", "Modality=ZZ"],
        ["cohort", "create", "c", "--targets", "all", "--controls", "all"],
        ["cohort", "create", "c", "--targets", "all", "--controls", "rest", "--design", "lucky"],
        ["cohort", "create", "a\x1b[31m", "--targets", "all", "--controls", "rest"],
        ["cohort", "create", "c", "--targets", "all", "--controls", "rest", "--members", "all"],
        ["cohort", "create", "c", "--targets", "all", "--controls", "rest", "--references", "L1"],
        ["log", "ls", "--limit", "-3"],
        ["audit", "run", "--model", "nobody", "--cohort", "c"],
        ["audit", "show", "A-000000000000"],
        ["evidence", "pack", "A-000000000000", "-o", "x.zip"],
        ["policy", "check", "/nowhere.toml"],
        ["audit", "run"],
        ["no-such-command"],
    ],
)
def test_a_wrong_command_is_one_line_with_a_hint(site: Site, arguments: list[str]) -> None:
    """Whatever is wrong with a command, the answer is an error line, a hint line and exit 2."""
    site.refused(2, *arguments)


def test_a_policy_with_an_unknown_key_is_refused_by_name(site: Site, tmp_path: Path) -> None:
    """The key is named and the nearest known one offered."""
    file = tmp_path / "own.toml"
    text = (policy_file.FOLDER / "default.toml").read_text()
    file.write_text(text.replace("alpha_fail =", "alpha_fial ="))
    assert "did you mean decision.alpha_fail?" in site.refused(2, "policy", "check", file)


def test_a_model_folder_without_tokenizer_is_refused(site: Site, tmp_path: Path) -> None:
    """Nothing is registered when a part is missing."""
    folder = tmp_path / "model"
    shutil.copytree(MODELS / "lumen-vlm", folder)
    (folder / "tokenizer.json").unlink()
    assert "tokenizer" in site.refused(2, "models", "add", "half", folder)
    assert site.run("models", "ls").stdout == ""


@pytest.mark.parametrize("name", ["modeling_evil.py", "pytorch_model.bin"])
def test_a_model_folder_with_code_or_pickles_is_refused(site: Site, tmp_path: Path, name: str) -> None:
    """Code and pickles are named in the refusal."""
    folder = tmp_path / "model"
    shutil.copytree(MODELS / "lumen-vlm", folder)
    (folder / name).write_bytes(b"import os")
    assert name in site.refused(2, "models", "add", "evil", folder)


def test_refusals_leave_a_log_that_verifies(site: Site) -> None:
    """What was refused on the way is in it, and it is whole."""
    site.refused(2, "models", "add", "m", "/nowhere/at/all")
    assert json.loads(site.run("log", "verify", "--json").stdout)["intact"] is True
