"""The watch over vendor models: what is a change, what is none, and that nothing half-copied becomes one."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from appliance import watched
from appliance.api import Appliance
from appliance.errors import UsageError
from appliance.shown import model_record
from appliance.views import Progress
from appliance.watch import looking, versions
from appliance.watch.views import WatchedModel, WatchState
from appliance.watched import Watched
from appliance.worker import Worker
from tests.appliance.evidence_case import FrozenClock
from tests.appliance.watched_site import PASSPHRASE, WEIGHTS, Site, edit, flip, in_process
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.two_tower_models import write_lora

EVERY = ("base", "adapter")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One workspace for all tests; each has a line of its own."""
    with Worker([], "audit", threads=1) as worker:
        opened = Site(tmp_path_factory.mktemp("site"), worker)
        yield opened
        opened.appliance.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    in_process(monkeypatch, trial=request.node.name.endswith(("[weights]", "[adapter-swapped]")))


def _readme(folder: Path) -> None:
    (folder / "README.md").write_text("Read me anew.")


CHANGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "weights": ("weights", lambda folder: flip(folder / "model" / WEIGHTS)),
    "adapter": ("adapter", lambda folder: flip(folder / "adapter" / "adapter_model.safetensors")),
    "adapter-swapped": (
        "adapter",
        lambda folder: (
            shutil.rmtree(folder / "adapter"),
            write_lora(folder / "adapter", folder / "model", seed=7),
        ),
    ),
    "base": ("base", lambda folder: flip(folder / "base" / WEIGHTS)),
    "preprocessor": (
        "preprocessor",
        lambda folder: edit(folder / "model" / "preprocessor_config.json", image_mean=[0.5, 0.5, 0.5]),
    ),
    "tokenizer": (
        "tokenizer",
        lambda folder: edit(folder / "model" / "tokenizer_config.json", padding_side="left"),
    ),
    "config": ("config", lambda folder: edit(folder / "model" / "config.json", bos_token_id=3)),
    "documents": ("documents", lambda folder: _readme(folder / "model")),
}


@pytest.mark.parametrize("case", CHANGES)
def test_one_changed_part_is_the_next_version_and_named(site: Site, case: str) -> None:
    """One byte of weights, an adapter, a base, picture settings, tokenizer, config, a paper: exactly that."""
    folder = site.line(case, *EVERY)
    assert (site.look(case).state, site.look(case).version) == (WatchState.UNCHANGED, 1)
    part, change = CHANGES[case]
    change(folder)
    row = site.look(case)
    assert (row.state, row.model, row.changed, row.announced) == ("changed", f"{case}@2", (part,), False)
    assert (site.look(case).state, site.look(case).version) == (WatchState.UNCHANGED, 2)
    first, second = site.records(case)
    assert (second.replaces, second.found, first.digest != second.digest) == (case, "unannounced", True)
    assert site.appliance.verify_model(case).different == ()


def test_a_change_that_keeps_size_and_time_is_seen(site: Site) -> None:
    """Sizes and times are the vendor's to choose."""
    file = site.line("kept-time") / "model" / WEIGHTS
    before = file.stat()
    flip(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert site.look("kept-time").state is WatchState.CHANGED


def test_touched_files_are_no_change(site: Site) -> None:
    """The same bytes with another time are the same model."""
    folder = site.line("touched") / "model"
    for file in folder.iterdir():
        os.utime(file, (1, 1))
    assert site.look("touched").state is WatchState.UNCHANGED


def test_a_return_to_earlier_bytes_is_a_version_that_says_so(site: Site) -> None:
    """A, B, A: version 3, equal to version 1; its objects are those of the first."""
    folder = site.line("returns") / "model"
    flip(folder / WEIGHTS)
    site.look("returns")
    flip(folder / WEIGHTS)
    row = site.look("returns")
    assert (row.version, row.changed) == (3, ("weights",))
    assert "the same bytes as version 1" in row.why
    first, _, third = site.records("returns")
    assert (third.digest, third.tensors) == (first.digest, first.tensors)
    equal = {row.model: row.equal_to for row in site.appliance.model_changes(["returns"])}
    assert equal == {"returns@2": 0, "returns@3": 1}


def test_a_folder_that_is_not_there_is_no_change(site: Site) -> None:
    """Gone, or an empty mount point: absent, whatever part; and unchanged once it is back."""
    folder = site.line("away", *EVERY)
    shutil.move(folder / "adapter", folder / "elsewhere")
    for place in (lambda: None, (folder / "adapter").mkdir):
        place()
        row = site.look("away")
        assert (row.state, "adapter" in row.why, row.version) == (WatchState.ABSENT, True, 1)
    assert "not as in" not in row.why
    _readme(folder / "model")
    assert "not as in away" in site.look("away").why
    (folder / "model" / "README.md").unlink()
    (folder / "adapter").rmdir()
    shutil.move(folder / "elsewhere", folder / "adapter")
    assert site.look("away").state is WatchState.UNCHANGED
    assert site.acts(watched.LOOKED)[-2:] == ["absent", "ok"]


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("code", "model.py is code"),
        ("link", "is a link"),
        ("family", "of family contrastive"),
        ("cut", "it should hold"),
        ("none", "config.json"),
    ],
)
def test_what_cannot_be_registered_is_refused_with_its_reason(site: Site, what: str, why: str) -> None:
    """Code, links, another family, a file cut off, no config: said, logged, needs a person, no version."""
    name = f"refused-{what}"
    folder = site.line(name) / "model"
    if what == "code":
        (folder / "model.py").write_text("import os")
    elif what == "link":
        (folder / "more.json").symlink_to("/etc/hostname")
    elif what == "family":
        shutil.rmtree(folder)
        tiny.write_clip(folder)
    elif what == "cut":
        file = folder / WEIGHTS
        file.write_bytes(file.read_bytes()[:-100])
    else:
        (folder / "config.json").unlink()
    row = site.look(name)
    assert (row.state, row.version) == (WatchState.REFUSED, 1)
    assert why in row.why
    assert site.acts(watched.LOOKED)[-1] == "refused"
    assert any(name in need and "cannot be registered" in need for need in site.appliance.overview().needs_me)
    assert len(site.records(name)) == 1


