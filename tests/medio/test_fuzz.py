"""A few damaged files of every kind, and the harness shown to see faults (benchmarks/soak/fuzz_dicom.py)."""

from __future__ import annotations

from collections import Counter

import pytest
from fuzz_dicom import CONTROL, control
from fuzzing.mutants import mutant
from fuzzing.prison import Prison
from fuzzing.seeds import seeds

COUNT = {"dicom": 150, "reports": 40, "archives": 60}


@pytest.mark.parametrize("kind", COUNT)
def test_damaged_files_are_read_or_refused(kind: str) -> None:
    """No exception but ours, no death, no hang; damage shows, so that some are refused and some read."""
    files = seeds(kind, None)
    ends: Counter[str] = Counter()
    with Prison("archive" if kind == "archives" else "content") as prison:
        for index in range(COUNT[kind]):
            one = mutant(kind, files, 7, index)
            verdict = prison.read(one.data, one.ending)
            assert verdict.fine, (index, one.origin, one.steps, verdict)
            ends[verdict.end] += 1
    assert ends["refused"] > 5 and ends["read"] > 5


def test_a_mutant_depends_on_its_number_alone() -> None:
    """The same seed and number give the same bytes; a step left out leaves the others as they were."""
    files = seeds("dicom", None)
    made = [mutant("dicom", files, 7, index) for index in range(40)]
    assert made == [mutant("dicom", files, 7, index) for index in range(40)]
    assert len({one.data for one in made}) > 35
    several = next(one for one in made if len(one.steps) == 2)
    assert mutant("dicom", files, 7, several.index, (0, 1)).data == several.data
    assert mutant("dicom", files, 7, several.index, (0,)).steps == several.steps[:1]


def test_the_harness_sees_faults() -> None:
    """A reader that raises, aborts, loops, sleeps or fills memory is caught; the next file is read."""
    assert control(0.5) == {letter.decode(): end for letter, end in CONTROL.items()}
