"""Registering a vendor's model: where it lies, how it is called, who delivered it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.content import Content

from appliance.views import ModelView
from tui.screens.working import WorkDialog
from tui.text import foreign
from tui.widgets.chrome import Notice
from tui.widgets.fields import Field
from tui.words import duration

_GIB = 1 << 30


class AddModelDialog(WorkDialog):
    """A folder becomes a registered model, sealed in the workspace."""

    TITLE = "Register a model"
    NOTE = "The vendor's folder as it was delivered. Nothing in it is run; it is not needed afterwards."
    ACT = "Register"
    WORK = "register model"
    HELP_TEXT: ClassVar[str] = (
        "Folder is the vendor's model, or an adapter alone with its base. Every file gets a digest, the "
        "weights are sealed in the workspace, and the model is opened once, in a box without network, to see "
        "what of it can be audited and how long that takes. Base is the model it was fine-tuned from; with "
        "it an audit tells more. Released, as YYYY-MM-DD, says which studies are newer than the model. What "
        "is left empty is found out or left out."
    )

    def fields(self) -> ComposeResult:
        """Folder and name are needed, the others help."""
        yield Field("folder", "path", hint="/srv/models/lumen-vlm-2")
        yield Field("name", "name", hint="the folder's name when empty")
        yield Field("vendor", "vendor", hint="who delivered it")
        yield Field("released", "released", hint="YYYY-MM-DD")
        yield Field("base", "base", hint="folder of the model it was fine-tuned from (may stay empty)")
        yield Field("adapter", "adapter", hint="folder of a LoRA or DoRA adapter (may stay empty)")

    def act(self) -> None:
        """Register it."""
        path = self.value("path")
        if not path:
            self.query_one(Notice).complain("no folder is named", "type where the model lies")
            return
        folder, backend = Path(path).expanduser(), self.app.backend
        base, adapter = (
            Path(text).expanduser() if (text := self.value(part)) else None for part in ("base", "adapter")
        )
        name = self.value("name") or folder.name
        vendor, released = self.value("vendor"), self.value("released")
        self.begin(
            lambda step: backend.add_model(
                name, folder, base=base, adapter=adapter, vendor=vendor, released=released, step=step
            )
        )

    def done(self, result: Any) -> None:
        """What it is, what of it is audited, what an audit takes."""
        self.changed = True
        model: ModelView = result
        self.tell(
            Content.assemble("registered ", foreign(model.name, "bold"), ": ", foreign(model.family)),
            Content.assemble(f"{model.parameters:,} parameters; audited: ", foreign(model.audited)),
            *(
                [Content(f"an audit of {cost.pairs:,} pairs takes {duration(cost.seconds)}, {_memory(cost)}")]
                if (cost := model.estimate)
                else []
            ),
        )
        self.query_one("#leave").focus()


def _memory(cost: Any) -> str:
    return f"{cost.peak_bytes / _GIB:.1f} GiB of memory"
