"""Says everything in a language of accents, and prints what is still English; run in a process of its own.

The table is translated before anything else is imported, because many sentences are looked up at import.
"""

from __future__ import annotations

import json
import re
import sys

from appliance.words import en

ACCENTS = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "àƀćđéƒĝĥíĵķĺɱńőṕɋŕśťúṽẃẋýžÀƁĆĐÉƑĜĤÍĴĶĹṀŃŐṔɊŔŚŤÚṼẂẊÝŽ",
)
PARAMETER = re.compile(r"(\{[^}]*\})")


def accented(sentence: str) -> str:
    """The sentence with an accent on every letter; parameters keep their names."""
    parts = PARAMETER.split(sentence)
    return "".join(part if part.startswith("{") else part.translate(ACCENTS) for part in parts)


def translate() -> None:
    """Put accents on every sentence of the table."""
    for key, sentence in en.MESSAGES.items():
        forms = sentence if isinstance(sentence, tuple) else (sentence,)
        spoken = tuple(map(accented, forms))
        en.MESSAGES[key] = (spoken[0], spoken[1]) if isinstance(sentence, tuple) else spoken[0]


def main() -> None:
    """Show three screens, the text page and `audit show`; print their English as JSON."""
    from typing import Any

    from textual.pilot import Pilot

    from appliance.pack.pages.text import verdict_lines, verdict_text
    from appliance.views import VerdictWord, plain
    from tests.tui.pilot import drive, press
    from tests.tui.simulator import Simulator, audit_view
    from tui.app import GradAuditApp
    from tui.screens.glossary import text_of

    backend = Simulator()
    said: dict[str, str] = {}

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for name, key in (("overview", "1"), ("log", "9"), ("result", "3")):
            await press(pilot, key)
            body = [one for one in app.screen.children if type(one).__name__ not in ("TopLine", "KeyLine")]
            said[name] = "\n".join(map(text_of, body))

    drive(steps, size=(132, 60), backend=backend)
    views = [audit_view("a", "lumen-vlm", word) for word in VerdictWord]
    for view in views:
        said[f"text {view.verdict.word}"] = verdict_text(view)
        said[f"show {view.verdict.word}"] = "\n".join(verdict_lines(view))
    data = [*map(plain, views), plain(backend.overview()), *map(plain, backend.log_entries(0, 500))]
    shown = [row.audit_id for row in backend.audits() if row.verdict]
    data += [plain(what(audit_id)) for audit_id in shown for what in (backend.audit, backend.audit_series)]
    known = words(json.dumps(data, ensure_ascii=False))
    json.dump({name: left_over(text, known) for name, text in said.items()}, sys.stdout)


def left_over(text: str, known: set[str]) -> list[str]:
    """Words without an accent that no data hold; a word of theirs that a column cuts off counts as theirs."""
    cut = set(re.findall(r"([A-Za-z]+)…", text))
    return sorted(
        word
        for word in words(text) - known
        if not (word in cut and any(whole.startswith(word) for whole in known))
    )


def words(text: str) -> set[str]:
    """Words of at least two letters that have no accent at all."""
    return {word for word in re.findall(r"\w+", text) if re.fullmatch(r"[A-Za-z]{2,}", word)}


if __name__ == "__main__":
    translate()
    main()
