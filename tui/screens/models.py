"""Models: what is registered, what it was made from, its digests, and what changed since the last version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content

from appliance.claims.views import ClaimStanding
from appliance.errors import ApplianceError
from appliance.views import ModelCheck, ModelView
from appliance.watch.views import WatchedModel
from tui.keys import keyed
from tui.screens.add_model import AddModelDialog
from tui.screens.difference import DifferenceDialog
from tui.screens.model import ModelScreen
from tui.screens.section import Section, navigation
from tui.screens.watch_dialogs import WatchDialog
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Facts, Heading
from tui.widgets.rows import Column, Rows
from tui.widgets.standings import WORST, claim_sign, line_of, watch_sign
from tui.words import day, duration, moment

_GIB = 1 << 30
_COLUMNS = (
    Column("Model", 14, flex=True),
    Column("Version", 16),
    Column("Claims", 16),
    Column("Vendor", 14, flex=True, drop=1),
    Column("Family", 18, drop=2),
    Column("Parameters", 13, drop=3),
    Column("Released", 10, drop=4),
    Column("Registered", 10, drop=5),
)


def last_version(models: Sequence[ModelView], model: ModelView) -> ModelView | None:
    """The model of the same vendor and family that was registered last before this one."""
    earlier = [
        one
        for one in models
        if one.vendor
        and (one.vendor, one.family) == (model.vendor, model.family)
        and (one.registered_utc, one.name) < (model.registered_utc, model.name)
    ]
    return max(earlier, key=lambda one: (one.registered_utc, one.name), default=None)


def made_from(models: Sequence[ModelView], model: ModelView) -> str:
    """Base and adapter of a model in words; a base that is registered itself goes by its name."""
    if not model.has_base:
        return "not named: no base was registered with it"
    base = {digest for file, digest in model.files.items() if file.startswith("base/")}
    known = [one.name for one in models if base and base <= _own(one) and one is not model]
    named = known[0] if known else model.base_path
    if model.has_adapter:
        return f"{named or 'this network without its adapter'}, with the adapter {model.adapter_path}"
    return f"fine-tuned from {named}"


def _own(model: ModelView) -> set[str]:
    """Digests of a model's files, without those of what it was made from."""
    return {digest for file, digest in model.files.items() if not file.startswith(("base/", "adapter/"))}


