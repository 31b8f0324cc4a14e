"""The way to every screen and dialog by keys, for the tests that hold everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.screen import Screen

import tui.screens
from tests.tui.finding_simulator import TWO, PlantedFindings
from tests.tui.pilot import press, settle
from tui.app import GradAuditApp
from tui.screens.wizard import WizardScreen

# A new screen or dialog gets a line here: its class, and the keys that lead to it from the Overview.
WAYS: dict[str, tuple[str, ...]] = {
    "OverviewScreen": (),
    "RunsScreen": ("2",),
    "ResultScreen": ("3",),
    "CasesScreen": ("a",),
    "DecideDialog": ("a", "d"),
    "OwnerDialog": ("a", "o"),
    "ReopenDialog": ("a", "u"),
    "FindingsScreen": ("4",),
    "FindingScreen": ("4", "enter"),
    "OpenDialog": ("4",),
    "SiftDialog": ("4", "f"),
    "RevealDialog": ("4", "enter", "v"),
    "LogScreen": ("9",),
    "FilterDialog": ("9", "f"),
    "GoToDialog": ("9", "n"),
    "LogExportDialog": ("9", "e"),
    "StateDialog": ("9", "w"),
    "StudiesScreen": ("5",),
    "ModelsScreen": ("6",),
    "ModelScreen": ("6", "enter"),
    "ChangeScreen": ("6", "enter", "enter"),
    "ClaimScreen": ("6", "enter", "tab", "enter"),
    "WatchDialog": ("6", "w"),
    "AnnounceDialog": ("6", "enter", "u"),
    "AnswerDialog": ("6", "enter", "y"),
    "ClaimDialog": ("6", "enter", "n", "right", "right"),
    "WithdrawDialog": ("6", "enter", "x"),
    "IngestDialog": ("5", "i"),
    "NewCohortDialog": ("5", "n"),
    "AddModelDialog": ("6", "n"),
    "ScheduleScreen": ("0",),
    "NewScheduleDialog": ("0", "n"),
    "TypedConfirm": ("0", "x"),
    "SystemScreen": ("s",),
    "DifferenceDialog": ("6", "m", "end", "d"),
    "PoliciesScreen": ("7",),
    "ProposeDialog": ("7", "p"),
    "TightenDialog": ("7", "w"),
    "ApproveDialog": ("7", "y"),
    "RejectDialog": ("7", "x"),
    "EvidenceScreen": ("8",),
    "VerifyDialog": ("8", "v"),
    "AuditorDialog": ("8", "w"),
    "CompareScreen": ("c",),
    "ComparisonScreen": ("c", "enter", "end", "enter"),
    "RunDialog": ("r",),
    "ProgressDialog": ("r", "enter", "enter", "enter", "enter"),
    "Confirm": ("r", "enter", "enter", "enter", "enter", "c"),
    "ExportDialog": ("3", "e"),
    "GlossaryDialog": ("f8",),
    "HelpDialog": ("question_mark",),
    "Palette": ("ctrl+p",),
    "UnlockScreen": ("ctrl+l",),
    "WizardScreen": (),
    "UsersScreen": ("l",),
    "AddUserDialog": ("l", "n"),
    "RemoveUserDialog": ("l", "end", "x"),
    "ResetDialog": ("l", "down", "p"),
    "OwnPassphraseDialog": ("l", "p"),
    "QuorumDialog": ("l", "t"),
}
# Screens that no key leads to: they stand at the beginning of a first run.
BEGUN: dict[str, Callable[[], Screen[None]]] = {"WizardScreen": lambda: WizardScreen("models")}
BASES = {"Section", "AskDialog", "UserDialog", "Dialog", "FileDialog", "StepDialog", "WorkDialog"}


def descendants(kind: type) -> Iterator[type]:
    """A class's subclasses, their subclasses, and so on."""
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


def our_nodes() -> set[type[DOMNode]]:
    """Every screen, dialog and widget of ours."""
    for module in iter_modules(tui.screens.__path__, "tui.screens."):
        import_module(module.name)
    return {kind for kind in descendants(DOMNode) if kind.__module__.startswith("tui.")}


def screens() -> set[str]:
    """The names of all screens and dialogs that can be opened."""
    return {kind.__name__ for kind in our_nodes() if issubclass(kind, Screen)} - BASES


async def go(pilot: Pilot[Any], app: GradAuditApp, name: str) -> None:
    """Press the way to a screen and see that it is there."""
    if name in BEGUN:
        app.switch_screen(BEGUN[name]())
    if name == "OpenDialog" and isinstance(app.backend, PlantedFindings):
        app.backend.needs = TWO  # it asks only where somebody is missing
    await press(pilot, *WAYS[name])
    await settle(pilot)
    assert type(app.screen).__name__ == name, f"{WAYS[name]} led to {app.screen}"
