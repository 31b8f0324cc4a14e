"""`gradaudit glossary [TERM]`: what a word means, and why it matters."""

from __future__ import annotations

from typing import Annotated

import typer

from appliance.commands.session import Json
from appliance.errors import UsageError
from appliance.narration import emit, stream
from appliance.words import glossary as words


def glossary(
    term: Annotated[str, typer.Argument(metavar="[TERM]", help="One word; without it, all of them.")] = "",
    json_: Json = False,
) -> None:
    """Say what a word means and why it matters; without a word, list them all. Needs no workspace."""
    from appliance.views import plain

    if not term:
        for one in words.TERMS.values():
            stream(json_, plain(one), f"{one.name}: {one.says}")
        return
    found = words.named(term)
    if found is None:
        near = words.nearest(term)
        raise UsageError(
            f"the glossary has no {term!r}",
            f"did you mean {near}?" if near else "`gradaudit glossary` lists all words",
        )
    emit(json_, plain(found), f"{found.name}: {found.says}\n{found.why}")
