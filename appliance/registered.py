"""Models as acts and views: registering, showing, comparing, and whether a folder is still what it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import registry, shown
from appliance.collected import Collected
from appliance.errors import UsageError
from appliance.views import ModelCheck, ModelDifference, ModelView, Progress
from appliance.watch import versions
from appliance.workspace.rows import StoredModel

if TYPE_CHECKING:
    from appliance.registry import ModelRecord
    from appliance.worker import Worker

Step = Callable[[Progress], None]


class Registered(Collected):
    """What an officer may do with vendor models."""

    def add_model(
        self,
        name: str,
        path: Path,
        *,
        family: str = "",
        base: Path | None = None,
        adapter: Path | None = None,
        vendor: str = "",
        released: str = "",
        pairs: int = shown.ESTIMATED_PAIRS,
        worker: Worker | None = None,
        step: Step = lambda _: None,
    ) -> ModelView:
        """Register a vendor model: looked at, read in a box, sealed in the vault, and opened from it.

        The vendor's folder is not needed afterwards. Registering the same files under the same name again
        changes nothing.

        Args:
            name: how it is called on this site.
            path: folder of the model, or of an adapter together with `base`.
            family: refused if the folder is of another one; found out when empty.
            base: folder of the model this one was fine-tuned from.
            adapter: folder of a LoRA or DoRA adapter to be put on the model.
            vendor: who delivered it.
            released: ISO date, or empty.
            pairs: cohort size that the view's estimate is for.
            worker: opens the model instead of a worker of its own.
            step: told as weights are sealed; may raise to cancel.

        Raises:
            UsageError: the name is taken by another model.
            ModelRejected: code, missing parts or keys, weights that are not tensors; nothing is registered.
        """
        from appliance.enrolment import enrolled, named
        from appliance.quarantine import sweep

        folders = registry.Folders(path, base, adapter)
        found = registry.described(name, folders, family=family, vendor=vendor, released=released)
        with self._act("model.add", name):
            sweep(self._workspace.root, self._workspace.vault, named(self._workspace))
            if not self._same(found.record):
                with enrolled(self._workspace, found, worker, step) as record:
                    self._workspace.catalogue.add_model(StoredModel(name, asdict(record), _now()))
        return self.model(name, pairs)

    def model(self, name: str, pairs: int = shown.ESTIMATED_PAIRS) -> ModelView:
        """One registered model, with the estimate for a cohort of so many pairs.

        Args:
            name: NAME for the newest version, NAME@1 for the first; so wherever a model is named.
            pairs: size of the cohort.

        Raises:
            UsageError: there is none of that name.
        """
        superseded = self._model(name).superseded
        return shown.model_view(self._stored_model(name), pairs, superseded=superseded)

    def models(self) -> tuple[ModelView, ...]:
        """Registered models by name, each in its newest version."""
        return tuple(map(shown.model_view, versions.newest(self._workspace.catalogue.models())))

    def verify_model(self, name: str) -> ModelCheck:
        """Open all that was sealed of a model, and compare the vendor's folders where they still are.

        Raises:
            UsageError: there is none of that name.
            IntegrityError: an object in the vault is missing, damaged or another one.
        """
        from appliance.registry import checked

        record = self._model(name)
        with self._act("model.verify", name):
            for kind, sealed in record.objects():
                self._workspace.vault.get(kind, sealed)  # opening an object proves it
            found = checked(record)
            different = tuple(map(shown.inert, found.vendor))
            return ModelCheck(record.name, record.digest, different, found.absent, record.superseded)

    def compare_models(self, first: str, second: str) -> tuple[ModelDifference, ...]:
        """What two registered models do not have in common, file by file.

        Raises:
            UsageError: there is no model of one of the names.
        """
        return shown.model_differences(self._model(first), self._model(second))

    def _model(self, name: str) -> ModelRecord:
        """The model that somebody means: NAME is the newest version, NAME@1 the first."""
        return versions.standing(self._workspace.catalogue.models(), self._stored_model(name))

    def _exactly(self, name: str) -> ModelRecord:
        """The version that an audit was asked for, by the name under which it is stored."""
        found = self._workspace.catalogue.model(name)
        return versions.standing(self._workspace.catalogue.models(), found) if found else self._model(name)

    def _stored_model(self, name: str) -> StoredModel:
        stored = versions.spoken(self._workspace.catalogue.models(), name)
        if stored is None:
            raise UsageError(
                f"no model {name}", "see `gradaudit models ls`, or register it with `gradaudit models add`"
            )
        return stored

    def _same(self, record: ModelRecord) -> bool:
        """Whether these very files are registered under this name already.

        Raises:
            UsageError: others are.
        """
        stored = versions.spoken(self._workspace.catalogue.models(), record.name)
        if stored is None:
            return False
        known = shown.model_record(stored)
        facts = ("digest", "path", "base_path", "peft_path", "vendor", "released")
        if any(getattr(known, fact) != getattr(record, fact) for fact in facts):
            raise UsageError(
                f"a different model is already registered as {record.name}",
                "choose another name; `gradaudit models watch` registers what has changed as a new version",
            )
        return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
