"""The dialogs of a vendor's claims: keep one, withdraw one."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from appliance.claims.views import (
    Budget,
    ClaimKind,
    ClaimRequest,
    ClaimRow,
    ClaimUnit,
    ClaimView,
    Neighbours,
)
from appliance.errors import UsageError
from tui.screens.asking import AskDialog, muted
from tui.text import foreign, line
from tui.widgets.drawing import Lines
from tui.widgets.fields import Field, Pick

_NOW, _LATER = "this version", "later ones too"
_UNSAID = "not said"


class ClaimDialog(AskDialog[ClaimView]):
    """What a vendor says of a model, where it stands, and the numbers of a claim of differential privacy."""

    TITLE = "Keep a vendor's claim"
    ACT = "Keep"
    DOING = "keeping the claim; its parameters are computed anew …"
    HELP_TEXT: ClassVar[str] = (
        "A claim is set against every audit of what it speaks of. Differentially private: ε and δ as "
        "claimed; with noise, rate and steps an accountant computes ε anew; where a patient has several "
        "records, the claim per record is converted to patients. What the vendor does not say stays empty: "
        "nothing is guessed."
    )
    DEFAULT_CSS = "ClaimDialog #numbers { height: auto; }"

    def __init__(self, model: str) -> None:
        super().__init__()
        self.model = model

    def note(self) -> Content:
        """Of whom it speaks."""
        return Content.assemble(("of ", "$muted"), foreign(self.model, "bold"))

    def fields(self) -> ComposeResult:
        """Kind and source, then the numbers of one kind."""
        yield Pick("claim", "kind", tuple(kind.value for kind in ClaimKind))
        yield Pick("speaks of", "later", (_NOW, _LATER))
        yield Field("source", "source", hint="document and clause")
        yield Field("dated", "dated", hint="YYYY-MM-DD (may stay empty)")
        with Vertical(id="numbers"):
            yield from self._numbers()

    def _numbers(self) -> ComposeResult:
        yield Field("ε", "epsilon", hint="as claimed, such as 8")
        yield Field("δ", "delta", hint="as claimed, such as 1e-5; 0 for none")
        yield Field("noise", "noise", hint="noise multiplier (may stay empty)")
        yield Field("rate", "rate", hint="sampling rate of a step (may stay empty)")
        yield Field("steps", "steps", hint="of the optimiser (may stay empty)")
        yield Pick("hides one", "unit", tuple(unit.value for unit in ClaimUnit))
        yield Field("records", "records", hint="the most of one patient (may stay empty)")
        yield Pick("neighbours", "neighbours", (_UNSAID, *(one.value for one in Neighbours)))
        yield Field("accountant", "accountant", hint="that the vendor names (may stay empty)")

    def on_mount(self) -> None:
        """The numbers belong to one kind."""
        self._allow()

    def on_pick_changed(self) -> None:
        """Another kind."""
        self._allow()
        self.look()

    def _allow(self) -> None:
        self.query_one("#numbers").display = self._private

    @property
    def _private(self) -> bool:
        return self.picked("kind") == ClaimKind.PRIVATE.value

    def whole(self) -> bool:
        """A source; of a claim of differential privacy also ε and δ."""
        needed = ("source", "epsilon", "delta") if self._private else ("source",)
        return all(self.value(name) for name in needed)

    def call(self) -> Callable[[], ClaimView]:
        """Keep it."""
        wanted = ClaimRequest(
            self.model,
            ClaimKind(self.picked("kind")),
            self.value("source"),
            self.value("dated"),
            self.picked("later") == _LATER,
            self._budget() if self._private else None,
        )
        return lambda: self.app.backend.add_claim(wanted)

    def _budget(self) -> Budget:
        neighbours = self.picked("neighbours")
        steps, records = self._number("steps"), self._number("records")
        return Budget(
            self._number("epsilon") or 0.0,
            self._number("delta") or 0.0,
            self._number("noise"),
            self._number("rate"),
            None if steps is None else _whole("steps", steps),
            ClaimUnit(self.picked("unit")),
            None if records is None else _whole("records", records),
            None if neighbours == _UNSAID else Neighbours(neighbours),
            self.value("accountant"),
        )

    def _number(self, name: str) -> float | None:
        """What was typed as a number, None where nothing was."""
        text = self.value(name)
        try:
            return float(text) if text else None
        except ValueError:
            raise UsageError(f"{name}: {line(text)} is no number", "write 8, 0.01 or 1e-5") from None


def _whole(name: str, number: float) -> int:
    if not number.is_integer():
        raise UsageError(f"{name}: {number:g} is no whole number", "write it without a point")
    return int(number)


class WithdrawDialog(AskDialog[ClaimView]):
    """A claim that the vendor takes back, or that was recorded wrongly."""

    TITLE = "Withdraw a claim"
    ACT = "Withdraw"
    FINAL = True
    HELP_TEXT: ClassVar[str] = (
        "A withdrawn claim bears on no audit that is asked for from now on. It stays listed with the reason, "
        "and verdicts that knew it stay as they are."
    )

    def __init__(self, row: ClaimRow) -> None:
        super().__init__()
        self.row = row

    def note(self) -> Content:
        """Which one, and that it is final."""
        told = f"{line(self.row.model)}: {line(self.row.says)}. This cannot be undone; the reason is sealed."
        return muted(told)

    def fields(self) -> ComposeResult:
        """The id, typed, and the reason."""
        yield Lines(
            Content.assemble("Type the claim's number to go on: ", foreign(self.row.claim_id, "bold"))
        )
        yield Field("number", "claim", hint="as it stands above")
        yield Field("reason", "reason", hint="why; it is sealed")

    def whole(self) -> bool:
        """The whole id, and a reason."""
        return self.value("claim") == self.row.claim_id and bool(self.value("reason"))

    def call(self) -> Callable[[], ClaimView]:
        """Withdraw it."""
        reason, withdraw = self.value("reason"), self.app.backend.withdraw_claim
        return lambda: withdraw(self.row.claim_id, reason)
