"""What the commands on pairs and cohorts print: for a reader, and for a program."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from appliance import narration
from appliance.api import Appliance
from appliance.cli import app
from appliance.commands.cohorts import _outside
from appliance.config import PASSPHRASE_FILE_VARIABLE
from appliance.views import BalanceView, BreakdownView, CohortView, DifferenceView, RoleView
from appliance.workspace.workspace import Workspace
from tests.appliance.test_command_line import STUDIES

SECRET = "four random words here"


@dataclass(frozen=True)
class Row:
    """A row of anything."""

    name: str
    content_digest: str
    counts: tuple[tuple[str, int], ...]
    taken_utc: str = ""
    fresh: bool = False


def test_cells_stand_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """A header, columns as wide as their widest cell, short digests, a dash for nothing."""
    narration.table(False, [Row("a", "0" * 64, (("member", 3),)), Row("漢字", "f" * 64, ())])
    assert capsys.readouterr().out.splitlines() == [
        "name  content digest  counts    taken  fresh",
        "a     000000000000    member 3  -      no",
        "漢字  ffffffffffff    -         -      no",
    ]


def test_foreign_text_in_a_cell_is_inert(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences never reach the terminal, in lists neither."""
    narration.table(False, [Row("\x1b[31mred", "", (("\x1b]52;x\x07", 1),))])
    assert "\x1b" not in capsys.readouterr().out


def test_a_program_reads_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line, whole, whatever columns a reader sees; nothing for no rows."""
    narration.table(True, [Row("a", "0" * 64, ())], columns=["name"])
    assert json.loads(capsys.readouterr().out)["content_digest"] == "0" * 64
    narration.table(False, [])
    assert capsys.readouterr().out == ""


BALANCE = BalanceView(
    roles=(RoleView("target", 9, 9, "20240102", "20240330"),),
    breakdowns=(BreakdownView("Modality", (("CT", (7,)), ("MR", (2,)))),),
    differences=(
        DifferenceView("Modality", "MR", 0.2, 0.4, -0.4, "differ"),
        DifferenceView("image side", "", 512.0, 256.0, None, "differ entirely"),
    ),
)


def test_small_groups_and_days_stay_inside() -> None:
    """What a program may carry away has no group of fewer than five and no day."""
    document = _outside(CohortView("c", "0" * 64, "random", "L5", (("target", 9),), (), BALANCE))
    balance = document["balance"]
    assert balance["breakdowns"][0]["patients"] == [["CT", [7]], ["MR", ["< 5"]]]
    assert (balance["roles"][0]["first"], balance["roles"][0]["last"]) == ("2024", "2024")
    assert [one["targets"] for one in balance["differences"]] == [None, 512.0]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty studies of the demonstration."""
    folder = tmp_path_factory.mktemp("tables")
    (folder / "passphrase").write_text(SECRET)
    (folder / "passphrase").chmod(0o600)
    workspace = Workspace.create(folder / "workspace", SECRET, "Test", unsafe_fast_kdf=True)
    with Appliance(workspace) as appliance:
        appliance.ingest(sorted(STUDIES.iterdir())[:80], lambda step: None)
    return folder


def run(workspace: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What a command prints."""
    monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, str(workspace / "passphrase"))
    done = CliRunner().invoke(
        app, ["--workspace", str(workspace / "workspace"), *arguments], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return done.stdout


def test_pairs_and_cohorts_can_be_read(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the list of pairs to one pair, and from a cohort's making to its balance."""
    listed = run(workspace, monkeypatch, "pairs", "ls").splitlines()
    assert re.match(r"pair id +patient id +accession +study date +modality", listed[0])
    assert all("StudyInstanceUID" in line for line in listed[1:])
    shown = run(workspace, monkeypatch, "pairs", "show", listed[1].split()[0])
    assert "joined by StudyInstanceUID" in shown and "AccessionNumber" in shown and "stands" in shown
    create = [
        "cohort",
        "create",
        "c",
        "--targets",
        "Modality=CT",
        "--controls",
        "rest",
        "--size",
        "controls=12",
    ]
    made = run(workspace, monkeypatch, *create)
    assert made.startswith("cohort c: 5 fitting, 7 calibration,")
    assert "targets against calibration" in made
    assert run(workspace, monkeypatch, "cohort", "show", "c") == made
    (listed_cohort,) = run(workspace, monkeypatch, "cohort", "ls", "--json").splitlines()
    assert json.loads(listed_cohort)["name"] == "c"
    assert json.loads(run(workspace, monkeypatch, "cohort", "show", "c", "--json"))["balance"]
