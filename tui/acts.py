"""What can be done on a screen now, by which keys: for the palette and for help."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from textual.binding import ActiveBinding
from textual.dom import DOMNode
from textual.screen import Screen

from tui.keys import spelt
from tui.needs import offered
from tui.screens.glossary import terms_on
from tui.screens.help import Act, HelpDialog, about


@dataclass(frozen=True, slots=True)
class Doing:
    """An act with the way to do it."""

    act: Act
    node: DOMNode
    action: str


def doings(screen: Screen[object], here: Callable[[DOMNode], bool]) -> list[Doing]:
    """The acts of those nodes that `here` picks, each once with all its keys."""
    found: dict[tuple[str, str], list[ActiveBinding]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        usable = active.enabled and offered(active.node, binding.action)
        if usable and binding.description and not binding.system and here(active.node):
            action = binding.action.removeprefix("app.")
            found.setdefault((binding.description, action), []).append(active)
    told = []
    for (label, _), held in found.items():
        keys = ", ".join(spelt(one.binding.key) for one in held)
        first = held[0]
        told.append(Doing(Act(keys, label, first.binding.id or ""), first.node, first.binding.action))
    return told


def of_screen(screen: Screen[object]) -> list[Doing]:
    """What the screen and the app offer, the toolkit's own apart."""
    told = doings(screen, lambda node: node is screen or node is screen.app)
    return [doing for doing in told if doing.act.name]


def help_for(screen: Screen[object]) -> HelpDialog:
    """Help for the part of the screen that has the focus, then for the screen."""
    focused = screen.focused
    own: Iterable[Doing] = doings(screen, lambda node: node is focused) if focused is not None else ()
    title, text = getattr(screen, "TITLE", None) or "This window", getattr(screen, "HELP_TEXT", "")
    part = about(focused) if focused is not None else ("", "")
    acts = [one.act for one in of_screen(screen)]
    return HelpDialog(title, text, acts, part, [one.act for one in own], terms_on(screen))
