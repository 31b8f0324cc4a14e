"""The jobs of benchmarks/paper.py: which models the experiments need, trained and audited by process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.families import GENERATIVE
from audit_core.errors import AuditError
from audit_core.shares import percent
from detection import jobs, published
from detection.exposures import EXPOSURES, TEXT_WIDTH, expose, make_base, make_start
from detection.pairs import Lots, deal, halves
from detection.published import Contrast, Place
from detection.scoring import Outcome

TUNED = next(one for one in EXPOSURES if one.key == "tuned-6")
SCRATCH = next(one for one in EXPOSURES if one.key == "scratch")
ON_TUNED = ("non-members", "last-k", "tau", "similarity", "pictures")


@dataclass(frozen=True, slots=True)
class PaperJob:
    """One model to be trained and audited.

    Attributes:
        kind: `tuned`, `scratch` or `halves` (from scratch on one half of all pairs).
        width: of its language model.
        share: of the members it is fine-tuned on.
        asked: experiments.
    """

    kind: str
    seed: int
    scratch: Path
    asked: tuple[str, ...]
    width: int = TEXT_WIDTH
    share: float = 1.0

    @property
    def start(self) -> Path:
        """Where its starting point lies."""
        return self.scratch / f"{self.seed}-{self.kind}-{self.width}-start"

    @property
    def name(self) -> str:
        """For the narration."""
        return f"seed {self.seed}: {self.kind}, width {self.width}, {percent(self.share)} of the members"


def run(
    pairs: Path,
    experiments: Sequence[str],
    seeds: int,
    scratch: Path,
    processes: int,
    say: Callable[[str], None],
) -> list[Outcome]:
    """Starting points first, then every model."""
    asked = tuple(experiments)
    work = [job for seed in range(seeds) for job in needed(asked, seed, scratch)]
    starts = list({job.start: job for job in work}.values())
    return jobs.in_processes(pairs, [(make, starts), (audit, work)], processes, say)


def needed(asked: tuple[str, ...], seed: int, scratch: Path) -> list[PaperJob]:
    """The models of one seed, the dearest first."""
    wanted: dict[tuple[int, float], None] = {}
    if "model-size" in asked:
        wanted |= {(width, 1.0): None for width in sorted(published.WIDTHS, reverse=True)}
    if "tuning-size" in asked:
        wanted |= {(TEXT_WIDTH, share): None for share in published.SHARES}
    if set(ON_TUNED) & set(asked):
        wanted[TEXT_WIDTH, 1.0] = None
    found = [PaperJob("tuned", seed, scratch, asked, width, share) for width, share in wanted]
    if "references" in asked:
        found.append(PaperJob("halves", seed, scratch, asked))
    if "non-members" in asked:
        found.append(PaperJob("scratch", seed, scratch, ("non-members",)))
    return found


def make(job: PaperJob) -> Outcome:
    """The untrained model, or the base."""
    watch = jobs.Watch()
    lots = _lots(job)
    if job.kind == "tuned":
        make_base(job.start, lots.base, job.seed, job.width)
    else:
        make_start(job.start, GENERATIVE, [pair.text for pair in lots.base], job.seed, job.width)
    return Outcome(seconds={f"{job.name}, start": watch.look()})


def audit(job: PaperJob) -> Outcome:
    """Train one model and make the experiments that need it."""
    watch = jobs.Watch()
    lots = _lots(job)
    members = lots.members[: round(job.share * len(lots.members))]
    exposure = TUNED if job.kind == "tuned" else SCRATCH
    out = job.scratch / f"{job.seed}-{job.kind}-{job.width}-{job.share}"
    model, _ = expose(exposure, job.start, out, members, job.seed).open()
    training = watch.look()
    try:
        outcome = _experiments(job, model, replace(lots, members=members))
    except AuditError as error:
        outcome = Outcome(not_run=[(name, job.name, job.seed, str(error)) for name in job.asked])
    outcome.seconds |= {f"{job.name}, training": training, f"{job.name}, audit": watch.look()}
    return outcome


def _experiments(job: PaperJob, model: ModelAdapter, lots: Lots) -> Outcome:
    if job.kind == "halves":
        return published.reference_sizes(model, lots.members, lots.others, job.seed)
    contrast = held_out(lots)
    if job.kind == "scratch":
        return published.against_both(model, contrast, "from scratch", job.seed, job.asked)
    outcome = Outcome()
    usual = job.width == TEXT_WIDTH and job.share == 1.0
    if usual and set(ON_TUNED) & set(job.asked):
        outcome = published.against_both(model, contrast, "fine-tuned", job.seed, job.asked)
    sizes: list[tuple[str, str]] = []
    if "model-size" in job.asked and job.share == 1.0:
        sizes.append(("model-size", f"{model.parameters / 1e6:.1f} M parameters"))
    if "tuning-size" in job.asked and job.width == TEXT_WIDTH:
        sizes.append(("tuning-size", f"{len(lots.members)} pairs"))
    if sizes:
        everything = published.read(model, contrast.member_references, contrast.pairs)
        table = published.last_layers(everything, model, published.LAST_K)
        for experiment, variant in sizes:
            published.judge(table, contrast, Place(experiment, variant, job.seed), outcome)
    return outcome


def held_out(lots: Lots) -> Contrast:
    """References and tested pairs; as many reference others as reference members."""
    member_references, members = lots.split(lots.members)
    other_references, others = lots.split(lots.others)
    return Contrast(member_references, other_references[: len(member_references)], members, others)


def _lots(job: PaperJob) -> Lots:
    return (halves if job.kind == "halves" else deal)(jobs.folder(), job.seed)
