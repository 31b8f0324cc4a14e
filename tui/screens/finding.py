"""Finding: one pseudonym in one audit, every score of it; who it is only after a logged reveal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget

from appliance.errors import ApplianceError
from appliance.finding_views import FindingsAsked, FindingView, RevealedPair, RevealedView
from appliance.pack.pages.wording import p_value, percent
from appliance.words.table import tell
from tui.screens.finding_dialogs import Reason, RevealDialog
from tui.screens.section import Section, navigation
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Facts, Heading, Lines
from tui.widgets.layers import LayersPlot
from tui.widgets.thumbnail import Thumbnail

if TYPE_CHECKING:
    from appliance.views import AuditView

HIDDEN_AFTER_S = 60.0  # without a key
_LOOK_S = 1.0
_LABELS = 17  # cells
_LEAST = 0.001  # probability that is told apart from none, and from certainty


class FindingScreen(Section):
    """One finding whole.

    Args:
        audit_id: of the audit.
        patient: pseudonym.
        came: what was listed where this was opened, the line of it, and how many findings the audit has.
    """

    TITLE = "Finding"
    HELP_TEXT = (
        "All that one audit says of one pseudonym: each detector's score, or why there is none, the p-value, "
        "and the leak probability under each prior in words. Who it is, the image and the report are hidden: "
        "v asks for a reason, writes an entry into the log, and shows them until you press h, leave or lock, "
        "or press no key for a minute. escape goes back to the list."
    )
    DEFAULT_CSS = """
    FindingScreen #secret { height: auto; }
    """
    BINDINGS = navigation(
        "findings",
        Binding("escape,b", "back", "Back", key_display="esc"),
        Binding("v", "reveal", "Reveal"),
        Binding("h", "hide", "Hide"),
        run=False,
    )

    def __init__(self, audit_id: str, patient: str, came: tuple[FindingsAsked, int, int]) -> None:
        super().__init__()
        self.audit_id, self.patient, self.came = audit_id, patient, came
        self.found: tuple[FindingView, ...] = ()
        self.revealed = False

    def body(self) -> ComposeResult:
        """A page that scrolls."""
        with VerticalScroll(id="page"):
            yield Lines(Content.styled("reading the finding …", "$muted"))

    def on_mount(self) -> None:
        """Look whether somebody is there."""
        self.set_interval(_LOOK_S, self._hide_when_idle)

    async def load(self) -> None:
        """Read the finding and build the page."""
        view = await self.ask(self.app.backend.audit, self.audit_id)
        self.found = await self.ask(self.app.backend.finding, self.audit_id, self.patient)
        self._turn(False)  # what was revealed goes with the page before
        page = self.query_one("#page", VerticalScroll)
        await page.remove_children()
        await page.mount_all(self._page(view))
        page.focus()

    def _page(self, view: AuditView) -> Iterator[Widget]:
        where = f"audit {self.audit_id} of {line(view.row.model)}, cohort {line(view.row.cohort)}"
        yield Lines(Content.assemble(foreign(self.patient, "bold"), "  ", foreign(where, "$muted")))
        for number, one in enumerate(self.found, start=1):
            yield Heading(f"Pair {number} of {len(self.found)}" if len(self.found) > 1 else "Pair")
            yield self._facts(one)
        yield Heading("Who it is, image and report")
        yield Vertical(Lines(Content(tell("findings.hidden"))), id="secret")
        yield Heading("Layers that remember")
        yield Lines(Content.styled(tell("findings.layers"), "$muted"))
        yield LayersPlot(view.result)

    def _facts(self, one: FindingView) -> Facts:
        glyphs = self.app.glyphs
        said = tell("findings.flagged") if one.flagged else tell("findings.not_flagged")
        flag = (f"{glyphs.failed} {said}", "bold $fail") if one.flagged else (f"{glyphs.absent} {said}", "")
        taken = f"{line(one.modality)} of {_day(one.date)}" if one.date else "not held any more"
        told = tell("findings.not_judged")
        if one.p_value is not None:
            told = tell("findings.p", p=p_value(one.p_value))
        facts = Facts(_LABELS)
        facts.show(
            ("pair", foreign(one.pair_id[:16])),
            ("cohort role", Content(tell(f"findings.role.{one.role}"))),
            ("study", Content(taken)),
            ("flagged", Content.styled(*flag)),
            ("judgement", Content(told)),
            *(("leak probability", Content(text)) for text in _likely(one)),
            *((line(name)[: _LABELS - 1], foreign(_score(value))) for name, value in one.scores.items()),
        )
        return facts

    # -- the reveal ------------------------------------------------------------------------------------

    def action_reveal(self) -> None:
        """Ask why, then show."""
        self.run_worker(self._ask_why(), exclusive=True, group="reveal")

    async def _ask_why(self) -> None:
        try:
            need = await self.ask(self.app.backend.findings_need)
        except ApplianceError as error:
            self.complain(error)
            return
        self.app.push_screen(RevealDialog(self.patient, need.second), self._why)

    def _why(self, reason: Reason | None) -> None:
        if reason is not None:
            self.run_worker(self._reveal(reason), exclusive=True, group="reveal")

    async def _reveal(self, given: Reason) -> None:
        call = self.app.backend.reveal_images
        try:
            view = await self.ask(call, self.audit_id, self.patient, given.reason, given.second)
        except ApplianceError as error:
            self.complain(error)
            return
        if not self.is_current:
            return  # locked, or left, meanwhile
        self._turn(True)
        await self._fill(*self._shown(view))
        self.query_one("#secret").scroll_visible(animate=False, top=True)

    async def _fill(self, *content: Widget) -> None:
        secret = self.query_one("#secret", Vertical)
        await secret.remove_children()
        await secret.mount_all(content)

    def _shown(self, view: RevealedView) -> Iterator[Widget]:
        yield Lines(Content.styled(tell("findings.revealed"), "bold $review"))
        named = [
            Content.assemble(foreign(number, "bold"), "  ", foreign(f"issued by {issuer}" if issuer else ""))
            for issuer, number in view.who.identities
        ]
        yield Lines(*(named or [Content(tell("findings.nobody"))]))
        if not view.pairs:
            yield Lines(Content(tell("findings.gone")))
        dated = {
            one.pair_id: f"{one.modality} of {_day(one.date)}, accession {one.accession}"
            for one in view.who.studies
        }
        for pair in view.pairs:
            yield Heading("Image")
            yield Lines(foreign(dated[pair.pair_id], "$muted"))
            yield Thumbnail(pair.image)
            yield Heading("Report")
            yield Lines(*_text(pair))

    def action_hide(self) -> None:
        """Hide it again."""
        self._turn(False)
        self.run_worker(self._fill(Lines(Content(tell("findings.hidden")))), exclusive=True, group="reveal")
        self.query_one(Notice).confirm(tell("findings.hidden_again"))

    def _turn(self, revealed: bool) -> None:
        self.revealed = revealed
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is hidden can be revealed, and what is shown hidden."""
        if action in ("reveal", "hide"):
            return self.revealed is (action == "hide") and bool(self.found)
        return super().check_action(action, parameters)

    def _hide_when_idle(self) -> None:
        if self.revealed and self.app.idle.since() >= HIDDEN_AFTER_S:
            self.action_hide()

    def action_back(self) -> None:
        """Back to the list, where it was left."""
        from tui.screens.findings import FindingsScreen

        self.app.switch_screen(FindingsScreen(self.audit_id, *self.came))


def _likely(one: FindingView) -> list[str]:
    """Leak probabilities, each with its prior in words."""
    told = [
        f"{probability(value)} {tell(f'findings.if.{prior}')}" for prior, value in one.probabilities.items()
    ]
    return told or [tell("findings.no_probability")]


def probability(value: float) -> str:
    """A leak probability as per cent; a small one is not none, and no model of scores is certain."""
    if value > 1 - _LEAST:
        return f"> {percent(1 - _LEAST)}"
    return f"< {percent(_LEAST)}" if 0 < value < _LEAST else percent(value)


def _score(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _day(date: str) -> str:
    """A DICOM date as people write it; as it is where it is none."""
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 and date.isdecimal() else line(date)


def _text(pair: RevealedPair) -> list[Content]:
    """The masked text, and what that is worth."""
    note = line(pair.masked) + ("" if pair.whole else "; the beginning of a longer text")
    return [*(foreign(one) for one in pair.text.splitlines()), Content.styled(note, "$muted")]
