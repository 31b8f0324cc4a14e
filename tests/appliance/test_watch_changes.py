"""What follows a change of a model: announced or answered, set against the version before, lineage."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import IntegrityError, NotPermitted, UsageError
from appliance.evidence.clock import DAY_MS
from appliance.registry import ModelRecord
from appliance.views import AuditView, Interval, VerdictWord
from appliance.watch import difference, notes
from appliance.watch.parts import part_of
from appliance.watch.views import ChangeView, LineageNode, ModelPart
from appliance.worker import Worker
from appliance.workspace.roles import Role
from tests.appliance.evidence_case import FrozenClock
from tests.appliance.watched_site import WEIGHTS, Site, edit, flip, in_process
from tests.tui.simulator import audit_view


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One workspace for all tests; each has a line of its own."""
    with Worker([], "audit", threads=1) as worker:
        opened = Site(tmp_path_factory.mktemp("site"), worker)
        yield opened
        opened.appliance.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    in_process(monkeypatch)


def needs(site: Site, line: str) -> list[str]:
    """What the overview asks a person about a changed line."""
    return [need for need in site.appliance.overview().needs_me if f"{line}@" in need and "announced" in need]


@pytest.mark.parametrize(
    ("folder", "file", "part"),
    [
        ("model", "model-00001-of-00002.safetensors", "weights"),
        ("model", "model.safetensors.index.json", "weights"),
        ("model", "pytorch_model.bin", "weights"),
        ("model", "pytorch_model.bin.index.json", "weights"),
        ("model", "preprocessor_config.json", "preprocessor"),
        ("model", "processor_config.json", "preprocessor"),
        ("model", "tokenizer.json", "tokenizer"),
        ("model", "tokenizer.model", "tokenizer"),
        ("model", "sub/merges.txt", "tokenizer"),
        ("model", "chat_template.jinja", "tokenizer"),
        ("model", "config.json", "config"),
        ("model", "open_clip_config.json", "config"),
        ("model", "whatever.json", "config"),
        ("model", "no kind at all", "config"),
        ("model", "README.md", "documents"),
        ("model", "LICENSE", "documents"),
        ("model", "notes.txt", "documents"),
        ("adapter", "adapter_model.safetensors", "adapter"),
        ("adapter", "README.md", "adapter"),
        ("base", "config.json", "base"),
    ],
)
def test_every_file_is_of_one_part(folder: str, file: str, part: str) -> None:
    """By its name; what nobody knows is a setting, never a paper."""
    assert part_of(folder, file) is ModelPart(part)


def test_an_announced_change_is_announced_once(site: Site) -> None:
    """The next change is it; the one after is not, and needs an answer."""
    file = site.line("said") / "model" / WEIGHTS
    view = site.appliance.announce_change("said", "the vendor wrote about 2.1", release="2.1 [bold]")
    assert (view.line, view.release, view.used, view.over) == ("said", "2.1 (bold)", "", False)
    flip(file)
    assert (site.look("said").announced, needs(site, "said")) == (True, [])
    (row,) = site.appliance.model_changes(["said"])
    assert (row.found, row.waits, row.clock) == ("announced", False, None)
    assert row.announcement is not None and row.announcement.reason == "the vendor wrote about 2.1"
    (view,) = site.appliance.announcements("said")
    assert (view.used, view.over) == ("said@2", True)
    flip(file)
    assert (site.look("said").announced, len(needs(site, "said"))) == (False, 1)


def test_papers_use_up_no_announcement(site: Site) -> None:
    """A new README is not what was announced; the weights after it are."""
    folder = site.line("papers") / "model"
    site.appliance.announce_change("papers", "the vendor wrote about 2.1", release="2.1")
    (folder / "README.md").write_text("Another paper.")
    assert (site.look("papers").announced, site.appliance.announcements("papers")[0].used) == (False, "")
    flip(folder / WEIGHTS)
    assert site.look("papers").announced
    assert site.appliance.announcements("papers")[0].used == "papers@3"


def test_a_version_keeps_the_release_date_unless_a_new_one_was_announced(site: Site) -> None:
    """What was too old for a design stays so: a change of the folder says nothing of when it was trained."""
    folder = site.copied("dated") / "model"
    site.appliance.add_model("dated", folder, released="2025-06-01", worker=site.worker)
    flip(folder / WEIGHTS)
    site.look("dated")
    site.appliance.announce_change("dated", "the vendor wrote about it", release="2.2")
    flip(folder / WEIGHTS)
    site.look("dated")
    site.appliance.announce_change("dated", "the vendor wrote about it", release="2026-03-01")
    flip(folder / WEIGHTS, -8)
    site.look("dated")
    assert [one.released for one in site.records("dated")] == ["2025-06-01"] * 3 + ["2026-03-01"]
    (newest,) = (row for row in site.appliance.model_changes(["dated"]) if row.version == 2)
    assert newest.replaces == "dated@1"


