"""Users: who may open this workspace, as what, and how many open findings together."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content

from tui.screens.section import Section, navigation
from tui.screens.user_dialogs import (
    AddUserDialog,
    OwnPassphraseDialog,
    QuorumDialog,
    RemoveUserDialog,
    ResetDialog,
    UserDialog,
)
from tui.text import foreign
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Lines
from tui.widgets.rows import Column, Rows

if TYPE_CHECKING:
    from appliance.members import UserView

_COLUMNS = (Column("Name", 20), Column("Role", 10), Column("Opens", 24, flex=True), Column("", 4))


class UsersScreen(Section):
    """Everybody with a key."""

    TITLE = "Users"
    HELP_TEXT = (
        "Everybody who has a key of this workspace, with the role and what its keys open. n adds a user, x "
        "removes the one under the cursor and changes the keys, p gives a new passphrase: to that user, or "
        "to yourself on your own line. t says how many open findings together. All of it takes a passphrase "
        "typed at the beginning of this session, and the log has an entry of each."
    )
    DEFAULT_CSS = """
    UsersScreen Rows { height: 1fr; min-height: 4; margin: 0 1; }
    UsersScreen Lines { padding: 0 1; }
    """
    NEEDS: ClassVar = {"add": "add_user", "remove": "remove_user", "quorum": "set_quorum"}
    BINDINGS = navigation(
        "users",
        Binding("n", "add", "Add"),
        Binding("x", "remove", "Remove"),
        Binding("p", "passphrase", "Passphrase", show=False),
        Binding("t", "quorum", "Quorum", show=False),
        run=False,
    )

    def __init__(self) -> None:
        super().__init__()
        self.users: tuple[UserView, ...] = ()
        self.together = 1

    def body(self) -> ComposeResult:
        """One line on the quorum, then the table."""
        yield Lines(id="quorum")
        yield Rows(_COLUMNS, self._cells, empty="", id="users")

    async def load(self) -> None:
        """Read who there is."""
        self.users = await self.ask(self.app.backend.users)
        self.together = await self.ask(self.app.backend.quorum)
        how = "two together" if self.together > 1 else "one officer"
        self.query_one("#quorum", Lines).show(
            Content.assemble(
                ("Findings open with ", "$muted"), (how, "bold"), ("; t changes that.", "$muted")
            )
        )
        table = self.query_one(Rows)
        table.fill(len(self.users))
        table.focus()

    def _cells(self, index: int) -> tuple[Content, ...]:
        user = self.users[index]
        you = Content.styled("you", "bold $accent") if user.yourself else Content("")
        return foreign(user.name, "bold"), foreign(user.role), foreign(user.opens), you

    def _open(self, dialog: UserDialog) -> None:
        self.app.push_screen(dialog, self._changed)

    def _changed(self, told: str | None) -> None:
        if told:
            self.query_one(Notice).confirm(told)
            self.reload()

    @property
    def _here(self) -> UserView | None:
        at = self.query_one(Rows).cursor
        return self.users[at] if at < len(self.users) else None

    def action_add(self) -> None:
        """Somebody new."""
        self._open(AddUserDialog("", self.together))

    def action_remove(self) -> None:
        """Whoever is under the cursor."""
        if self._here is not None:
            self._open(RemoveUserDialog(self._here.name, self.together))

    def action_passphrase(self) -> None:
        """One's own, or another's."""
        if self._here is None:
            return
        kind = OwnPassphraseDialog if self._here.yourself else ResetDialog
        self._open(kind(self._here.name, self.together))

    def action_quorum(self) -> None:
        """How many open findings together."""
        self._open(QuorumDialog("", self.together))
