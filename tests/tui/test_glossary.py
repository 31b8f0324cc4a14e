"""The glossary on the screens: every word an officer may not know is explained one key away."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from textual.pilot import Pilot

from appliance.words.glossary import TERMS, named
from tests.tui.everywhere import WAYS, go
from tests.tui.pilot import drive, glass, press
from tests.tui.simulator import Simulator
from tui.app import GradAuditApp
from tui.screens.glossary import GlossaryDialog, text_of
from tui.screens.help import HelpDialog

# Words that need explaining wherever they stand; kept apart from the glossary, which must have all of them.
JARGON = re.compile(
    r"\b(?:AUROC|ROC|TPR|FPR|FDR|CI|p =|at q|conformal|log-odds|cohorts?|quarantine|canar(?:y|ies)|seccomp"
    r"|commitments?|Merkle|root|witness(?:ed|es)?|digests?|tiers?|E[0-4]|L[1-5]|calibrat(?:ion|ed)|fitting"
    r"|targets?|members|spike-in|unscored|epsilon|permutation|LoRA|accessions?|pseudonyms?|priors?|quorum"
    r"|legal hold|detectors?|fused|gradnorm|min-k%\+\+|base-referenced|task-vector|slices?|layers?|threshold"
    r"|flagged|rank test|INCONCLUSIVE|VOID|REVIEW|blind baseline|conditional test|post-release|anchor bank"
    r"|first knowledge|72 h|60 days|dry run|sealed|paper key"
    r"|checkpoints?|evidence pack|isolation|adapters?|detectable|base model|leak probability)(?![\w-])"
)
OVER_ALL = {"HelpDialog", "Palette", "GlossaryDialog"}  # they explain, or stand over what is explained


@pytest.mark.parametrize("name", sorted(WAYS.keys() - OVER_ALL))
def test_every_jargon_word_is_explained_one_key_away(name: str) -> None:
    """F12 on any screen: each word of the list that stands there is in its glossary."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await go(pilot, app, name)
        stands = set(JARGON.findall(" ".join(text_of(app.screen).split())))
        await press(pilot, "f12")
        assert isinstance(app.screen, HelpDialog)
        explained = "|".join(form for term in app.screen.terms for form in term.forms)
        assert set() == {word for word in stands if word not in explained}

    drive(steps, backend=Simulator(gate=threading.Semaphore(20)))


def test_the_list_itself_is_in_the_glossary() -> None:
    """A word of the list whose term was taken out would pass where no screen shows it."""
    words = ("AUROC", "conformal", "FDR", "Merkle", "witness", "canary", "commitment", "tier", "E0", "E4")
    assert [] == [word for word in words if named(word) is None]


def test_help_explains_the_words_that_stand_there() -> None:
    """`?` on a result: its words in a sentence and why they matter, the focused part's first."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3", "question_mark")
        dialog = app.screen
        assert isinstance(dialog, HelpDialog)
        assert {"AUROC", "exposure", "evidence tier"} <= {term.name for term in dialog.terms}
        said = text_of(dialog)
        assert "Words on this screen" in said
        assert TERMS["AUROC"].says[:30] in said and TERMS["AUROC"].why[:30] in " ".join(said.split())

    drive(steps, size=(132, 40))


def test_the_glossary_finds_a_word_as_it_is_typed() -> None:
    """F8, some letters: the word, its sentence, its reason; a word that is none gets a neighbour."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "f8", *"auroc")
        assert isinstance(app.screen, GlossaryDialog)
        assert "AUROC: " + TERMS["AUROC"].says[:40] in glass(app)
        assert "cohort" not in glass(app)
        await press(pilot, *["backspace"] * 5, *"cohrot")
        assert "did you mean cohort?" in glass(app)
        await press(pilot, "escape")
        assert not isinstance(app.screen, GlossaryDialog)

    drive(steps)


def test_the_glossary_begins_with_the_words_of_the_screen() -> None:
    """What stands on the screen below comes before the alphabet, and down leads to it."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "f8")
        dialog = app.screen
        assert isinstance(dialog, GlossaryDialog)
        assert "entry" in {term.name for term in dialog.here}
        assert "come first" in glass(app)
        before = glass(app)
        await press(pilot, "down", "pagedown")
        assert before != glass(app)

    drive(steps)


def test_the_palette_has_the_glossary() -> None:
    """Whoever does not know F8 finds it by name; it does not open twice."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert "Glossary" in [command.title for command in app.get_system_commands(app.screen)]
        await press(pilot, "f8", "f8")
        assert sum(isinstance(screen, GlossaryDialog) for screen in app.screen_stack) == 1

    drive(steps)
