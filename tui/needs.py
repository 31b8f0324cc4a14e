"""Which act of the appliance a key comes to, so that nobody is offered what the role may not do.

A screen, a dialog or the app says it in `NEEDS`: name of the action -> name of the appliance's method. Where
there is no line, the appliance alone refuses.
"""

from __future__ import annotations

from textual.actions import parse
from textual.dom import DOMNode

from tui.places import NEEDED


def needed(node: DOMNode, action: str) -> str:
    """The appliance's method that an action of `node` comes to; empty where there is none."""
    namespace, name, parameters = parse(action)
    target = {"app": node.app, "screen": node.screen}.get(namespace, node)
    if name == "go":
        return NEEDED.get(str(parameters[0]), "")
    return str(getattr(target, "NEEDS", {}).get(name, ""))


def offered(node: DOMNode, action: str) -> bool:
    """Whether whoever is signed in may do it."""
    act = needed(node, action)
    return not act or act in getattr(node.app, "may", ())
