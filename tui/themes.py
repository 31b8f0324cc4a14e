"""Colours. No theme tells a verdict by colour alone, none pairs red with green, and all of it can be read.

tests/tui/test_contrast.py renders every screen in every theme and measures each pair of colours it finds.
"""

from __future__ import annotations

from collections.abc import Mapping

from textual.theme import Theme

VERDICTS = ("pass", "review", "fail", "inconclusive", "void")
FEW_COLOURS = "contrast"  # survives sixteen colours
NO_COLOURS = "mono"


def _theme(name: str, dark: bool, grounds: str, text: str, verdicts: str) -> Theme:
    """A theme from a few colours.

    Args:
        name: what a person chooses it by.
        dark: light signs on a dark ground.
        grounds: screen, panel, cursor row, banner; any text may stand on any of them.
        text: plain, muted, accent, and rules (which stand on the screen's ground alone).
        verdicts: pass, review, fail, inconclusive, void.
    """
    ground, panel, cursor, banner = grounds.split()
    front, muted, accent, rule = text.split()
    states = dict(zip(VERDICTS, verdicts.split(), strict=True))
    return Theme(
        name=name,
        primary=accent,
        secondary=accent,
        accent=accent,
        foreground=front,
        background=ground,
        surface=ground,
        panel=panel,
        success=states["pass"],
        warning=states["review"],
        error=states["fail"],
        dark=dark,
        variables={
            **states,
            "muted": muted,
            "rule": rule,
            "cursor": cursor,
            "banner": banner,
            "block-cursor-background": accent,
            "block-cursor-foreground": ground,
            "block-cursor-text-style": "bold",
            "block-cursor-blurred-background": panel,
            "block-cursor-blurred-foreground": front,
            "border": accent,
            "border-blurred": rule,
            "input-cursor-background": front,
            "input-cursor-foreground": ground,
            "input-selection-background": accent,
            "input-selection-foreground": ground,
        },
    )


# Blue, yellow, orange, grey, purple, in tones that stay apart for people who see no red or no green.
THEMES = (
    _theme(
        "night",
        True,
        "#0e141b #1b2531 #22262c #2a281f",
        "#e4e9ef #a3b0bf #7cc0ff #8f9ba8",
        "#7ddbfd #fbf102 #fd6a0d #a4a6a8 #c984fd",
    ),
    _theme(
        "day",
        False,
        "#f7f9fb #e6ecf2 #d5e4f2 #f6eed9",
        "#16202b #45525f #0b4a9e #66727f",
        "#034cf8 #3c2d01 #a02a0c #040506 #680785",
    ),
    _theme(
        "contrast",
        True,
        "#000000 #1a1a1a #22262c #26220f",
        "#ffffff #d0d0d0 #ffd84d #a6a6a6",
        "#a3e7ff #fef513 #fda559 #b9b9b9 #d2a1fe",
    ),
    _theme(
        "contrast-day",
        False,
        "#ffffff #efefef #dfeaf6 #f8f0da",
        "#000000 #303030 #003a80 #4d4d4d",
        "#061de9 #302300 #86200a #040506 #570d79",
    ),
    _theme(
        "deuteranopia",
        True,
        "#0e141b #1b2531 #22262c #2a281f",
        "#e4e9ef #a3b0bf #9ee5fd #8f9ba8",
        "#9ee5fd #fef010 #fd7500 #a4a4a4 #c680fe",
    ),
    _theme(
        "mono",
        True,
        "#000000 #1c1c1c #262626 #1c1c1c",
        "#f2f2f2 #b4b4b4 #ffffff #8c8c8c",
        "#ffffff #ffffff #ffffff #ffffff #ffffff",
    ),
)
NAMES = tuple(theme.name for theme in THEMES)


def theme_for(environ: Mapping[str, str], kept: str = "") -> str:
    """The theme to begin with: grey where no colours are wanted, else the kept one, else what it can show."""
    term = environ.get("TERM", "")
    if environ.get("NO_COLOR") or term in ("dumb", "vt100", "vt220"):
        return NO_COLOURS
    if kept in NAMES:
        return kept
    return FEW_COLOURS if term == "linux" else NAMES[0]