def test_what_cannot_be_read_is_said_and_nothing_else(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that gives an error, and a folder that does: unreadable, never absent and never a change."""
    site.line("broken")
    opening = os.open

    def fails(path: object, *given: int) -> int:
        if str(path).endswith(WEIGHTS):
            raise OSError(5, "Input/output error")
        return opening(path, *given)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(looking.os, "open", fails)
        row = site.look("broken")
    assert (row.state, "Input/output error" in row.why) == (WatchState.UNREADABLE, True)

    listing = os.scandir

    def refuses(path: Path) -> object:
        if "broken" in str(path):
            raise PermissionError(13, "Permission denied")
        return listing(path)

    with monkeypatch.context() as patched:
        patched.setattr(looking.os, "scandir", refuses)
        assert site.look("broken").state is WatchState.UNREADABLE
    assert site.look("broken").state is WatchState.UNCHANGED


def sharded(folder: Path, seed: int) -> None:
    """The model of a seed in two shards with their index: what a large model's vendor delivers."""
    source = tiny.write_llava(folder.parent / f"seed-{seed}", seed=seed)
    tensors = load_file(source / WEIGHTS)
    names = sorted(tensors)
    files = {"model-00001-of-00002.safetensors": names[:9], "model-00002-of-00002.safetensors": names[9:]}
    folder.mkdir(exist_ok=True)
    for file in source.iterdir():
        if file.name != WEIGHTS:
            shutil.copy(file, folder)
    for file, own in files.items():
        save_file({name: tensors[name] for name in own}, folder / file, metadata={"format": "pt"})
    mapped = {name: file for file, own in files.items() for name in own}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": mapped}))


def test_a_half_copied_update_is_no_version(site: Site, tmp_path: Path) -> None:
    """The first shard is new and the second old, each whole, when the watch looks: two looks differ."""
    folder = site.copied("shards") / "sharded"
    sharded(folder, 0)
    site.appliance.add_model("shards", folder, worker=site.worker)
    new = tmp_path / "new"
    sharded(new, 5)
    first, second = sorted(file.name for file in new.glob("*.safetensors"))
    shutil.copy(new / first, folder)
    looks = []

    def copies_on(step: Progress) -> None:
        looks.append(step.done)
        if step.done == step.total and not (folder / "copied").exists():
            shutil.copy(new / second, folder)

    row = site.look("shards", copies_on)
    assert (row.state, row.version) == (WatchState.CHANGING, 1)
    assert looks
    row = site.look("shards")
    assert (row.state, row.version) == (WatchState.CHANGED, 2)
    assert (
        site.records("shards")[1].digests[second]
        == looking.look(site.records("shards")[1]).digests["model"][second]
    )


def test_a_file_that_is_written_while_it_is_read_is_still_changing(site: Site) -> None:
    """No second look is needed for it."""
    file = site.line("written") / "model" / WEIGHTS

    def grows(step: Progress) -> None:
        with file.open("ab") as stream:
            stream.write(b"more")

    row = site.look("written", grows)
    assert (row.state, row.version) == (WatchState.CHANGING, 1)


def test_there_is_a_pause_between_two_looks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute by a clock that nobody sets; somebody may cancel meanwhile."""
    flip(site.line("paused") / "model" / WEIGHTS)
    now, steps = [100.0], []
    monkeypatch.setattr(site.appliance, "_quiet_s", watched.QUIET_S, raising=False)
    monkeypatch.setattr(watched.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(watched.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))

    def cancels(step: Progress) -> None:
        steps.append(step)
        if step.phase == watched.SETTLING and step.done >= 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site.look("paused", cancels)
    assert (now[0], site.acts(watched.WATCH)[-1]) == (130.0, "cancelled")
    assert site.look("paused", steps.append).state is WatchState.CHANGED
    assert now[0] >= 190.0


def test_two_watches_at_the_same_instant_register_one_version(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked before either registers; both say the same, and there is one."""
    flip(site.line("twice") / "model" / WEIGHTS)
    together, whole = threading.Barrier(2), Watched._registered
    rows: list[WatchedModel] = []

    def registers(self: Watched, *given: object) -> WatchedModel:
        together.wait(60)
        return whole(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Watched, "_registered", registers)
    with Appliance.unlock(site.root, PASSPHRASE) as other:
        other._quiet_s = 0.0
        watches = [
            threading.Thread(
                target=lambda one=one: rows.extend(one.watch_models(["twice"], worker=site.worker))
            )
            for one in (site.appliance, other)
        ]
        for thread in watches:
            thread.start()
        for thread in watches:
            thread.join()
    assert [(row.model, row.state) for row in rows] == [("twice@2", "changed")] * 2
    assert len(site.records("twice")) == 2


def test_what_is_wrong_with_one_line_keeps_no_other_from_it(site: Site) -> None:
    """One refused, one absent, one changed: all three are told."""
    (site.line("one") / "model" / "model.py").write_text("import os")
    shutil.rmtree(site.line("two"))
    flip(site.line("three") / "model" / WEIGHTS)
    rows = site.appliance.watch_models(["one", "two", "three"], worker=site.worker)
    assert [row.state for row in rows] == ["refused", "absent", "changed"]
    assert {row.line for row in site.appliance.watched()} >= {"one", "two", "three"}
    with pytest.raises(UsageError, match="no model nobody"):
        site.appliance.watch_models(["nobody"])


def test_a_disk_that_stays_away_needs_a_person(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at once: a disk may be away for a night. After two days it is said since when."""
    shutil.rmtree(site.line("unmounted"))
    site.look("unmounted")

    def needs() -> list[str]:
        return [
            need for need in site.appliance.overview().needs_me if "unmounted" in need and "folder" in need
        ]

    assert needs() == []
    now = site.appliance._log.clock
    later = FrozenClock(now.utc_ms() + 50 * 3_600_000, now.boot_ns() + 50 * 3600 * 10**9)
    monkeypatch.setattr(site.appliance._log, "clock", later)
    assert len(needs()) == 1 and "2 d 2 h" in needs()[0]


def test_a_name_means_the_newest_version_and_at_one_the_first(site: Site) -> None:
    """Wherever a model is named; nobody registers a name with an @, and the same files again are no news."""
    folder = site.line("named") / "model"
    flip(folder / WEIGHTS)
    site.look("named")
    appliance = site.appliance
    assert [appliance.model(name).name for name in ("named", "named@2", "named@1")] == ["named@2"] * 2 + [
        "named"
    ]
    assert (appliance.model("named@1").superseded, appliance.model("named").superseded) == (True, False)
    assert "named@2" in [view.name for view in appliance.models()]
    assert "named" not in [view.name for view in appliance.models()]
    assert [one.what for one in appliance.compare_models("named@1", "named")] == [f"file {WEIGHTS}"]
    for name in ("named@3", "named@0", "named@", "@2", "named@2@2"):
        with pytest.raises(UsageError, match="no model"):
            appliance.model(name)
    with pytest.raises(UsageError, match="a model name has"):
        appliance.add_model("other@2", folder)
    assert appliance.add_model("named", folder, worker=site.worker).version == 2
    assert len(site.records("named")) == 2


def test_a_superseded_version_is_opened_from_its_sealed_copy(site: Site) -> None:
    """What lies in the vendor's folder is another version: compared with nothing, and said."""
    folder = site.line("older") / "model"
    flip(folder / WEIGHTS)
    site.look("older")
    check = site.appliance.verify_model("older@1")
    assert (check.name, check.different, check.absent, check.superseded) == ("older", (), ("model",), True)
    assert site.appliance._exactly("older").name == "older"
    check = site.appliance.verify_model("older")
    assert (check.name, check.different, check.absent, check.superseded) == ("older@2", (), (), False)


def test_models_of_earlier_versions_are_first_versions(site: Site) -> None:
    """A record without the newer fields reads as the first version of its own line."""
    site.line("early")
    stored = site.appliance._workspace.catalogue.model("early")
    assert stored is not None
    new = ("of_line", "version", "replaces", "found", "seen_utc", "changed", "announcement", "superseded")
    document = {key: value for key, value in stored.document.items() if key not in new}
    old = type(stored)(stored.name, document, stored.registered_utc)
    record = model_record(old)
    assert (record.line, record.version, versions.line_of(old), versions.version_of(old)) == (
        "early", 1, "early", 1,
    )  # fmt: skip
