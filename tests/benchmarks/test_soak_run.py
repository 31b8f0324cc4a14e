"""The runner of the long harnesses: counts add up, and whatever goes wrong is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import run as soak
from run import BAD, Found, Harness, main, put, result, soaked, table

_SCRIPT = """
import argparse, json, sys
parser = argparse.ArgumentParser()
parser.add_argument("--count", type=int)
parser.add_argument("--seed", type=int)
asked = parser.parse_args()
{body}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(soak, "FOLDER", tmp_path)
    return tmp_path


def script(folder: Path, name: str, body: str) -> Harness:
    (folder / f"{name}.py").write_text(_SCRIPT.format(body=body))
    return Harness(name, "kills", 7)


def test_rounds_add_up(folder: Path) -> None:
    """Every round has its own seed and its tries are summed; without time left each harness has one round."""
    said = 'print(json.dumps({"tried": asked.count, "lost": 0, "seeds": asked.seed, "words": "none"}))'
    one, other = script(folder, "one", said), script(folder, "other", said)
    found = soaked([one, other], 0.0, 5)
    assert [(each.rounds, each.counts["tried"], each.counts["seeds"]) for each in found] == [(1, 7, 5)] * 2
    plain = result(found, 0.0)
    assert plain["totals"]["kills"] == 14 and not any(plain["totals"][bad] for bad in BAD)


@pytest.mark.parametrize(
    ("body", "bad"),
    [
        ('print(json.dumps({"tried": 7, "lost": 2}))', "lost"),
        ('print(json.dumps({"tried": 7, "missed_mutants": 1})); sys.exit(1)', "missed_mutants"),
        ('print(json.dumps({"tried": 7})); sys.exit(1)', "failures"),
        ("raise RuntimeError", "deaths"),
    ],
)
def test_what_goes_wrong_is_counted_and_told(folder: Path, body: str, bad: str) -> None:
    """A loss, a missed mutant, a bad exit status and a death each make the total of their kind."""
    plain = result(soaked([script(folder, "bad", body)], 0.0, 0), 0.0)
    assert plain["totals"][bad] >= 1
    assert plain["harnesses"][0]["said"]


def test_exit_status_and_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status says whether anything was bad, and the table goes between the marks of the page."""
    page = folder / "page.md"
    page.write_text("before\n<!-- soak -->\nold\n<!-- end of soak -->\nafter\n")
    monkeypatch.setattr(soak, "HARNESSES", (script(folder, "one", 'print(json.dumps({"tried": 7}))'),))
    assert main(["--minutes", "0", "--page", str(page)]) == 0
    told = page.read_text()
    assert told.startswith("before") and told.endswith("after\n") and "old" not in told
    assert "| 7 kills |" in told and "| 7 kills |" in capsys.readouterr().out
    monkeypatch.setattr(soak, "HARNESSES", (script(folder, "bad", 'print(json.dumps({"lost": 1}))'),))
    assert main(["--minutes", "0"]) == 1


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    """Nothing is written where there is no place for it."""
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(SystemExit, match="no marks"):
        put(page, table(result([Found(Harness("x", "kills", 1))], 1.0)))
    assert page.read_text() == "nothing"


def test_every_long_harness_is_run() -> None:
    """Each script of the folder that can be started is in the list, or named with a reason as run by hand."""
    started = {
        path.stem for path in soak.FOLDER.glob("*.py") if 'if __name__ == "__main__"' in path.read_text()
    }
    assert {harness.name for harness in soak.HARNESSES} == started - set(soak.ALONE)
    assert set(soak.ALONE) <= started and all(soak.ALONE.values())


def test_what_needs_a_missing_tool_says_so(folder: Path) -> None:
    """A harness that cannot run here is no failure, and stands below the table."""
    harness = script(folder, "one", 'print(json.dumps({"tried": 0, "not_shown": "needs strace"}))')
    plain = result(soaked([harness], 0.0, 0), 0.0)
    assert not any(plain["totals"][bad] for bad in BAD)
    assert "one: not shown: needs strace" in table(plain)


def test_what_a_harness_tells_of_each_try_is_no_part_of_its_counts() -> None:
    """Hostile models are named one by one beside the one JSON object, and the runner reads that."""
    found = soak.Found(soak.Harness("intake", "bundles", 2))
    soak._round(found, 0)
    assert (found.counts["tried"], found.counts["deaths"], found.said) == (2, 0, [])
