"""What the documentation names exists, and what exists is named."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from appliance import cli
from appliance.errors import ApplianceError

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "policies" / "README.md",
]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")


def _commands(group: object, prefix: str) -> Iterator[tuple[str, list[str]]]:
    """Every command with its long options."""
    for name, command in getattr(group, "commands", {}).items():
        if getattr(command, "commands", None):
            yield from _commands(command, f"{prefix} {name}")
        else:
            options = [
                option for parameter in command.params for option in parameter.opts if option.startswith("--")
            ]
            yield f"{prefix} {name}", options


def test_every_command_and_option_is_documented() -> None:
    """docs/commands.md has one line a command, with all its options, and none for a command that is gone."""
    lines = re.findall(
        r"^\| `(gradaudit [^`]+)` .*$", (ROOT / "docs" / "commands.md").read_text(), re.MULTILINE
    )
    text = (ROOT / "docs" / "commands.md").read_text()
    commands = dict(_commands(typer.main.get_command(cli.app), "gradaudit"))
    documented = {re.sub(r"( [A-Z_…]+)+$", "", line) for line in lines}
    assert set(commands) == documented
    for command, options in commands.items():
        (line,) = (line for line in text.splitlines() if re.match(rf"\| `{command}[ `]", line))
        assert [] == [option for option in options if option != "--json" and f"`{option}`" not in line]


def _error_classes(kind: type[ApplianceError]) -> Iterator[type[ApplianceError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _error_classes(child)


def test_every_exit_code_is_documented() -> None:
    """docs/exit-codes.md lists the codes of errors and verdicts, no more and no fewer."""
    codes = {kind.exit_code for kind in _error_classes(ApplianceError)}
    codes |= set(cli.EXIT_BY_VERDICT.values()) | {0, cli.INTERRUPTED}
    page = (ROOT / "docs" / "exit-codes.md").read_text()
    assert codes == {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    for word, code in cli.EXIT_BY_VERDICT.items():
        assert re.search(rf"^\| {code} \|.*{word}", page, re.MULTILINE)


def test_every_policy_key_is_documented() -> None:
    """docs/policy-keys.md names each key of the shipped policies, and none that is gone."""
    policy = tomllib.loads((ROOT / "policies" / "default.toml").read_text())
    keys = {key for value in policy.values() if isinstance(value, dict) for key in value}
    keys |= {key for key, value in policy.items() if not isinstance(value, dict)}
    rows = re.findall(
        r"^\| (?:`[a-z]+` |)\| (`[^|]+) \|", (ROOT / "docs" / "policy-keys.md").read_text(), re.MULTILINE
    )
    assert keys == {key for row in rows for key in re.findall(r"`([a-z_-]+)`", row)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture of a page is there."""
    text = page.read_text(encoding="utf-8")
    assert [] == [target for target in LINK.findall(text) if not (page.parent / target).exists()]


def test_every_page_can_be_found() -> None:
    """The index, or the page of its folder, links every page."""
    index = (ROOT / "docs" / "README.md").read_text() + (
        ROOT / "docs" / "decisions" / "README.md"
    ).read_text()
    lost = [
        page.name
        for folder in (ROOT / "docs", ROOT / "docs" / "decisions")
        for page in folder.glob("*.md")
        if page.name != "README.md"
        and f"({page.name})" not in index
        and f"decisions/{page.name})" not in index
    ]
    assert [] == lost


def test_verdict_words_are_explained_to_the_newcomer() -> None:
    """README says what each verdict means."""
    readme = (ROOT / "README.md").read_text()
    assert [] == [word for word in cli.EXIT_BY_VERDICT if f"| {word} |" not in readme]
