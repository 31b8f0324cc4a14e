"""Audited pairs that are not the trained ones bit for bit: perturbed pictures, reports in other words.

The model saw the originals, and the references are originals; only the tested pairs change, members and
others alike. Everything is by rule and by seed, no model is involved.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from audit_core.samples import Sample

Picture = NDArray[np.uint8]

NOISE_SD = 12.0  # of 255 grey levels
BLUR_SHARE = 1 / 128  # standard deviation, of the shorter side: 2 pixels of 256
WINDOW = (0.10, 0.85)  # of the grey range, spread over all of it
CROP = 0.90  # of each side


def jpeg(quality: int) -> Callable[[Picture, int], Picture]:
    """Through JPEG of that quality and back."""

    def through(image: Picture, seed: int) -> Picture:
        del seed
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=quality)
        stream.seek(0)
        with Image.open(stream) as back:
            return np.asarray(back.convert("RGB"), dtype=np.uint8)

    return through


def blurred(image: Picture, seed: int) -> Picture:
    """Gaussian blur."""
    del seed
    radius = BLUR_SHARE * min(image.shape[:2])
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)), dtype=np.uint8)


def noisy(image: Picture, seed: int) -> Picture:
    """Gaussian noise, the same in all three channels."""
    noise = np.random.default_rng(seed).normal(0.0, NOISE_SD, image.shape[:2])
    return _whole(image + noise[:, :, None])


def windowed(image: Picture, seed: int) -> Picture:
    """A narrower window: contrast and brightness as another workstation would show them."""
    del seed
    low, high = (255.0 * edge for edge in WINDOW)
    return _whole((image - low) * 255.0 / (high - low))


def cropped(image: Picture, seed: int) -> Picture:
    """The middle of the picture."""
    del seed
    height, width = image.shape[:2]
    top, left = round(height * (1 - CROP) / 2), round(width * (1 - CROP) / 2)
    return image[top : height - top, left : width - left]


def _whole(levels: NDArray[np.floating[Any]]) -> Picture:
    whole: Picture = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return whole


PICTURES: Mapping[str, Callable[[Picture, int], Picture]] = {
    "JPEG 75": jpeg(75),
    "JPEG 50": jpeg(50),
    "blur": blurred,
    "noise": noisy,
    "window": windowed,
    "crop 90 %": cropped,
}

SYNONYMS: Mapping[str, str] = {
    "shows": "demonstrates",
    "showed": "demonstrated",
    "showing": "demonstrating",
    "demonstrates": "shows",
    "demonstrated": "showed",
    "demonstrating": "showing",
    "reveals": "shows",
    "revealed": "showed",
    "revealing": "showing",
    "x-ray": "radiograph",
    "radiograph": "x-ray",
    "radiography": "x-ray",
    "ct": "computed tomography",
    "computed tomography": "CT",
    "mri": "magnetic resonance imaging",
    "magnetic resonance imaging": "MRI",
    "ultrasound": "sonography",
    "sonography": "ultrasound",
    "scan": "study",
    "image": "picture",
    "chest": "thorax",
    "thoracic": "chest",
    "lung": "pulmonary",
    "pulmonary": "lung",
    "cardiac": "heart",
    "renal": "kidney",
    "hepatic": "liver",
    "bilateral": "on both sides",
    "opacity": "density",
    "opacities": "densities",
    "lesion": "abnormality",
    "lesions": "abnormalities",
    "enlarged": "increased in size",
    "large": "sizeable",
    "small": "little",
    "multiple": "several",
    "several": "multiple",
    "consolidation": "airspace disease",
    "effusion": "fluid collection",
    "fever": "raised temperature",
    "dyspnea": "shortness of breath",
    "dyspnoea": "shortness of breath",
    "shortness of breath": "dyspnea",
    "cough": "coughing",
    "fracture": "break",
    "patient": "subject",
    "arrow": "pointer",
    "arrows": "pointers",
    "indicates": "points at",
    "suggestive of": "consistent with",
    "consistent with": "suggestive of",
    "normal": "unremarkable",
    "unremarkable": "normal",
    "evidence of": "signs of",
    "signs of": "evidence of",
    "due to": "because of",
    "upper": "superior",
    "lower": "inferior",
    "superior": "upper",
    "inferior": "lower",
    "anterior": "front",
    "posterior": "rear",
    "with": "together with",
    "after": "following",
    "following": "after",
}
"""Words and phrases that may stand for each other in a caption or report; each is replaced once."""

_WORDS = re.compile(
    r"\b(" + "|".join(re.escape(word) for word in sorted(SYNONYMS, key=len, reverse=True)) + r")\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.;!?])\s+")


def paraphrased(text: str) -> str:
    """Synonyms, and another order of clauses: sentences last to first, or halves of one about its comma."""
    sentences = [part for part in _SENTENCE_END.split(text.strip()) if part]
    if len(sentences) > 1:
        text = " ".join(reversed(sentences))
    else:
        head, comma, tail = text.strip().rstrip(".").partition(", ")
        text = f"{tail}, {head}" if comma else text
    return _WORDS.sub(_other_word, text)


def _other_word(found: re.Match[str]) -> str:
    word = found.group()
    other = SYNONYMS[word.lower()]
    return other[:1].upper() + other[1:] if word[:1].isupper() else other


def perturbed(pairs: Sequence[Sample], name: str, seed: int) -> tuple[Sample, ...]:
    """The pairs under one perturbation of pictures, or `paraphrased`; their ids say which."""
    changed = []
    for number, pair in enumerate(pairs):
        handle = f"{pair.pair_id} {name}"
        if name == PARAPHRASED:
            changed.append(replace(pair, pair_id=handle, text=paraphrased(pair.text)))
        else:
            image = PICTURES[name](pair.image, 1000 * seed + number)
            changed.append(replace(pair, pair_id=handle, image=image))
    return tuple(changed)


PARAPHRASED = "paraphrased"
UNCHANGED = "unchanged"
CONDITIONS = (UNCHANGED, *PICTURES, PARAPHRASED)