def test_an_announcement_is_over_after_its_last_day(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the last day it counts, on the next it does not; without a day it is a month."""
    file = site.line("until") / "model" / WEIGHTS
    log = site.appliance._log
    clock = FrozenClock(log.clock.utc_ms(), log.clock.boot_ns())
    monkeypatch.setattr(log, "clock", clock)
    today = date.fromtimestamp(clock.utc / 1000)
    view = site.appliance.announce_change("until", "the vendor has written")
    assert view.until == (today + timedelta(days=30)).isoformat()
    clock.utc, clock.boot = clock.utc + 31 * DAY_MS, clock.boot + 31 * DAY_MS * 1_000_000
    assert site.appliance.announcements("until")[0].over
    last = (today + timedelta(days=31)).isoformat()
    site.appliance.announce_change("until", "the vendor wrote again", until=last)
    flip(file)
    assert site.look("until").announced
    for until in ("2020-01-01", "soon"):
        with pytest.raises(UsageError):
            site.appliance.announce_change("until", "the vendor has written", until=until)


def test_an_announcement_of_one_line_is_none_of_another(site: Site) -> None:
    """Each line has its own."""
    site.line("this")
    file = site.line("that") / "model" / WEIGHTS
    site.appliance.announce_change("this", "the vendor has written")
    flip(file)
    assert not site.look("that").announced


def test_an_unannounced_change_is_a_finding_until_it_is_answered(site: Site) -> None:
    """An entry, a need with a clock; the answer is sealed, its digest logged, and it ends the need."""
    flip(site.line("silent") / "model" / WEIGHTS)
    site.look("silent")
    assert site.acts("model.changed")[-1] == "unannounced"
    (need,) = needs(site, "silent")
    assert "silent@2" in need and "6 d 23 h left" in need and "weights" in need
    (row,) = site.appliance.model_changes(["silent"])
    assert (row.waits, row.parts, row.entry is not None) == (True, ("weights",), True)
    for reason in ("", "no words"):
        with pytest.raises(UsageError, match="a reason has"):
            site.appliance.answer_change("silent@2", reason)
    with pytest.raises(UsageError, match="first version"):
        site.appliance.answer_change("silent@1", "what is there to say")
    row = site.appliance.answer_change("silent@2", "the vendor had changed a layer")
    assert row.answer is not None and row.answer.reason == "the vendor had changed a layer"
    assert row.clock is not None and (row.clock.state, needs(site, "silent")) == ("answered", [])
    with pytest.raises(UsageError, match="waits for no answer"):
        site.appliance.answer_change("silent@2", "the vendor had changed a layer")
    assert site.acts(notes.ANSWER)[-2:] == ["begins", "failed"]
    entries = b"".join(path.read_bytes() for path in (site.root / "log").rglob("*") if path.is_file())
    assert b"changed a layer" not in entries


def test_an_answer_that_was_edited_is_no_answer(site: Site) -> None:
    """The log's digest of the note does not fit: the workspace is damaged, and says so."""
    flip(site.line("forged") / "model" / WEIGHTS)
    site.look("forged")
    site.appliance.answer_change("forged@2", "the vendor has explained it")
    catalogue = site.appliance._workspace.catalogue
    kept = catalogue.settings(notes.SETTING)
    (key,) = [key for key, content in kept.items() if '"forged@2"' in content]
    try:
        catalogue.set_setting(key, kept[key].replace("explained", "denied"))
        with pytest.raises(IntegrityError, match="not the one that was logged"):
            site.appliance.model_changes()
    finally:
        catalogue.set_setting(key, kept[key])
    assert site.appliance.model_changes(["forged"])[0].answer is not None


def test_only_an_officer_answers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine finds it, an operator may announce the next one; the answer is an officer's."""
    flip(site.line("whose") / "model" / WEIGHTS)
    site.look("whose")
    workspace = site.appliance._workspace
    for role in (Role.OPERATOR, Role.AUDITOR, Role.MACHINE):
        with monkeypatch.context() as patched:
            patched.setattr(workspace, "user", replace(workspace.user, role=role))
            with pytest.raises(NotPermitted):
                site.appliance.answer_change("whose@2", "it is all right")


def test_the_difference_names_settings_and_tensors(site: Site) -> None:
    """One number of one matrix, one setting: exactly these, with the layer and whether it is audited."""
    folder = site.line("differs") / "model"
    before = site.records("differs")[0]
    one = next(tensor for tensor in before.tensors if tensor.name.endswith("layers.1.mlp.up_proj.weight"))
    data = (folder / WEIGHTS).read_bytes()
    numbers = site.appliance._workspace.vault.get("weights", one.objects[0])
    flip(folder / WEIGHTS, data.index(numbers))
    edit(folder / "preprocessor_config.json", size={"shortest_edge": 8, "\x1b[31m": "[bold]"})
    site.look("differs")
    view = site.appliance.model_change("differs@2")
    assert [(one.file, one.part) for one in view.files] == [
        (WEIGHTS, "weights"),
        ("preprocessor_config.json", "preprocessor"),
    ]
    (tensor,) = view.largest
    assert (tensor.name, tensor.layer, tensor.how, tensor.audited) == (
        one.name, "language layer 1", "changed", True,
    )  # fmt: skip
    assert [(layer.layer, layer.changed, layer.audited) for layer in view.layers] == [
        ("language layer 1", 1, 1)
    ]
    assert (view.changed, view.audited, view.tensors) == (1, 1, len(before.tensors))
    (setting,) = [fact for fact in view.facts if "size" in fact.what]
    assert (setting.before, setting.after) == ("", '"(bold)"')
    assert not any(sign in str(view) for sign in ("\\x1b", "[bold]"))
    assert view.exposure is None and "differs@2 has no finished audit yet" in view.missing
    assert view.missing in view.sentences


def test_settings_alone_change_no_tensor(site: Site) -> None:
    """Said in words, for it is the first thing somebody asks."""
    edit(site.line("settings") / "model" / "config.json", bos_token_id=3)
    site.look("settings")
    view = site.appliance.model_change("settings")
    assert (view.changed, view.layers, "No tensor differs" in view.sentences[0]) == (0, (), True)
    assert [(one.before, one.after) for one in view.facts if one.what == "config.json: bos_token_id"]


def test_audits_of_both_versions_stand_side_by_side(site: Site) -> None:
    """On the same cohort, and only there; intervals that overlap show no difference."""
    flip(site.line("audited") / "model" / WEIGHTS)
    site.look("audited")
    before, after = site.records("audited")
    fail, passed = _audit(before, "a-1", VerdictWord.PASS), _audit(after, "a-2", VerdictWord.FAIL)
    view = _change(site, "audited", before, after, [fail, passed])
    assert view.exposure is not None and view.missing == ""
    assert (view.exposure.before.audit_id, view.exposure.after.audit_id) == ("a-1", "a-2")
    assert {row.part for row in view.exposure.rows} == {"verdict", "exposure"}
    assert "Verdict: PASS before, FAIL after" in "".join(view.sentences)
    assert [one.layer for one in view.exposure.memory] == ["language layer 3", "language layer 2"]
    other = replace(passed, cohort_digest="00" * 32)
    assert "same cohort" in _change(site, "audited", before, after, [fail, other]).missing
    assert "audited has no finished" in _change(site, "audited", before, after, [passed]).missing
    wide, apart = (_share(passed, low, 0.9) for low in (0.2, 0.8))
    for shown, said in ((wide, "intervals overlap"), (apart, "do not overlap")):
        told = _change(site, "audited", before, after, [_share(fail, 0.1, 0.5), shown]).sentences
        assert any(said in sentence for sentence in told), told


def _audit(record: ModelRecord, audit_id: str, word: VerdictWord) -> AuditView:
    view = audit_view(audit_id, record.name, word)
    gaps = (("language layer 3", 0.5 if record.version == 1 else 0.9), ("language layer 2", 0.2))
    result = replace(audit_view("x", "m", VerdictWord.FAIL).result, memory_by_layer=gaps)
    return replace(view, model_digest=record.digest, result=result)


def _share(view: AuditView, low: float, high: float) -> AuditView:
    found = view.result.exposure
    assert found is not None
    found = replace(found, prevalence_estimate=(low + high) / 2, prevalence_ci=Interval(low, high))
    return replace(view, result=replace(view.result, exposure=found))


def _change(site: Site, line: str, before: ModelRecord, after: ModelRecord, audits: Any) -> ChangeView:
    (row,) = site.appliance.model_changes([line])
    return difference.change(row, before, after, audits, site.appliance._workspace.vault)


def test_lineage_joins_by_what_lies_in_the_folders(site: Site) -> None:
    """Two lines of one base, each with its own copy; an adapter on one; a base that is a line itself."""
    family = site.copied("family")
    (family / "base" / "config.json").write_text((family / "base" / "config.json").read_text() + "\n")
    copy = _copied(family / "base", family / "base-copy")
    (copy / "README.md").write_text("Another paper.")
    flip(family / "model" / WEIGHTS, -8)
    tuned = _copied(family / "model", family / "tuned")
    flip(tuned / WEIGHTS, -12)
    add, worker = site.appliance.add_model, site.worker
    add("parent", family / "base", worker=worker)
    add("child", family / "model", base=family / "base", worker=worker)
    add("sister", tuned, base=copy, worker=worker)
    add("patch", family / "model", base=copy, adapter=family / "adapter", worker=worker)
    (tree,) = site.appliance.lineage(["patch"])
    assert site.appliance.lineage(["parent", "sister"]) == (tree,)
    assert (tree.name, tree.kind, _names(tree.below)) == ("parent", "model", ["child", "sister"])
    child = tree.below[0]
    assert (_names(child.below), child.below[0].kind) == (["patch"], "adapter")
    flip(tuned / WEIGHTS, -12)
    site.look("sister")
    (tree,) = site.appliance.lineage(["sister"])
    found = [(row.model, row.found, row.waits) for row in tree.below[1].versions]
    assert found == [("sister@1", "registered", False), ("sister@2", "unannounced", True)]
    assert all(row.by.startswith("officer:") for row in tree.below[1].versions)


def _copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to))


def _names(nodes: tuple[LineageNode, ...]) -> list[str]:
    return [node.name for node in nodes]
