"""Looking a sentence up: a stable key, named parameters, and a plural form where something is counted.

A language is one package beside `en` with the same keys and parameters. The engine's own sentences (a
verdict's reasons, what a control saw) are stored evidence and stay as they were written;
docs/decisions/one-table-of-words.md says how they would be translated.
"""

from __future__ import annotations

from typing import Final

from appliance.words import en

Sentence = str | tuple[str, str]  # one form, or the one for 1 and the one for any other number

MESSAGES: Final[dict[str, Sentence]] = en.MESSAGES


def tell(key: str, **given: object) -> str:
    """The sentence of a key, with its parameters filled in.

    Raises:
        KeyError: there is no such sentence, or a parameter is missing: a fault of the program.
    """
    sentence = MESSAGES[key]
    assert isinstance(sentence, str), f"{key} is counted"
    return sentence.format(**given)


def count(key: str, number: int, **given: object) -> str:
    """A counted sentence in the form that its language has for this number; `{number}` has thousands marked.

    Raises:
        KeyError: there is no such sentence, or a parameter is missing: a fault of the program.
    """
    forms = MESSAGES[key]
    assert isinstance(forms, tuple), f"{key} is not counted"
    return forms[en.form(number)].format(number=f"{number:,}", **given)