class ModelsScreen(Section):
    """The registry."""

    TITLE = "Models"
    HELP_TEXT = (
        "Every model that was registered, in its newest version, with how that came to be known and what "
        "its vendor claims. enter opens it: versions, what changed, lineage, claims. A digest (SHA-256) "
        "changes when one byte of a file does. w looks now whether the vendors' folders have changed; what "
        "has is a new version. v opens all that was sealed and compares the vendor's folder. m marks a "
        "model and d compares it with another one. n registers a model. tab goes to the digests."
    )
    DEFAULT_CSS = """
    ModelsScreen Rows { height: 1fr; min-height: 4; margin: 0 1; }
    ModelsScreen Heading { margin: 0 1; }
    """
    NEEDS: ClassVar[dict[str, str]] = {"new": "add_model", "watch": "watch_models"}
    BINDINGS = navigation(
        "models",
        Binding("enter", "open", "Open", key_display="enter"),
        Binding("n", "new", "New"),
        Binding("w", "watch", "Watch"),
        Binding("v,f6", "verify", "Verify"),
        Binding("d", "diff", "Diff", show=False),
        Binding("m", "mark", "Mark", show=False),
        run=False,
    )

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[ModelView, ...] = ()
        self.marked = ""
        self.waiting: frozenset[str] = frozenset()
        self.standings: dict[str, list[ClaimStanding]] = {}
        self.looks: dict[str, WatchedModel] = {}

    def body(self) -> ComposeResult:
        """Table, and the model under the cursor in full."""
        yield Rows(_COLUMNS, self._cells, empty="No model yet: press n to register one.", id="registry")
        yield Heading("Model under the cursor", id="which")
        with VerticalScroll(id="page"):
            yield Facts(14, id="facts")

    async def load(self) -> None:
        """Read the registry."""
        backend = self.app.backend
        self.rows = await self.ask(backend.models)
        table = self.query_one(Rows)
        table.fill(len(self.rows))
        table.focus()
        self._detail(table.cursor)
        self.waiting = frozenset(row.line for row in await self.ask(backend.model_changes) if row.waits)
        self.looks = {look.line: look for look in await self.ask(backend.watched)}
        self._detail(table.cursor)
        self.standings = {}
        for claim in await self.ask(backend.claims):
            if claim.in_force:
                self.standings.setdefault(line_of(claim.model), []).append(claim.standing)
        table.refresh()

    def _cells(self, index: int) -> tuple[Content, ...]:
        row = self.rows[index]
        marked = Content.styled(" (marked)", "$review") if row.name == self.marked else Content("")
        return (
            Content.assemble(foreign(row.line or row.name, "bold"), marked),
            self._version(row),
            self._claims(row),
            foreign(row.vendor),
            foreign(row.family),
            Content(f"{row.parameters:>13,}"),
            foreign(day(row.released)),
            foreign(day(row.registered_utc)),
        )

    def _version(self, row: ModelView) -> Content:
        """Number, and how it came to be known; one that waits for an answer stands out."""
        if (row.line or row.name) in self.waiting:
            sign = self.app.glyphs.verdicts["REVIEW"]
            return Content.styled(f"{row.version} {sign} unanswered", "bold $review")
        return Content.assemble(f"{row.version} ", foreign(row.found, "$muted"))

    def _claims(self, row: ModelView) -> Content:
        """The worst standing of its claims, and how many stand so."""
        stand = self.standings.get(row.line or row.name, [])
        worst = next((one for one in WORST if one in stand), None)
        if worst is None:
            return Content.styled("none", "$muted")
        return claim_sign(worst, self.app.glyphs, stand.count(worst))

    def _detail(self, index: int) -> None:
        facts = self.query_one(Facts)
        facts.show(*(self._facts(self.rows[index]) if self.rows else ()))
        self.query_one("#page", VerticalScroll).scroll_home(animate=False)

    def _facts(self, model: ModelView) -> Iterator[tuple[str, Content]]:
        """Label and content, the most asked for first."""
        yield "model", foreign(model.name, "bold")
        yield "digest", foreign(model.digest)
        yield "lineage", foreign(made_from(self.rows, model))
        yield "last look", self._looked(model)
        before = self._before(model)
        yield "last version", foreign(before) if before else Content("none of this vendor and family")
        yield (
            "family",
            Content.assemble(foreign(model.family), ", ", foreign(model.architecture or "unnamed")),
        )
        if model.audited:
            yield "audited", Content.assemble(f"{model.matrices:,} matrices: ", foreign(model.audited))
        if model.not_audited:
            yield "not audited", foreign(model.not_audited)
        for said in model.converted:
            yield "converted", foreign(said)
        for name, value in model.facts.items():
            yield line(name.replace("_", " "))[:13], foreign(value)
        if model.estimate:
            cost = model.estimate
            told = f"{duration(cost.seconds)}, {cost.peak_bytes / _GIB:.1f} GiB for {cost.pairs:,} pairs"
            yield "an audit takes", Content(told)
        if model.sealed:
            yield "sealed", foreign(model.sealed)
        for file, digest in model.files.items():
            yield "file", Content.assemble((f"{line(digest)[:16]}… ", "$muted"), foreign(file))

    def _before(self, model: ModelView) -> str:
        """The version before; of a first one the model of the same vendor and family before it."""
        last = last_version(self.rows, model)
        return model.replaces or (last.name if last else "")

    def _looked(self, model: ModelView) -> Content:
        """What the watch found last in its folders, and since when that is so."""
        look = self.looks.get(model.line or model.name)
        if look is None:
            return Content(keyed(self, "nobody has looked yet: press w"))
        since = f", since {moment(look.since_utc)} UTC" if look.since_utc else ""
        when = foreign(f"{moment(look.looked_utc)} UTC{since}. {look.why}".strip(), "$muted")
        return Content.assemble(watch_sign(look.state, self.app.glyphs), "  ", when)

    def _here(self) -> ModelView | None:
        return self.rows[self.query_one(Rows).cursor] if self.rows else None

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Show the model in full."""
        self._detail(message.index)

    def on_rows_chosen(self) -> None:
        """A click on the row under the cursor."""
        self.action_open()

    def action_open(self) -> None:
        """The model under the cursor whole."""
        here = self._here()
        if here is not None:
            self.app.switch_screen(ModelScreen(here.line or here.name))

    def action_watch(self) -> None:
        """Look now whether the vendors' folders have changed."""
        here = self._here()
        if here is not None:
            lines = tuple(row.line or row.name for row in self.rows)
            self.app.push_screen(WatchDialog(lines), self._registered)

    def action_new(self) -> None:
        """Register another one."""
        self.app.push_screen(AddModelDialog(), self._registered)

    def _registered(self, yes: bool | None) -> None:
        if yes:
            self.reload()

    def action_mark(self) -> None:
        """The one that d compares with; a second time takes the mark away."""
        here = self._here()
        if here is not None:
            self.marked = "" if here.name == self.marked else here.name
            self.query_one(Rows).refresh()

    def action_diff(self) -> None:
        """The marked model, or the last version, against the one under the cursor."""
        here = self._here()
        if here is None:
            return
        first = self.marked or self._before(here)
        if first in ("", here.name):
            hint = "press m on the one to compare with, then d on the other"
            self.query_one(Notice).complain(f"no earlier model of {here.vendor or 'this vendor'}", hint)
            return
        self.query_one(Notice).clear()
        self.run_worker(self._compare(first, here.name), exclusive=True, group="diff")

    async def _compare(self, first: str, second: str) -> None:
        try:
            found = await self.ask(self.app.backend.compare_models, first, second)
        except ApplianceError as error:
            self.complain(error)
        else:
            self.app.push_screen(DifferenceDialog(first, second, found))

    def action_verify(self) -> None:
        """Open all that was sealed, and compare the vendor's folder."""
        here = self._here()
        if here is not None:
            self.query_one(Notice).confirm(f"verifying {here.name} …")
            self.run_worker(self._verify(here.name), exclusive=True, group="verify")

    async def _verify(self, name: str) -> None:
        try:
            check = await self.ask(self.app.backend.verify_model, name)
        except ApplianceError as error:
            self.complain(error)
        else:
            self._say(check)

    def _say(self, check: ModelCheck) -> None:
        notice = self.query_one(Notice)
        if check.different:
            more = f" and {len(check.different) - 3} more" if len(check.different) > 3 else ""
            notice.complain(
                f"{check.name} is not what was registered: {'; '.join(check.different[:3])}{more}",
                "restore the vendor's files, or register what lies there under another name",
            )
            return
        gone = f"; the vendor's folder is not there ({', '.join(check.absent)})" if check.absent else ""
        notice.confirm(f"{check.name} is what was registered{gone}")
