"""The glossary: words an officer meets that are not everyday language, and which of them stand in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from appliance.words.en import terms_of_data, terms_of_numbers


@dataclass(frozen=True, slots=True)
class Term:
    """One word of the glossary.

    Attributes:
        forms: the word and the other forms in which it stands on screens.
        says: what it is, in one sentence.
        why: why it matters to the reader, in one sentence.
    """

    name: str
    forms: tuple[str, ...]
    says: str
    why: str


def _terms(rows: Iterable[tuple[str, str, str, str]]) -> dict[str, Term]:
    found = (
        Term(name, (name, *filter(None, forms.split("|"))), says, why) for name, forms, says, why in rows
    )
    return {term.name: term for term in sorted(found, key=lambda term: term.name.lower())}


TERMS: Final = _terms((*terms_of_data.TERMS, *terms_of_numbers.TERMS))
"""By name, in alphabetical order."""

_BY_FORM: Final = {form: term for term in TERMS.values() for form in term.forms}
_FORMS: Final = re.compile(
    rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(_BY_FORM, key=len, reverse=True)))})(?![\w-])"
)


def standing_in(text: str) -> tuple[Term, ...]:
    """The terms of a text in the order in which they first stand there, each once.

    A form with a capital letter is only found as it is written; others also at the beginning of a sentence.
    """
    found: dict[str, Term] = {}
    for spelt in (" ".join(text.split()), _uncapitalised(" ".join(text.split()))):
        for match in _FORMS.finditer(spelt):
            found.setdefault(_BY_FORM[match.group()].name, _BY_FORM[match.group()])
    return tuple(found.values())


def looked_for(text: str) -> tuple[Term, ...]:
    """The terms whose name or other form begins with, then holds, what was typed; all for nothing typed."""
    wanted = text.strip().lower()
    begins = [term for term in TERMS.values() if any(one.lower().startswith(wanted) for one in term.forms)]
    holds = [term for term in TERMS.values() if any(wanted in one.lower() for one in term.forms)]
    return tuple(dict.fromkeys([*begins, *holds]))


def named(text: str) -> Term | None:
    """The term of this name or form, however it is capitalised."""
    wanted = text.strip().lower()
    return next((term for form, term in _BY_FORM.items() if form.lower() == wanted), None)


def nearest(text: str) -> str:
    """The name that is most like a word that is none; "" when nothing is."""
    close = get_close_matches(text.strip().lower(), [form.lower() for form in _BY_FORM], 1)
    term = named(close[0]) if close else None
    return term.name if term else ""


def _uncapitalised(text: str) -> str:
    """Words with a capital letter at their beginning alone, in small letters: `Cohorts` is `cohorts`."""
    return re.sub(r"\b[A-Z](?=[a-z])", lambda match: match.group().lower(), text)
