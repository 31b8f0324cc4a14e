"""Jobs over processes: first every seed's untrained models and base, then one job per exposure and seed.

Nothing is kept outside the scratch folder. A process has one thread, reads the pairs once, and gives back
scores only.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TypeVar

import torch
from transformers.utils.logging import disable_progress_bar

from audit_core.adapters.families import CONTRASTIVE, GENERATIVE
from audit_core.detectors.seam import all_detectors
from audit_core.errors import AuditError
from detection import robustness
from detection.exposures import EXPOSURES, PERTURBED, Exposure, expose, make_base, make_start
from detection.pairs import Folder, Lots, deal, read
from detection.scoring import Judged, Outcome, score

ROBUST = "robustness"
ROBUST_DEAREST = 5.0  # forward passes a pair of one reading: texts are not generated seven times over

_Job = TypeVar("_Job")
_folder: Folder | None = None  # of this process; read once by `begin`


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work.

    Attributes:
        key: of an exposure, `robustness`, or a start: `start`, `base`, `start-contrastive`.
    """

    key: str
    seed: int
    scratch: Path
    dearest: float = inf

    def place(self, name: str) -> Path:
        """A folder of this seed."""
        return self.scratch / f"{self.seed}-{name}"


def run(
    pairs: Path,
    keys: Sequence[str],
    seeds: int,
    scratch: Path,
    processes: int,
    say: Callable[[str], None],
    dearest: float = inf,
) -> list[Outcome]:
    """All jobs; the dearest first, so that no process waits long at the end.

    Args:
        pairs: folder with the pairs.
        keys: exposures, and `robustness`.
        seeds: how many.
        scratch: folder for the models.
        processes: at once.
        say: told what took how long.
        dearest: forward passes a pair that a single reading may cost.
    """
    chosen = [exposure for exposure in EXPOSURES if exposure.key in keys]
    if ROBUST in keys:
        chosen.append(PERTURBED)
    starts = dict.fromkeys(_start_of(exposure) for exposure in chosen)
    first = [Job(start, seed, scratch) for start in sorted(starts) for seed in range(seeds)]
    dear = sorted(keys, key=_cost, reverse=True)
    then = [Job(key, seed, scratch, dearest) for key in dear for seed in range(seeds)]
    return in_processes(pairs, [(make, first), (expose_and_score, then)], processes, say)


def in_processes(
    pairs: Path,
    stages: Sequence[tuple[Callable[[_Job], Outcome], Sequence[_Job]]],
    processes: int,
    say: Callable[[str], None],
) -> list[Outcome]:
    """Stage after stage; outcomes come back in the order of the jobs, whichever ends first."""
    found: list[Outcome] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, begin, (pairs,)) as pool:
        for work, jobs in stages:
            futures = [pool.submit(work, job) for job in jobs]
            for future in as_completed(futures):
                for what, (wall, cpu) in future.result().seconds.items():
                    say(f"{what}: {wall:.0f} s, of which {cpu:.0f} s on a processor")
            found += [future.result() for future in futures]
    return found


def begin(pairs: Path) -> None:
    """What every process does first."""
    global _folder  # a pool's initialiser has no other way to hand something to its jobs
    torch.set_num_threads(1)
    disable_progress_bar()
    warnings.simplefilter("ignore", FutureWarning)  # of libraries, about their next version
    _folder = read(pairs)
    all_detectors()  # what cannot be loaded is known before anything is trained


def folder() -> Folder:
    """The pairs this process has read."""
    if _folder is None:
        raise RuntimeError("this process has read no pairs")
    return _folder


@dataclass(slots=True)
class Watch:
    """Seconds since the last look, on the wall and on a processor."""

    wall: float = field(default_factory=time.monotonic)
    cpu: float = field(default_factory=time.process_time)

    def look(self) -> tuple[float, float]:
        """Wall and processor seconds since the last look."""
        before = self.wall, self.cpu
        self.wall, self.cpu = time.monotonic(), time.process_time()
        return self.wall - before[0], self.cpu - before[1]


def make(job: Job) -> Outcome:
    """Untrained models, and bases trained on other pairs."""
    watch = Watch()
    lots = deal(folder(), job.seed)
    if job.key == "base":
        make_base(job.place("base"), lots.base, job.seed)
    else:
        family = CONTRASTIVE if job.key.endswith(CONTRASTIVE) else GENERATIVE
        make_start(job.place(job.key), family, [pair.text for pair in lots.base], job.seed)
    return Outcome(seconds={f"seed {job.seed}: {job.key}": watch.look()})


def expose_and_score(job: Job) -> Outcome:
    """Train one model on the members and judge the tested pairs."""
    watch = Watch()
    exposure = next((one for one in EXPOSURES if one.key == job.key), PERTURBED)
    lots = deal(folder(), job.seed)
    trained = expose(exposure, job.place(_start_of(exposure)), job.place(job.key), lots.members, job.seed)
    training = watch.look()
    known, tested = zip(lots.split(lots.members), lots.split(lots.others), strict=True)
    asked = perturbations(lots, job.seed) if job.key == ROBUST else [Judged(exposure.name, *tested)]
    try:
        limit = min(job.dearest, ROBUST_DEAREST if job.key == ROBUST else inf)
        outcome = score(trained, lots, known, asked, job.seed, limit)
    except AuditError as error:  # one exposure without figures does not cost the others theirs
        outcome = Outcome(not_run=[(one.setting, "all", job.seed, str(error)) for one in asked])
    name = f"seed {job.seed}: {job.key}"
    outcome.seconds |= {f"{name}, training": training, f"{name}, audit": watch.look()}
    return outcome


def perturbations(lots: Lots, seed: int) -> list[Judged]:
    """The tested pairs as they are and under every perturbation."""
    _, members = lots.split(lots.members)
    _, others = lots.split(lots.others)
    return [
        Judged(
            setting_of(name),
            *(
                pairs if name == robustness.UNCHANGED else robustness.perturbed(pairs, name, seed)
                for pairs in (members, others)
            ),
        )
        for name in robustness.CONDITIONS
    ]


def setting_of(condition: str) -> str:
    """What the tables call a perturbation."""
    return f"{PERTURBED.name}, {condition}"


def _start_of(exposure: Exposure) -> str:
    if exposure.start != "scratch":
        return "base"
    return f"start-{CONTRASTIVE}" if exposure.family == CONTRASTIVE else "start"


def _cost(key: str) -> int:
    return 100 if key == ROBUST else next(one.epochs for one in EXPOSURES if one.key == key)


def to_stderr(line: str) -> None:
    """Narration."""
    print(line, file=sys.stderr, flush=True)
