"""Foreign text on the command line: thirty payloads in every field of every view, and nothing acts."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import types
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

import appliance
from appliance import narration
from appliance.pack.pages import shell
from appliance.sanitise import Tainted, safe
from appliance.views import Progress, plain

PAYLOADS = (
    "\x1b]52;c;UEFUSUVOVA==\x07", "\x1b]0;owned\x07", "\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[2J", "\x1b[31mred\x1b[0m", "\x1b[?1049h", "\x1b[6n", "\x1b[21t", "\x1bP+q544e\x1b\\", "\x1bc",
    "\x1b#8", "\x1b(0", "\x1b[5i", "\x9b31m", "\x90q\x9c", "\x9d0;x\x9c", "\x85", "\r\noverwritten",
    "\x08\x08\x08", "\x7f", "\x00\t\v\f", "\x07", "\x0e", "\u202egnp.exe", "\u2066\u2069\u200f",
    "\u200b\u00ad\ufeff", "\U000e0041", "\u2028\u2029", "\ud800", "[@click=app.quit]x[/]" + "\u0301" * 40,
)  # fmt: skip
NUMBERS = {int: 3, float: 0.5, bool: True, str: "", type(None): None}


def views() -> list[type]:
    """Every dataclass of the appliance that a command or a screen shows."""
    found: dict[str, type] = {}
    for module in pkgutil.walk_packages(appliance.__path__, "appliance."):
        if ".demo" in module.name or ".migrations" in module.name or module.name.endswith("__main__"):
            continue
        for name, kind in vars(importlib.import_module(module.name)).items():
            ours = isinstance(kind, type) and kind.__module__ == module.name
            if ours and is_dataclass(kind) and name.endswith(("View", "Row")):
                found[f"{module.name}.{name}"] = kind
    return list(found.values())


def made(hint: Any, words: str) -> Any:
    """A value of a type with `words` in every text of it."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return parts[0]
    if origin in (Union, types.UnionType):
        return made(next(part for part in parts if part is not type(None)), words)
    if origin is tuple:
        return tuple(made(part, words) for part in parts if part is not Ellipsis)
    if origin in (dict, Mapping):
        return {made(parts[0], words): made(parts[1], words)}
    if origin in (list, Sequence):
        return [made(parts[0], words)]
    if hint is str:
        return words
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    if is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint, localns={kind.__name__: kind for kind in VIEWS})
        return hint(**{one.name: made(hints[one.name], words) for one in fields(hint) if one.init})
    return NUMBERS.get(hint)


def acting(text: str) -> list[str]:
    """Characters that a terminal may act on; line breaks of ours aside."""
    kinds = {sign: unicodedata.category(sign) for sign in text if sign != "\n"}
    return [sign for sign, kind in kinds.items() if kind[0] == "C" or kind in ("Zl", "Zp")]


VIEWS = views()


@pytest.mark.parametrize("kind", VIEWS, ids=lambda kind: kind.__name__)
def test_no_view_acts_on_a_terminal(kind: type, capsys: pytest.CaptureFixture[str]) -> None:
    """As a table, as a JSON line, as an object and as lines of text: 0 characters that act."""
    for words in PAYLOADS:
        view = made(kind, words)
        narration.table(False, [view])
        narration.table(True, [view])
        narration.emit(True, plain(view), "")
        narration.emit(False, {}, f"{words} in a line\n{plain(view)}")
        narration.say(words)
        narration.complain(words, words, 1)
        with narration.ProgressLine(silent=False) as show:
            show(Progress(words, 1, 2, words))
        out, err = capsys.readouterr()
        assert acting(out + err) == []
        assert "overwritten" in out or "overwritten" not in words


def test_without_the_border_they_act(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same views printed as they come do act, in almost every payload."""
    for name in ("safe", "printable", "escaped"):
        monkeypatch.setattr(narration, name, lambda text, limit=0: text)
    acted = 0
    for words in PAYLOADS:
        try:
            narration.say(words)
            narration.table(True, [made(VIEWS[0], words)])
        except UnicodeEncodeError:
            pass
        out, err = capsys.readouterr()
        acted += bool(acting(out + err))
    assert acted >= len(PAYLOADS) - 3


@pytest.mark.parametrize("words", PAYLOADS)
def test_json_says_the_same_to_a_program(words: str) -> None:
    """Escaping changes how a text is written, not which text it is."""
    assert json.loads(narration.document({"name": words})) == {"name": words}
    assert acting(narration.document({"name": words})) == []


@pytest.mark.parametrize("words", PAYLOADS)
def test_reports_show_what_passed(words: str) -> None:
    """A cell of the HTML report holds no character that acts and no tag."""
    shown = shell.text(f"<b>{words}</b>")
    assert acting(shown) == []
    assert "<b>" not in shown


def writers(tree: ast.AST) -> Iterator[str]:
    """Ways to a terminal that go past `narration`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in ("print", "typer.echo", "click.echo", "sys.stdout.write", "sys.stderr.write"):
                yield f"{name}({', '.join(map(ast.unparse, node.args))})"


def test_there_is_one_way_to_a_terminal() -> None:
    """Commands print through `narration`; what does not is listed here with its reason."""
    folder = Path(narration.__file__).parent / "commands"
    found = {
        f"{path.name}: {one}" for path in folder.glob("*.py") for one in writers(ast.parse(path.read_text()))
    }
    assert found <= {
        "users.py: sys.stdout.write(appliance.add_recovery(name) + '\\n')",  # words on paper, of our own list
        "studies.py: sys.stdout.write(text + '\\n')",  # a line that passed `safe()` or `document()`
    }


def test_tainted_text_cannot_slip_into_a_line() -> None:
    """Foreign text kept as `Tainted` stops whoever would print it before it passed `safe()`."""
    with pytest.raises(TypeError, match=r"must pass safe\(\)"):
        narration.say(f"patient {Tainted('Doe^Jane')}")
    narration.say(f"patient {safe(Tainted('Doe^Jane').raw())}")
