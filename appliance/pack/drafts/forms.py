"""Which drafts there are, what each asks, and which facts of an audit it begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_AUDIT: Final = ("model", "vendor", "verdict", "exposure", "share", "tier", "proof", "closed")


@dataclass(frozen=True, slots=True)
class Form:
    """One draft.

    Attributes:
        name: of its sentences in the table of words.
        member: of the pack.
        facts: filled in at the top, in this order.
        steps: how many questions it has; each has a heading, what the audit does not know, and a blank.
        deciding: numbers of the questions that are decisions, with reasons, name, date and signature.
    """

    name: str
    member: str
    facts: tuple[str, ...]
    steps: int
    deciding: tuple[int, ...]


FORMS: Final = (
    Form(
        "breach", "drafts/breach-assessment.html", (*_AUDIT, "reasons", "claims", "data", "policy"), 6, (5, 6)
    ),
    Form("dpia", "drafts/dpia.html", (*_AUDIT, "data", "modalities", "isolation", "policy"), 5, (5,)),
    Form(
        "ropa", "drafts/ropa.html",
        ("model", "vendor", "data", "modalities", "years", "isolation", "retention"), 6, (),
    ),
    Form("access", "drafts/access-answer.html", (*_AUDIT, "data"), 5, (5,)),
    Form("erasure", "drafts/erasure-answer.html", (*_AUDIT, "claims"), 5, (2, 5)),
)  # fmt: skip
