"""What the model says of an image by itself, against the true report (Hu 2022, M4I): ROUGE-L.

Greedy, as many tokens as the report has, at most `language_passes.MOST_GENERATED`. ROUGE-L (Lin 2004) is the
F1 of the longest common subsequence of words, lower case, letters and figures only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from audit_core.adapters.families import GENERATIVE
from audit_core.adapters.language_passes import one_prompt_length
from audit_core.readings.prices import PASSES
from audit_core.readings.seam import Read, Reading, Scalars, Scene, register
from audit_core.samples import Sample

NAME = "generated_text"
SCALAR = "rouge_l"
_WORD = re.compile(r"\w+")


def opened(scene: Scene) -> Read:
    """ROUGE-L of each pair; together where nothing has to be padded while text is made."""
    feed = scene.feed

    def read(chunk: Sequence[Sample]) -> Scalars:
        batch = feed.encode(chunk)
        parts = [batch]
        if not one_prompt_length(batch):
            parts = [feed.adapter.encode([sample], feed.settings.max_text_tokens) for sample in chunk]
        said = [text for part in parts for text in feed.adapter.generated(part)]
        told = (feed.adapter.spelled(ids) for ids in feed.adapter.report_ids(batch))
        return {SCALAR: np.array([rouge_l(*both) for both in zip(said, told, strict=True)])}

    return read


def rouge_l(said: str, told: str) -> float:
    """F1 of the longest common subsequence of words, 0 … 1; 0 where either text has no word."""
    ours, theirs = (_WORD.findall(text.lower()) for text in (said, told))
    if not (ours and theirs):
        return 0.0
    best = [0] * (len(theirs) + 1)
    for word in ours:
        before = 0
        for place, other in enumerate(theirs, start=1):
            longest = before + 1 if word == other else max(best[place], best[place - 1])
            before, best[place] = best[place], longest
    return 2.0 * best[-1] / (len(ours) + len(theirs))


register(Reading(NAME, (SCALAR,), (GENERATIVE,), PASSES[NAME], opened))
