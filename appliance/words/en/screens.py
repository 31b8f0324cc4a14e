"""Titles, notes and sentences of the screens."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "glossary.title": "Glossary",
    "glossary.help": "Type a word or its beginning; down leads to the words, tab back to the field.",
    "glossary.field": "a word, such as AUROC",
    "glossary.here": "Words on the screen below come first.",
    "glossary.all": "All words.",
    "glossary.found": ("{number} word.", "{number} words."),
    "glossary.near": "No word like {word}; did you mean {near}?",
    "glossary.nothing": "No word like that: delete a letter.",
    "glossary.leave": "down leads to the words, esc closes this page",
    "help.words": "Words on this screen",
}
