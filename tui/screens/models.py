"""Models: what is registered, what it was made from, its digests, and what changed since the last version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content

from appliance.errors import ApplianceError
from appliance.views import ModelCheck, ModelView
from tui.screens.add_model import AddModelDialog
from tui.screens.difference import DifferenceDialog
from tui.screens.section import Section, navigation
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Facts, Heading
from tui.widgets.rows import Column, Rows
from tui.words import day, duration

_GIB = 1 << 30
_COLUMNS = (
    Column("Model", 14, flex=True),
    Column("Family", 18, drop=2),
    Column("Parameters", 13, drop=3),
    Column("Vendor", 14, flex=True, drop=1),
    Column("Released", 10, drop=4),
    Column("Registered", 10),
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
        "Every model that was registered. A digest (SHA-256) changes when one byte of a file does; the "
        "model's is made over those of all its files. Lineage says what the vendor made it from. v opens all "
        "that was sealed and compares the vendor's folder. d says what differs from the last version: the "
        "model of the same vendor and family that was registered before it. To compare with another one, "
        "press m on that one first. n registers another model. tab goes to the digests."
    )
    DEFAULT_CSS = """
    ModelsScreen Rows { height: 1fr; min-height: 4; margin: 0 1; }
    ModelsScreen Heading { margin: 0 1; }
    """
    NEEDS: ClassVar[dict[str, str]] = {"new": "add_model"}
    BINDINGS = navigation(
        "models",
        Binding("n", "new", "New"),
        Binding("d", "diff", "Diff"),
        Binding("m", "mark", "Mark"),
        Binding("v,f6", "verify", "Verify"),
        run=False,
    )

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[ModelView, ...] = ()
        self.marked = ""

    def body(self) -> ComposeResult:
        """Table, and the model under the cursor in full."""
        yield Rows(_COLUMNS, self._cells, empty="No model yet: press n to register one.", id="registry")
        yield Heading("Model under the cursor", id="which")
        with VerticalScroll(id="page"):
            yield Facts(14, id="facts")

    async def load(self) -> None:
        """Read the registry."""
        self.rows = await self.ask(self.app.backend.models)
        table = self.query_one(Rows)
        table.fill(len(self.rows))
        table.focus()
        self._detail(table.cursor)

    def _cells(self, index: int) -> tuple[Content, ...]:
        row = self.rows[index]
        marked = Content.styled(" (marked)", "$review") if row.name == self.marked else Content("")
        return (
            Content.assemble(foreign(row.name, "bold"), marked),
            foreign(row.family),
            Content(f"{row.parameters:>13,}"),
            foreign(row.vendor),
            foreign(day(row.released)),
            foreign(day(row.registered_utc)),
        )

    def _detail(self, index: int) -> None:
        facts = self.query_one(Facts)
        facts.show(*(self._facts(self.rows[index]) if self.rows else ()))
        self.query_one("#page", VerticalScroll).scroll_home(animate=False)

    def _facts(self, model: ModelView) -> Iterator[tuple[str, Content]]:
        """Label and content, the most asked for first."""
        yield "model", foreign(model.name, "bold")
        yield "digest", foreign(model.digest)
        yield "lineage", foreign(made_from(self.rows, model))
        last = last_version(self.rows, model)
        yield "last version", foreign(last.name) if last else Content("none of this vendor and family")
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

    def _here(self) -> ModelView | None:
        return self.rows[self.query_one(Rows).cursor] if self.rows else None

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Show the model in full."""
        self._detail(message.index)

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
        last = last_version(self.rows, here)
        first = self.marked or (last.name if last else "")
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
