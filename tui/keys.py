"""Names of all acts, so that a site can give them other keys; and what is wrong with the keys it gave.

An act is named by where it is and what its label says: `log-verify`, `rows-down`; acts that are the same
everywhere by their label alone: `lock`, `overview`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from typing import Any

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import Keys, _character_to_key, key_to_character
from textual.screen import Screen

_NAMED = {key.value for key in Keys} | {f"f{number}" for number in range(1, 25)}
_CONTROLLED = re.compile(r"ctrl\+[a-z]", re.ASCII)
_PRESS = re.compile(r"\b(press|then) (\S)(?!\w)")
_ALWAYS = ("lock", "quit", "palette")  # act while somebody types, too


def ours() -> list[type[DOMNode]]:
    """The app's, the screens' and the widgets' classes, bases before what is made of them."""

    def below(kind: type[DOMNode]) -> Iterator[type[DOMNode]]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    found = {kind for kind in below(DOMNode) if kind.__module__.startswith("tui.")}
    return sorted(found, key=lambda kind: (len(kind.__mro__), kind.__qualname__))


def _words(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _owner(kind: type[DOMNode]) -> str:
    return _words(re.sub(r"(Screen|Dialog)$", "", kind.__name__) or kind.__name__)


def name_of(kind: type[DOMNode], binding: Binding) -> str:
    """The id of an act that `kind` binds a key to."""
    label = _words(binding.description or binding.action)
    everywhere = binding.action.startswith("app.") or issubclass(kind, App)
    return label if everywhere else f"{_owner(kind)}-{label}"


def name_all() -> None:
    """Give every binding of ours that has no id its name; Textual's keymap goes by these."""
    for kind in ours():
        _name(kind)


@cache
def _name(kind: type[DOMNode]) -> None:
    for key, held in _bound(kind).items():
        _bound(kind)[key] = [_named(kind, binding) for binding in held]


def _bound(kind: type[DOMNode]) -> dict[str, list[Binding]]:
    merged = kind._merged_bindings
    return {} if merged is None else merged.key_to_bindings


def _named(kind: type[DOMNode], binding: Binding) -> Binding:
    if binding.id is not None:
        return binding
    first = next((base for base in reversed(kind.__mro__) if _declares(base, binding.action)), kind)
    if not first.__module__.startswith("tui."):
        return binding  # a toolkit's own, such as the keys of a text field
    return replace(binding, id=name_of(first, binding))


def _declares(kind: type, action: str) -> bool:
    own = kind.__dict__.get("BINDINGS", ())
    return any(binding.action == action for binding in Binding.make_bindings(own))


def spelt(key: str) -> str:
    """A key in words that every terminal can show; signs as themselves."""
    sign = key_to_character(key)
    return sign if sign is not None and sign.isprintable() and sign != " " else key


def key_name(app: App[Any], act: str) -> str:
    """The first key of an act, as this site has it; the act's own name where it has none."""
    given = app._keymap.get(act)
    if given is not None:
        return spelt(given.split(",")[0])
    bound = ((key, held) for kind in ours() for key, held in _bound(kind).items())
    return next((spelt(key) for key, held in bound if any(one.id == act for one in held)), act)


def keyed(node: DOMNode, text: str) -> str:
    """A text of ours with the keys that this site gave to its acts: `press r`, `press 6, then n`.

    A key is looked up on the screens in sight, the uppermost first; one after a place's key on that place.
    """
    here = [type(screen) for screen in reversed(node.app.screen_stack)]
    reached = here

    def now(found: re.Match[str]) -> str:
        nonlocal reached
        word, key = found[1], _key(found[2])
        if word == "press":
            reached = here
        held = (one for kind in (*reached, type(node.app)) for one in _bound(kind).get(key, ()))
        act = next((one.id for one in held if one.id is not None), None)
        if act is None:
            return found[0]
        reached = [kind for kind in ours() if _owner(kind) == act] or reached
        return f"{word} {key_name(node.app, act)}"

    return _PRESS.sub(now, text)


def together() -> Iterator[dict[str, set[str]]]:
    """Which keys each act has, for every set of acts that can be active at once."""
    kinds = ours()
    everywhere = [kind for kind in kinds if not issubclass(kind, Screen)]
    for screen in (kind for kind in kinds if issubclass(kind, Screen)):
        keys: dict[str, set[str]] = {}
        for kind in (screen, *everywhere):
            for key, held in _bound(kind).items():
                for binding in held:
                    if binding.id is not None:
                        keys.setdefault(binding.id, set()).add(key)
        yield keys


def checked(given: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The keymap to use, and what is wrong: one wrong line, and the keys stay as they were."""
    if not given:
        return {}, ""
    known = {name for keys in together() for name in keys}
    keymap = {name: ",".join(map(_key, keys.split(","))) for name, keys in given.items()}
    for name, keys in keymap.items():
        if name not in known:
            near = get_close_matches(name, known, 1)
            return {}, f"keys: {name} is no act" + (f"; did you mean {near[0]}?" if near else "")
        for key in keys.split(","):
            if not _is_key(key):
                return {}, f"keys: {name}: {key or 'nothing'} is no key; write f9, ctrl+l, v or enter"
            if name in _ALWAYS and len(_typed(key)) == 1:
                return {}, f"keys: {name} needs a key that types nothing, such as f9 or ctrl+l"
    return ({}, trouble) if (trouble := _conflict(keymap)) else (keymap, "")


def _conflict(keymap: Mapping[str, str]) -> str:
    for keys in together():
        now = {name: set(keymap[name].split(",")) if name in keymap else held for name, held in keys.items()}
        for name in sorted(keymap.keys() & now):
            for other, held in now.items():
                if other != name and (both := held & now[name]):
                    return f"keys: {min(both)} would be both {name} and {other}"
    return ""


def _key(text: str) -> str:
    """A key by its long name: ? is question_mark."""
    key = text.strip()
    return _character_to_key(key) if len(key) == 1 else key


def _typed(key: str) -> str:
    return key_to_character(key) or ""


def _is_key(key: str) -> bool:
    return key in _NAMED or len(_typed(key)) == 1 or bool(_CONTROLLED.fullmatch(key))
