"""Colours. No theme tells a verdict by colour alone, and none pairs red with green."""

from __future__ import annotations

from textual.theme import Theme


def _theme(name: str, dark: bool, back: str, front: str, muted: str, accent: str, verdicts: str) -> Theme:
    """A theme from a few colours; `verdicts` lists pass, review, fail, inconclusive, void."""
    passed, review, fail, inconclusive, void = verdicts.split()
    return Theme(
        name=name,
        primary=accent,
        secondary=accent,
        accent=accent,
        foreground=front,
        background=back,
        surface=back,
        panel=_PANEL[name],
        success=passed,
        warning=review,
        error=fail,
        dark=dark,
        variables={
            "pass": passed,
            "review": review,
            "fail": fail,
            "inconclusive": inconclusive,
            "void": void,
            "muted": muted,
            "block-cursor-background": accent,
            "block-cursor-foreground": back,
            "block-cursor-text-style": "bold",
            "border": accent,
            "border-blurred": muted,
            "input-selection-background": f"{accent} 35%",
        },
    )


_PANEL = {
    "night": "#1b2531",
    "day": "#dfe6ee",
    "contrast": "#262626",
    "contrast-day": "#e0e0e0",
    "mono": "#2b2b2b",
}

# Okabe-Ito hues: blue, amber, vermilion, grey, purple stay apart for every common colour vision.
THEMES = (
    _theme(
        "night", True, "#0e141b", "#e4e9ef", "#8d9cad", "#6cb6ff", "#6cb6ff #f2c14e #ff7a4d #c3ccd6 #d3a0f0"
    ),
    _theme(
        "day", False, "#f7f9fb", "#16202b", "#56657a", "#0a5fa8", "#0a5fa8 #8a5a00 #b1330a #46525f #73389b"
    ),
    _theme(
        "contrast",
        True,
        "#000000",
        "#ffffff",
        "#d0d0d0",
        "#ffd84d",
        "#8fd0ff #ffd84d #ff9a76 #ffffff #e5b8ff",
    ),
    _theme(
        "contrast-day",
        False,
        "#ffffff",
        "#000000",
        "#303030",
        "#003f8a",
        "#003f8a #6b4300 #8a1f00 #000000 #56207d",
    ),
    _theme(
        "mono", True, "#000000", "#f2f2f2", "#a8a8a8", "#ffffff", "#ffffff #ffffff #ffffff #ffffff #ffffff"
    ),
)
