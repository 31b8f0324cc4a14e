"""The import rules of DESIGN §2, from outside: what a fresh interpreter loads, whose packages they are."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LONG, TESTS

ROOT = Path(__file__).parent.parent
PACKAGES = ("audit_core", "medio", "appliance", "tui")
HEAVY = ("torch", "transformers", "monai", "peft", "opacus", "sklearn")
LIGHT = (
    "tui.app",
    "appliance.cli",
    "appliance.api",
    "appliance.demo.run",
    "appliance.doctor",
    "appliance.evidence.log",
    "appliance.evidence.verify",
)
TORCH_FREE = ("audit_core.results", "audit_core.samples", "audit_core.policy", "medio.records", *LIGHT)


def _loaded_by(module: str) -> set[str]:
    """Top-level names in sys.modules of a fresh interpreter after one import."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def _is_there(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def test_the_look_into_a_fresh_interpreter_can_fail() -> None:
    """The look sees a heavy library that is loaded."""
    assert "sklearn" in _loaded_by("sklearn")  # the lightest of the heavy ones


@pytest.mark.parametrize("module", TORCH_FREE)
def test_fast_paths_load_nothing_heavy(module: str) -> None:
    """Screens, commands, the log, its verifier and the vocabulary start without a heavy library."""
    assert _is_there(module)
    assert set() == _loaded_by(module) & set(HEAVY)


def _modules_of(package: str) -> list[str]:
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / package).rglob("*.py")
    )


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("audit_core", {"medio", "appliance", "tui"}), ("medio", {"audit_core", "appliance", "tui"})],
)
def test_science_and_data_do_not_know_each_other(package: str, forbidden: set[str]) -> None:
    """After every module of one package is loaded, the other and everything above are not."""
    imports = ", ".join(_modules_of(package))
    assert set() == _loaded_by(f"os, {imports}") & forbidden


def test_import_contracts_hold() -> None:
    """The contracts in pyproject.toml are kept."""
    checker = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([checker], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", ["verify_evidence.py", "appliance/evidence/verify_evidence.py"])
def test_the_verifier_needs_the_standard_library_only(path: str) -> None:
    """Whoever gets an evidence pack needs nothing but Python."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported, "the verifier imports something"
    assert set() == imported - set(sys.stdlib_module_names) - {"__future__"}


def test_the_four_packages_are_ours() -> None:
    """No other distribution brings a package of our names, and ours brings no other."""
    owners = importlib.metadata.packages_distributions()
    assert {"gradaudit-appliance"} == {owner for package in PACKAGES for owner in owners[package]}


def test_the_files_that_begin_first_are_there() -> None:
    """One that was renamed would begin last again, and nobody would see why the suite takes longer."""
    assert [name for name in LONG if not (TESTS / name).is_file()] == []


def test_help_is_quick() -> None:
    """`gradaudit --help` answers within 0.4 s of processor time (best of three)."""
    code = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "appliance.cli", "--help"], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
"""
    seconds = [
        float(
            subprocess.run(
                [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(3)
    ]
    assert min(seconds) <= 0.4
