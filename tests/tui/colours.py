"""Measures of colour: contrast (WCAG 2.2), distance (OKLab), and what people with deuteranopia see."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from rich.color import Color, ColorSystem

from tui.app import GradAuditApp

Colour = tuple[int, int, int]

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
# Ottosson 2020: linear RGB to cone response to OKLab.
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# What PuTTY shows for the sixteen colours.
PUTTY: tuple[Colour, ...] = (
    *((0, 0, 0), (187, 0, 0), (0, 187, 0), (187, 187, 0), (0, 0, 187), (187, 0, 187), (0, 187, 187)),
    *((187, 187, 187), (85, 85, 85), (255, 85, 85), (85, 255, 85), (255, 255, 85), (85, 85, 255)),
    *((255, 85, 255), (85, 255, 255), (255, 255, 255)),
)


def of_hex(text: str) -> Colour:
    """`#rrggbb` as three numbers 0 … 255."""
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def linear(colour: Colour) -> np.ndarray:
    """Light per channel, 0 … 1, of an sRGB colour."""
    share = np.array(colour) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def contrast(one: Colour, other: Colour) -> float:
    """WCAG 2.2 contrast ratio, 1 … 21."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted(float(linear(colour) @ weights) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def seen(colour: Colour, eyes: np.ndarray) -> np.ndarray:
    """OKLab x 100 of a colour as somebody with these eyes sees it; about 2 is just noticeable."""
    light = np.clip(eyes @ linear(colour), 0, 1)
    return _LAB @ np.cbrt(_CONES @ light) * 100


def closest(colours: list[Colour], eyes: np.ndarray) -> float:
    """The smallest distance between any two of the colours."""
    places = [seen(colour, eyes) for colour in colours]
    return min(float(np.linalg.norm(one - other)) for one, other in combinations(places, 2))


def shown(colour: Colour, system: ColorSystem) -> Colour:
    """What a terminal with fewer colours shows instead."""
    if system is ColorSystem.TRUECOLOR:
        return colour
    less = Color.from_rgb(*colour).downgrade(system)
    if system is ColorSystem.STANDARD:
        assert less.number is not None
        return PUTTY[less.number]
    return tuple(less.get_truecolor())  # type: ignore[return-value]


def pairs(app: GradAuditApp) -> Iterator[tuple[Colour, Colour, str]]:
    """Colour, ground and sign of everything that is drawn on the present screen."""
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            style = segment.style
            if not segment.text.strip() or style is None or style.color is None or style.bgcolor is None:
                continue
            front, back = style.color.get_truecolor(), style.bgcolor.get_truecolor()
            yield (*((back, front) if style.reverse else (front, back)), segment.text.strip()[:20])
