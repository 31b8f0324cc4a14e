"""The picture of a canary: a chest radiograph drawn from a secret number. It shows nobody.

Shapes are soft sums over a grid; every size, place and tone is drawn, so that two canaries differ as two
patients do. It is made to look ordinary in passing, not to deceive a radiologist.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 448, 416
LEVELS = 1 << 12  # stored values 0 … 4095

Floats = NDArray[np.float64]


def drawn_chest(lot: int) -> NDArray[np.uint16]:
    """Stored values [448, 416], 12 bits, bright where the body absorbs."""
    rng = np.random.default_rng([lot >> shift & 0xFFFFFFFF for shift in range(0, 256, 32)])
    y_RC, x_RC = np.meshgrid(np.linspace(-1, 1, ROWS), np.linspace(-1, 1, COLUMNS), indexing="ij")
    x_RC, y_RC = _turned(x_RC, y_RC, rng.normal(0.0, 0.03))
    tone_RC = 0.78 * _oval(x_RC, y_RC, 0.0, 0.25, rng.uniform(0.82, 0.98), 1.35, 0.05)
    tone_RC = tone_RC * (1.0 - _lungs(x_RC, y_RC, rng))
    tone_RC += _heart(x_RC, y_RC, rng) + _spine(x_RC, y_RC, rng) + _bones(x_RC, y_RC, rng)
    for _ in range(rng.integers(1, 4)):
        tone_RC += _spot(x_RC, y_RC, rng)
    tone_RC += rng.uniform(0.02, 0.05) * _clouds(rng)
    tone_RC += rng.normal(0.0, rng.uniform(0.006, 0.016), tone_RC.shape)
    low, high = np.quantile(tone_RC, [0.002, 0.998])
    shown = np.clip((tone_RC - low) / (high - low), 0.0, 1.0) ** rng.uniform(0.8, 1.25)
    stored: NDArray[np.uint16] = np.round(shown * (LEVELS - 1)).astype(np.uint16)
    return stored


def _turned(x_RC: Floats, y_RC: Floats, angle: float) -> tuple[Floats, Floats]:
    cosine, sine = np.cos(angle), np.sin(angle)
    return cosine * x_RC - sine * y_RC, sine * x_RC + cosine * y_RC


def _oval(x_RC: Floats, y_RC: Floats, x: float, y: float, wide: float, tall: float, soft: float) -> Floats:
    """1 inside an ellipse, 0 outside, over an edge of width `soft`."""
    distance = np.sqrt(((x_RC - x) / wide) ** 2 + ((y_RC - y) / tall) ** 2)
    inside: Floats = 1.0 / (1.0 + np.exp(np.clip((distance - 1.0) / soft, -40, 40)))
    return inside


def _lungs(x_RC: Floats, y_RC: Floats, rng: np.random.Generator) -> Floats:
    found = np.zeros_like(x_RC)
    for side in (-1, 1):
        x = side * rng.uniform(0.36, 0.44)
        wide, tall = rng.uniform(0.25, 0.33), rng.uniform(0.55, 0.70)
        lung = _oval(x_RC, y_RC, x, rng.uniform(-0.16, -0.04), wide, tall, rng.uniform(0.04, 0.09))
        dome = rng.uniform(0.28, 0.48) + 0.5 * (x_RC - x) ** 2
        above = 1.0 / (1.0 + np.exp(np.clip((y_RC - dome) / 0.02, -40, 40)))
        found += lung * above * rng.uniform(0.60, 0.78)
    return np.clip(found, 0.0, 1.0)


def _heart(x_RC: Floats, y_RC: Floats, rng: np.random.Generator) -> Floats:
    x, y = rng.uniform(0.06, 0.16), rng.uniform(0.16, 0.28)
    wide, tall = rng.uniform(0.24, 0.36), rng.uniform(0.24, 0.34)
    knob = _oval(x_RC, y_RC, rng.uniform(0.08, 0.14), rng.uniform(-0.38, -0.28), 0.09, 0.11, 0.2)
    return rng.uniform(0.28, 0.42) * _oval(x_RC, y_RC, x, y, wide, tall, 0.07) + 0.2 * knob


def _spine(x_RC: Floats, y_RC: Floats, rng: np.random.Generator) -> Floats:
    bend = rng.normal(0.0, 0.02) * np.sin(2.0 * y_RC + rng.uniform(0, 3))
    band = np.exp(-(((x_RC - bend) / rng.uniform(0.07, 0.10)) ** 2))
    discs = 1.0 + 0.12 * np.sin(rng.uniform(24, 32) * y_RC + rng.uniform(0, 6))
    return rng.uniform(0.16, 0.26) * band * discs


def _bones(x_RC: Floats, y_RC: Floats, rng: np.random.Generator) -> Floats:
    """Ribs, and the two collar bones."""
    found = np.zeros_like(x_RC)
    step, first, slope = rng.uniform(0.14, 0.18), rng.uniform(-0.72, -0.62), rng.uniform(0.35, 0.6)
    chest = _oval(x_RC, y_RC, 0.0, 0.1, 0.80, 1.1, 0.04)
    for rib in range(9):
        curve = first + rib * step + slope * (np.abs(x_RC) - 0.35) ** 2 + rng.normal(0, 0.008)
        found += rng.uniform(0.05, 0.10) * np.exp(-(((y_RC - curve) / rng.uniform(0.018, 0.028)) ** 2))
    for side in (-1, 1):
        line = rng.uniform(-0.76, -0.68) - side * rng.uniform(0.10, 0.24) * (x_RC - side * 0.3)
        reach = _oval(x_RC, y_RC, side * 0.38, -0.72, 0.34, 0.3, 0.1)
        found += 0.14 * reach * np.exp(-(((y_RC - line) / 0.03) ** 2))
    return found * chest


def _spot(x_RC: Floats, y_RC: Floats, rng: np.random.Generator) -> Floats:
    x, y = rng.choice((-1, 1)) * rng.uniform(0.2, 0.6), rng.uniform(-0.6, 0.3)
    wide = rng.uniform(0.015, 0.06)
    shape = _oval(x_RC, y_RC, x, y, wide, wide * rng.uniform(0.7, 1.4), rng.uniform(0.15, 0.6))
    return rng.uniform(0.08, 0.3) * shape


def _clouds(rng: np.random.Generator) -> Floats:
    """Noise with more of the coarse than of the fine, standard deviation 1."""
    fy_R, fx_C = np.fft.fftfreq(ROWS)[:, None], np.fft.rfftfreq(COLUMNS)[None, :]
    weight = 1.0 / np.maximum(np.hypot(fy_R, fx_C), 1.0 / ROWS) ** 1.4
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((ROWS, COLUMNS))) * weight, (ROWS, COLUMNS))
    scaled: Floats = (noise - noise.mean()) / noise.std()
    return scaled
