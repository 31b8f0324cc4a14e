"""The box around a worker: when it closes, what is written down of it, and what refuses without it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import isolation as soak
import pytest

from appliance import auditing, policy_file
from appliance.api import Appliance
from appliance.errors import NotNow
from appliance.isolation import LAYERS, ON
from appliance.worker import SELF_PROBE, Worker
from appliance.workspace.workspace import Workspace

ROOT = Path(__file__).parent.parent.parent
READABLE = [str(path) for path in (ROOT, Path(sys.prefix), Path(sys.base_prefix))]
_PART = {
    "network_namespace": "namespace.enter",
    "seccomp": "seccomp.install",
    "landlock": "landlock.restrict",
}
_CHILD = """
import sys
from appliance import isolation, worker
from appliance.isolation import box, landlock, namespace, seccomp
from appliance import pipeline
pipeline.preload = lambda what: None
for heavy in [name for name in sys.modules if name.split(".")[0] in {lift!r}]:
    del sys.modules[heavy]
def missing(*arguments):
    raise OSError(38, "taken away")
for part in {parts!r}:
    module, name = part.split(".")
    setattr(dict(landlock=landlock, namespace=namespace, seccomp=seccomp)[module], name, missing)
raise SystemExit(worker.main())
"""
_WHEN = """
import sys
from appliance import isolation, worker
close = isolation.close_box
def watched(*given, **named):
    known = ("numpy", "torch", "transformers", "pydicom", "pydantic")
    heavy = [name for name in known if name in sys.modules]
    return close(*given, **named) | {"heavy": ",".join(heavy)}
isolation.close_box = watched
{first}
raise SystemExit(worker.main())
"""


def started(tmp_path: Path, code: str) -> Worker:
    """A worker whose child runs this program."""

    class Changed(Worker):
        program = ("-c", code)

    return Changed([tmp_path], "list")


def without(tmp_path: Path, *layers: str) -> Worker:
    """A worker on a machine that lacks these layers."""
    return started(tmp_path, _CHILD.format(parts=[_PART[layer] for layer in layers], lift=("numpy", "torch")))


@pytest.mark.parametrize(("first", "heavy"), [("", ""), ("import numpy", "numpy")])
def test_the_box_closes_before_any_library(tmp_path: Path, first: str, heavy: str) -> None:
    """At closing none of the heavy libraries is loaded; one that was loaded would be seen."""
    with started(tmp_path, _WHEN.replace("{first}", first)) as worker:
        assert worker.isolation["heavy"] == heavy


@pytest.mark.parametrize("layer", LAYERS)
def test_a_required_layer_that_is_missing_keeps_an_audit_from_starting(tmp_path: Path, layer: str) -> None:
    """hipaa.toml requires all three; where one is missing nothing starts, and the reason is named."""
    with (
        without(tmp_path, layer) as worker,
        pytest.raises(NotNow, match=f"requires {layer}, which is missing"),
    ):
        auditing.check_isolation(worker, policy_file.load("hipaa"))


@pytest.mark.parametrize(
    ("policy", "layer"),
    [("default", "network_namespace"), ("demo", "network_namespace"), ("demo", "landlock")],
)
def test_a_layer_that_is_not_required_is_said(tmp_path: Path, policy: str, layer: str) -> None:
    """The audit starts, and its result says which layer was missing."""
    with without(tmp_path, layer) as worker:
        layers = auditing.check_isolation(worker, policy_file.load(policy))
    assert layers[layer] != ON
    assert layers[SELF_PROBE] == ON


def test_what_the_shipped_policies_require() -> None:
    """SECURITY §4: default seccomp and Landlock, hipaa and gdpr all three, demo seccomp."""
    required = {
        name: set(policy_file.load(name).policy.required_isolation)
        for name in ("default", "hipaa", "gdpr", "demo")
    }
    assert required == {
        "default": {"seccomp", "landlock"}, "hipaa": set(LAYERS), "gdpr": set(LAYERS), "demo": {"seccomp"},
    }  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Appliance]:
    """An empty workspace, open."""
    made = Workspace.create(tmp_path / "workspace", "four random words", "Test", unsafe_fast_kdf=True)
    with Appliance(made) as opened:
        yield opened


@pytest.mark.parametrize("missing", [(), ("landlock",), ("network_namespace", "landlock")])
def test_the_log_says_how_the_box_stood(site: Appliance, tmp_path: Path, missing: tuple[str, ...]) -> None:
    """The outcome of the self-probe, and an entry for every layer that was missing."""
    with without(tmp_path, *missing) as worker:
        site._boxed(worker, "A-1")
    rows = [(row.act, row.outcome) for row in site.log_entries(0, 20) if row.act.startswith("isolation.")]
    expected = [(f"isolation.missing.{layer.partition('_')[0]}", "noted") for layer in missing]
    assert sorted(rows) == sorted([("isolation.probe", "ok"), *expected])


def test_a_box_that_leaks_starts_nothing(site: Appliance, tmp_path: Path) -> None:
    """A layer that says it is on and does not hold: refused whatever the policy requires, and logged."""
    code = _CHILD.format(parts=[], lift=()).replace(
        "raise SystemExit", "seccomp.install = lambda: None\nraise SystemExit"
    )
    with started(tmp_path, code) as worker:
        site._boxed(worker, "A-1")
        with pytest.raises(NotNow, match="the worker's box leaks"):
            auditing.check_isolation(worker, policy_file.load("demo"))
    assert ("isolation.probe", "failed") in {(row.act, row.outcome) for row in site.log_entries(0, 20)}


@pytest.mark.parametrize("given", [True, False])
def test_a_graphics_card_adds_its_device_files_and_nothing_else(tmp_path: Path, given: bool) -> None:
    """A device that is named can be opened, a file or folder named as one cannot; unnamed, none can."""
    (tmp_path / "secret").write_text("not for the worker")
    code = """
import json, os, sys
from pathlib import Path
from appliance.isolation import close_box
close_box([], devices=[Path(path) for path in json.loads(sys.argv[1])])
def may(path):
    try: os.close(os.open(path, os.O_RDWR)); return True
    except OSError: return False
print(json.dumps([may(path) for path in json.loads(sys.argv[2])]))
"""
    named = ["/dev/full", str(tmp_path / "secret"), "/dev/shm"] if given else []
    tried = ["/dev/full", str(tmp_path / "secret"), "/dev/ptmx"]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(named), json.dumps(tried)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == [given, False, False]


def test_nothing_gets_out_and_no_layer_lies() -> None:
    """The short form of benchmarks/soak/isolation.py."""
    found = soak.run(4)
    assert (found["egress"], found["lies"]) == (0, 0)
    assert found["tried"] >= 3 * 15


def test_without_the_box_all_that_counts_gets_out() -> None:
    """The control of the same harness."""
    found = soak.run(1, box=False)
    assert found["egress"] >= len(found["counted"]) >= 15
