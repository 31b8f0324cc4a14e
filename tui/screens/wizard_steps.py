"""The steps of the first run: what each asks for, and what it does with the answers."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList

from appliance.errors import UsageError
from appliance.setup_view import POLICIES
from tui.text import foreign, line
from tui.widgets.drawing import Lines

if TYPE_CHECKING:
    from tui.app import GradAuditApp

ASKED = 2  # words that are asked back


@dataclass
class Answers:
    """What was said before there is a workspace to keep it."""

    site: str = ""
    user: str = "officer"


class Field(Input):
    """A line to type; enter is a key of its own, so it comes after every sign typed or pasted before it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "screen.next", "Next", key_display="enter")]

    def __init__(self, id: str, value: str = "", *, hidden: bool = False, wanted: bool = True) -> None:
        super().__init__(value, password=hidden, id=id, select_on_focus=False)
        self.wanted = wanted  # enter goes to it before it goes on


def labelled(label: str, field: Field) -> ComposeResult:
    """A field under what is to be typed into it."""
    yield Lines(Content.styled(label, "bold"), classes="label")
    yield field


class Step(Vertical):
    """One step. `done` does it, and says whether it is finished or has another page."""

    NAME: ClassVar[str] = ""
    TITLE: ClassVar[str] = ""
    TEXT: ClassVar[str] = ""
    SKIP: ClassVar[bool] = True
    MEANWHILE: ClassVar[str] = ""
    said: str = ""
    app: GradAuditApp

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers

    def compose(self) -> ComposeResult:
        """What it is for, then what is asked."""
        yield Lines(Content(self.TEXT), id="purpose")
        yield from self.asks()

    def asks(self) -> ComposeResult:
        """The fields."""
        raise NotImplementedError

    @property
    def pages_before(self) -> bool:
        """Whether going back stays in this step."""
        return False

    async def again(self) -> None:
        """Back to the first page."""

    def typed(self, id: str) -> str:
        """What stands in a field."""
        return self.query_one(f"#{id}", Input).value

    async def done(self) -> bool:
        """Do it.

        Raises:
            ApplianceError: an answer cannot be used, or the appliance refuses.
        """
        raise NotImplementedError


class SiteStep(Step):
    """The name of the site."""

    TITLE = "This site"
    TEXT = (
        "GradAudit finds out whether a model was trained on your patients' data, and keeps the evidence on "
        "this machine alone. How is this site called? The name stands on screens and on evidence."
    )
    SKIP = False

    def asks(self) -> ComposeResult:
        """One field."""
        yield from labelled("Name of the site", Field("site", self.answers.site))

    async def done(self) -> bool:
        """Remember it until there is a workspace."""
        self.answers.site = self.typed("site").strip()
        if not self.answers.site:
            raise UsageError("a site needs a name", "such as St. Brigid General")
        return True


class OfficerStep(Step):
    """The first officer, who makes the workspace."""

    TITLE = "The officer"
    TEXT = (
        "The officer decides and opens findings. The passphrase encrypts everything here and is stored "
        "nowhere: whoever forgets it needs the paper key of the next step. Four random words are strong."
    )
    SKIP = False
    MEANWHILE = "making the encrypted workspace …"

    def asks(self) -> ComposeResult:
        """Name, the passphrase twice, how strong it is."""
        yield from labelled("Name, in small letters, to sign in by", Field("user", self.answers.user))
        yield from labelled("Passphrase", Field("passphrase", hidden=True))
        yield Lines(id="strength")
        yield from labelled("The same passphrase again", Field("again", hidden=True))

    def on_input_changed(self) -> None:
        """Say how strong it is, while it is typed."""
        passphrase = self.typed("passphrase")
        if not passphrase:
            self.query_one("#strength", Lines).show()
            return
        judged = self.app.the_door.strength(passphrase, self.typed("user"), self.answers.site)
        style = {"strong": "bold $pass", "fair": "bold $inconclusive"}.get(judged.word, "bold $review")
        self.query_one("#strength", Lines).show(Content.assemble((judged.word, style), f": {judged.advice}"))

    async def done(self) -> bool:
        """Make the workspace; before this nothing is on the disk."""
        self.answers.user, passphrase = self.typed("user").strip(), self.typed("passphrase")
        if passphrase != self.typed("again"):
            self.query_one("#again", Input).value = ""
            raise UsageError("the two passphrases differ", "type the second one again")
        door = self.app.the_door
        backend = await asyncio.to_thread(door.create, self.answers.site, self.answers.user, passphrase)
        self.app.entered(backend)
        return True


