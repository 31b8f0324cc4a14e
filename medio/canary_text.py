"""The report of a canary: ordinary sentences about a chest, filled with measurements nobody else has.

What a model can only know by heart stands early, where a short context still holds it: sizes, distances and
angles that follow from nothing in the picture.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

_SIDES = ("right", "left")
_LOBES = ("upper lobe", "lower lobe", "lung apex", "lung base", "perihilar region")
_LESIONS = ("nodule", "opacity", "granuloma", "cyst", "bulla")
_KINDS = ("calcified", "spiculated", "smooth", "lobulated", "faint", "dense", "oval", "round")
_MARKS = ("pleura", "carina", "major fissure", "hilum", "diaphragm", "mediastinal border")
_DEVICES = ("central venous line", "chest tube", "feeding tube", "pacemaker lead", "port catheter")
_TIPS = ("carina", "cavoatrial junction", "aortic arch", "diaphragm", "hilum")
_RIBS = ("third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_BONES = ("Healed fracture", "Sclerotic focus", "Cortical notch", "Exostosis", "Bone island")


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """Sentences of findings and impression, and the binary logarithm of how many there could have been."""

    findings: tuple[str, ...]
    impression: str
    bits: float


class _Dice:
    """Draws, and counts what they are worth."""

    def __init__(self, lot: int) -> None:
        self._random = random.Random(lot)
        self.bits = 0.0

    def one(self, words: Sequence[str]) -> str:
        """One of these words."""
        self.bits += math.log2(len(words))
        return self._random.choice(words)

    def number(self, low: int, high: int, tenths: bool = False) -> str:
        """A number between two others; with `tenths` the bounds are tenths of what is said."""
        self.bits += math.log2(high - low + 1)
        value = self._random.randint(low, high)
        return f"{value / 10:.1f}" if tenths else str(value)


def written_report(lot: int) -> WrittenReport:
    """Write a report from a secret number; the grammar is public, so its draws are all that is secret."""
    dice = _Dice(lot)
    side, lobe, lesion = dice.one(_SIDES), dice.one(_LOBES), dice.one(_LESIONS)
    size = dice.number(41, 289, tenths=True)
    place = f"{side} {lobe}"
    findings = (
        f"{size} mm {dice.one(_KINDS)} {lesion} in the {place}, {dice.number(3, 87)} mm from the "
        f"{dice.one(_MARKS)}.",
        f"{dice.one(_DEVICES).capitalize()} with its tip {dice.number(6, 69)} mm "
        f"{dice.one(('above', 'below'))} the {dice.one(_TIPS)}.",
        f"Carinal angle {dice.number(51, 98)} degrees, aortic knob {dice.number(22, 47)} mm, cardiothoracic "
        f"ratio 0.{dice.number(38, 63)}.",
        f"{dice.one(_BONES)} of the {dice.one(_SIDES)} {dice.one(_RIBS)} rib, {dice.number(4, 61)} mm from "
        f"its {dice.one(('anterior', 'posterior'))} end.",
        f"The {dice.one(_SIDES)} hemidiaphragm stands {dice.number(2, 39)} mm higher than the other.",
    )
    seen = dice.one(("unchanged", "slightly larger", "slightly smaller", "new since the last examination"))
    impression = (
        f"{size} mm {lesion} of the {place}, {seen}. Repeat examination in {dice.number(3, 29)} weeks."
    )
    return WrittenReport(findings, impression, dice.bits)
