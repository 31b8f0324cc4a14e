"""Synthetic pairs: drawn pictures that look a little like radiographs and sections, with questions, answers.

They teach the demo's models to speak the demo's language without any patient. Everything follows from a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SIZE = 128  # pixels, square
_SIDES = ("left", "right")
_ORGANS = ("chest", "abdomen", "head")


@dataclass(frozen=True, slots=True)
class SyntheticPair:
    """A drawn picture, uint8 [H, W, 3], and its text."""

    image: NDArray[np.uint8]
    text: str


@dataclass(frozen=True, slots=True)
class _Scene:
    organ: str
    side: str
    lesions: int
    bright: bool
    radius: int
    sex: str


def synthetic_pairs(seed: str, count: int, phrases: Sequence[str] = ()) -> list[SyntheticPair]:
    """Draw `count` pairs.

    Args:
        seed: names the set; other seeds give other pictures and other texts.
        phrases: real lines of questions and answers of no patient of the demo; some are mixed in.
    """
    pairs = []
    for number in range(count):
        coin = random.Random(f"gradaudit demo synthetic {seed} {number}")
        scene = _Scene(
            organ=coin.choice(_ORGANS),
            side=coin.choice(_SIDES),
            lesions=coin.randrange(4),
            bright=coin.random() < 0.5,
            radius=coin.randrange(4, 12),
            sex=coin.choice(("male", "female")),
        )
        lines = _lines(scene, coin)
        if phrases:
            lines += coin.sample(list(phrases), 3)
        coin.shuffle(lines)
        pairs.append(SyntheticPair(_draw(scene, coin), "\n".join(lines[: coin.randrange(3, 6)])))
    return pairs


def _lines(scene: _Scene, coin: random.Random) -> list[str]:
    def yes(is_true: bool) -> str:
        return "Yes" if is_true else "No"

    modality = {"chest": "X-ray", "abdomen": "CT", "head": "MRI"}[scene.organ]
    plane = {"chest": coin.choice(("PA", "AP")), "abdomen": "axial", "head": "axial"}[scene.organ]
    kind = {"chest": "opacity", "abdomen": "mass", "head": "lesion"}[scene.organ]
    where = {"chest": f"{scene.side} lung", "abdomen": "liver", "head": f"{scene.side} hemisphere"}[
        scene.organ
    ]
    tone = "hyperintense" if scene.bright else "hypodense"
    some = scene.lesions > 0
    asked = [
        ("What type of image is this?", f"{modality}"),
        ("What imaging modality is used?", f"{modality}"),
        ("What plane is this image taken in?", plane),
        ("Is this an axial image?", yes(plane == "axial")),
        (f"Is there a {kind} present?", yes(some)),
        (f"Do you see any evidence of a {kind}?", yes(some)),
        (f"Where is the {kind} located?", where if some else "There is none"),
        (f"How many {kind}s are seen?", str(scene.lesions)),
        (f"Is the {kind} in the {scene.side} side?", yes(some)),
        (f"Is the {kind} bright or dark?", tone),
        ("What organ system is displayed?", scene.organ),
        ("Is this image normal?", yes(not some)),
        ("What is abnormal about this image?", f"{tone} {kind} in the {where}" if some else "Nothing"),
        ("Is there a fracture?", "No"),
        ("Is there evidence of a pleural effusion?", yes(scene.organ == "chest" and scene.radius > 9)),
        ("Is the heart enlarged?", yes(scene.organ == "chest" and scene.radius > 10)),
        ("Is there a midline shift?", yes(scene.organ == "head" and scene.radius > 9)),
        ("Are the ventricles visible?", yes(scene.organ == "head")),
        ("Is the patient male or female?", scene.sex),
        (f"Is the {kind} larger than 2 cm?", yes(some and scene.radius > 7)),
    ]
    return [f"Q: {question} A: {answer}" for question, answer in asked]


def _draw(scene: _Scene, coin: random.Random) -> NDArray[np.uint8]:
    picture = Image.new("L", (SIZE, SIZE), coin.randrange(0, 30))
    pen = ImageDraw.Draw(picture)
    _PAINTERS[scene.organ](pen, scene, coin)
    for _ in range(scene.lesions):
        low, high = (24, 56) if scene.side == "left" else (72, 104)
        x, y, r = coin.randrange(low, high), coin.randrange(36, 92), scene.radius
        pen.ellipse((x - r, y - r, x + r, y + r), fill=235 if scene.bright else 60)
    picture = picture.filter(ImageFilter.GaussianBlur(coin.uniform(0.5, 2.0)))
    grain = np.random.default_rng(coin.getrandbits(64)).normal(0, coin.uniform(3, 12), (SIZE, SIZE))
    grey = np.clip(np.asarray(picture, dtype=np.float64) + grain, 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _chest(pen: ImageDraw.ImageDraw, scene: _Scene, coin: random.Random) -> None:
    tone = coin.randrange(120, 200)
    pen.rectangle((6, 14, 122, 128), fill=tone)
    for left in (20, 70):
        top, width = coin.randrange(18, 28), coin.randrange(32, 40)
        pen.ellipse((left, top, left + width, coin.randrange(92, 108)), fill=coin.randrange(30, 80))
    pen.rectangle((60, 0, 68, 128), fill=min(255, tone + 40))
    heart = 14 + scene.radius
    pen.ellipse((64 - heart // 2, 66, 64 + heart, 66 + 2 * heart), fill=tone)
    for rib in range(24, 104, coin.randrange(11, 16)):
        pen.arc((14, rib, 114, rib + 30), 200, 340, fill=min(255, tone + 25), width=2)


def _abdomen(pen: ImageDraw.ImageDraw, scene: _Scene, coin: random.Random) -> None:
    tone = coin.randrange(90, 150)
    edge = coin.randrange(6, 18)
    pen.ellipse((edge, edge + 10, 128 - edge, 120), fill=40)
    pen.ellipse((edge + 5, edge + 15, 123 - edge, 115), fill=tone)
    pen.ellipse((16, 34, 66, 84), fill=min(255, tone + 30))
    for left in (30, 80):
        pen.ellipse((left, 74, left + 20, 100), fill=min(255, tone + 60))
    pen.ellipse((56, 84, 74, 106), fill=240)
    for _ in range(scene.radius):
        x, y = coin.randrange(40, 100), coin.randrange(28, 70)
        pen.ellipse((x, y, x + 8, y + 6), fill=coin.randrange(40, 255))


def _head(pen: ImageDraw.ImageDraw, scene: _Scene, coin: random.Random) -> None:
    tone = coin.randrange(60, 130)
    edge = coin.randrange(12, 26)
    pen.ellipse((edge, 6, 128 - edge, 122), fill=coin.randrange(160, 255))
    pen.ellipse((edge + 6, 12, 122 - edge, 116), fill=tone)
    shift = scene.radius - 6 if scene.radius > 9 else 0
    pen.line((64 + shift, 14, 64, 114), fill=max(0, tone - 40), width=2)
    ventricle = coin.randrange(10, 200)
    for left in (50, 68):
        pen.ellipse((left + shift, 50, left + 10 + shift, 76), fill=ventricle)


_PAINTERS: Mapping[str, Callable[[ImageDraw.ImageDraw, _Scene, random.Random], None]] = {
    "chest": _chest,
    "abdomen": _abdomen,
    "head": _head,
}