class RecoveryStep(Step):
    """Words on paper: made, shown once, asked back, and only then a key."""

    NAME = "recovery"
    TITLE = "A paper key"
    TEXT = (
        "Twenty words on paper open this workspace when the passphrase is forgotten. They are shown once, on "
        "the next page: have pen and paper ready, and be alone with this screen. Keep the paper in a safe."
    )
    _SHOWN = "Write these words down, line by line. Enter hides them for good; two of them are asked back."
    _BACK = "The words are hidden. Type these two from your paper; they become a key when both are right."

    def __init__(self, answers: Answers) -> None:
        super().__init__(answers)
        self._words: list[str] = []
        self._asked: list[int] = []

    def asks(self) -> ComposeResult:
        """Nothing yet."""
        yield Lines(id="words")
        yield Vertical(id="asked")

    @property
    def pages_before(self) -> bool:
        """Whether words were made that are no key yet."""
        return bool(self._words)

    async def again(self) -> None:
        """Forget the words: whoever goes back gets others."""
        self._words, self._asked = [], []
        self.query_one("#words", Lines).show()
        await self.query_one("#asked").remove_children()
        self.query_one("#purpose", Lines).show(Content(self.TEXT))

    async def done(self) -> bool:
        """Show, ask back, add."""
        if not self._words:
            lines = self.app.the_door.new_words().splitlines()
            self._words = " ".join(lines).split()
            self.query_one("#purpose", Lines).show(Content(self._SHOWN))
            numbered = [
                Content.assemble((f"{at}  ", "$muted"), (one, "bold")) for at, one in enumerate(lines, 1)
            ]
            self.query_one("#words", Lines).show(Content(""), *numbered)
            return False
        if not self._asked:
            await self._ask()
            return False
        typed = [self.typed(f"word{at}").strip().lower() for at in self._asked]
        if typed != [self._words[at] for at in self._asked]:
            raise UsageError("a word differs from the one that was shown", "escape makes new words")
        await self.app.ask(self.app.backend.add_recovery, words=" ".join(self._words))
        return True

    async def _ask(self) -> None:
        places = range(len(self._words))
        self._asked = sorted(secrets.SystemRandom().sample(places, ASKED))
        self.query_one("#words", Lines).show()
        self.query_one("#purpose", Lines).show(Content(self._BACK))
        for at in self._asked:
            row, column = divmod(at, len(self._words) // 4)
            label = f"Line {row + 1}, word {column + 1}"
            await self.query_one("#asked").mount(*labelled(label, Field(f"word{at}")))


class IntakeStep(Step):
    """Where files will arrive."""

    NAME = "intake"
    TITLE = "Where studies arrive"
    TEXT = (
        "A folder that studies and reports are put into, and the AE title by which the archive (PACS) will "
        "know this machine. Both are kept for later; you can always take files in by hand."
    )

    def asks(self) -> ComposeResult:
        """Folder and title."""
        yield from labelled("Folder", Field("inbox", wanted=False))
        yield from labelled("AE title, 1 to 16 signs", Field("title", wanted=False))

    async def done(self) -> bool:
        """Keep what was given."""
        inbox, title = self.typed("inbox"), self.typed("title")
        if inbox.strip() or title.strip():
            await self.app.ask(self.app.backend.set_intake, inbox, title)
        return True


class ModelsStep(Step):
    """Models to audit."""

    NAME = "models"
    TITLE = "Models"
    TEXT = (
        "A model to audit: the folder with its weights, as the vendor delivered it, and a name to call it "
        "by. It is looked at, sealed and tried out here. With both fields empty, enter goes on."
    )
    MEANWHILE = "looking at the model, sealing it and trying it out; a large one takes minutes …"

    def asks(self) -> ComposeResult:
        """Folder and name."""
        yield from labelled("Folder of the model", Field("folder", wanted=False))
        yield from labelled("Name for it", Field("name", wanted=False))

    async def done(self) -> bool:
        """Register it, and offer the next."""
        folder, name = self.typed("folder").strip(), self.typed("name").strip()
        if not folder and not name:
            return True
        if not folder or not name:
            raise UsageError("a model needs both: folder and name", "or leave both empty to go on")
        model = await self.app.ask(self.app.backend.add_model, name, Path(folder).expanduser())
        for one in self.query(Input):
            one.value = ""
        self.said = f"{line(model.name)} is registered; another one, or enter to go on"
        return False


class PolicyList(OptionList):
    """Policies; enter goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "screen.next", "Next", key_display="enter")]


class PolicyStep(Step):
    """The usual policy."""

    NAME = "policy"
    TITLE = "The policy"
    TEXT = (
        "A policy says beforehand what counts as PASS, REVIEW and FAIL, so that nobody can choose "
        "afterwards. This one is offered first for every audit; another can be chosen there."
    )

    def asks(self) -> ComposeResult:
        """A list, and what the chosen one means."""
        yield PolicyList(*(self._prompt(name, False) for name in POLICIES), markup=False, classes="list")
        yield Lines(id="meaning")

    def _prompt(self, name: str, chosen: bool) -> Content:
        return Content.assemble(f"{self.app.glyphs.point} " if chosen else "  ", foreign(name))

    def on_mount(self) -> None:
        """The first one is usual."""
        self.query_one(PolicyList).highlighted = 0

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Say what it means."""
        for index, name in enumerate(POLICIES):
            prompt = self._prompt(name, index == event.option_index)
            event.option_list.replace_option_prompt_at_index(index, prompt)
        self.query_one("#meaning", Lines).show(Content(tuple(POLICIES.values())[event.option_index]))

    async def done(self) -> bool:
        """Keep it."""
        chosen = tuple(POLICIES)[self.query_one(PolicyList).highlighted or 0]
        await self.app.ask(self.app.backend.choose_policy, chosen)
        return True


FIRST: tuple[type[Step], ...] = (SiteStep, OfficerStep)
"""Before there is a workspace."""
LATER: tuple[type[Step], ...] = (RecoveryStep, IntakeStep, ModelsStep, PolicyStep)
"""In the order of `setup_view.STEPS`."""
