"""The long harnesses of whole commands, short: kills at random moments, and canaries in every byte."""

from __future__ import annotations

import canaries
import command_kill


def test_killed_commands_lose_nothing_and_mutants_are_seen() -> None:
    """Three kills while a user is added; files written in place and a catalogue put back are found out."""
    found = command_kill.run(3, seed=1, only=("user",))
    assert (found["lost"], found["false_alarms"], found["failures"]) == (0, 0, 0), found["said"]
    assert (2, []) == (found["mutants"], found["missed"])


def test_no_canary_in_any_byte() -> None:
    """A site that scans, is killed, crashes, exports, reveals, is backed up and changes its keys."""
    found = canaries.run(1, seed=1)
    assert (found["found"], found["failures"]) == (0, 0), found["said"]
    assert found["tried"] >= 40


def test_the_search_for_canaries_can_find() -> None:
    """Without encryption, without redaction, and with a note beside the log, a canary is found."""
    assert canaries.missed() == []
