"""What all tests of the screens share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

Rules = dict[tuple[Any, ...], list[RuleSet]]


@pytest.fixture(scope="session", autouse=True)
def _what_was_loaded_stays() -> None:
    """An app leaves much to collect: what was there before it is not looked through every time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _parsed_once() -> Iterator[None]:
    """Every app parses the same style sheets, half of what it costs to start one: here they are parsed once.

    Rules do not change once they are parsed; those of one app are shared by all that is drawn in it.
    """
    parse = Stylesheet._parse_rules
    parsed: dict[frozenset[tuple[str, str]], Rules] = {}

    def known(self: Any, css: str, read_from: Any, *options: Any, **named: Any) -> list[RuleSet]:
        kept = self.__dict__.get("_known_rules")
        if kept is None or kept[0] is not self._variables:  # another theme
            rules = parsed.setdefault(frozenset(self._variables.items()), {})
            kept = self._known_rules = (self._variables, rules)
        key = (css, read_from, *options, *named.items())
        if key not in kept[1]:
            kept[1][key] = parse(self, css, read_from, *options, **named)
        return kept[1][key]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Stylesheet, "_parse_rules", known)
        yield
