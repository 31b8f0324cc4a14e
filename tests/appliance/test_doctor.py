"""The self-check: clean here, and each defect found by its own line with a hint."""

from __future__ import annotations

import ctypes.util
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import doctor
from appliance.doctor import Check, checks
from appliance.isolation import LAYERS, ON


def test_every_defect_comes_with_a_hint_and_the_answer_is_quick() -> None:
    """All checks answer within five seconds in a fresh process, without a heavy library."""
    code = """
import sys, time
start = time.monotonic()
from appliance.doctor import checks
lines = checks()
assert all(check.hint for check in lines if check.status == "failure"), lines
assert not {"torch", "transformers", "monai"} & set(sys.modules)
print(len(lines), time.monotonic() - start)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, seconds = done.stdout.split()
    assert int(count) >= 12
    assert float(seconds) <= 5


def test_this_installation_has_no_failure(tmp_path: Path) -> None:
    """The environment that runs the suite is one an audit may run in."""
    assert [] == [check for check in checks(tmp_path) if check.status == "failure" and check.name != "memory"]


def test_the_c_library_and_what_pages_need_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wheels run on glibc alone; without Pango there is no PDF, and that is said."""
    assert "glibc" in doctor.system().sentence
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    assert ("warning", True) == (doctor.system().status, "pages as PDF" in doctor.system().sentence)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert "failure" == doctor.system().status


def test_the_installation_alone_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine is asked, so that an installer can go by it."""
    monkeypatch.setattr(doctor, "disk_space", lambda _: pytest.fail("asked"))
    assert {"packages", "extras", "torchvision", "own packages", "SQLCipher"} == {
        check.name for check in doctor.installation()
    }


def _distribution(folder: Path, name: str, version: str, package: str) -> None:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "top_level.txt").write_text(f"{package}\n")
    (info / "RECORD").write_text(f"{package}/__init__.py,,\n")


@pytest.mark.parametrize(
    ("name", "version", "package", "check", "words"),
    [
        ("torchvision", "0.28.0", "torchvision", doctor.torchvision_absent, "torchvision is installed"),
        ("medio", "0.4.1", "medio", doctor.own_packages, "package of our name: medio"),
        ("transformers", "4.40.0", "transformers", doctor.required_packages, "transformers==5.23.0"),
        ("torch", "2.12.0", "torch", doctor.required_packages, "torch==2.13.0"),
        ("hl7", "0.1.0", "hl7", doctor.optional_packages, "HL7"),
    ],
)
def test_a_wrong_package_is_named(
    name: str,
    version: str,
    package: str,
    check: Callable[[], Check],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A package that does not belong, or not in this version, is found by its metadata alone."""
    assert check().status == "ok"
    _distribution(tmp_path, name, version, package)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = check()
    assert found.status != "ok"
    assert words in found.sentence
    assert found.hint


def test_a_cuda_build_of_torch_is_the_pinned_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pin names no build: 2.13.0 for CUDA is as good as 2.13.0 for CPU."""
    _distribution(tmp_path, "torch", "2.13.0+cu130", "torch")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert doctor.required_packages().status == "ok"
    assert "CUDA" in doctor.torch_build().sentence


@pytest.mark.parametrize(
    ("missing", "status"),
    [("network_namespace", "warning"), ("landlock", "warning"), ("seccomp", "failure"), (None, "ok")],
)
def test_a_missing_layer_is_said(missing: str | None, status: str) -> None:
    """A policy may do without two of the layers, never without the filter."""
    layers = {layer: "the kernel refused" if layer == missing else ON for layer in LAYERS}
    judged = doctor._judge_isolation(layers, [])
    assert status == judged.status
    assert bool(judged.hint) is (missing is not None)


def test_a_lying_layer_is_a_failure() -> None:
    """A box that says it is closed and is not outweighs everything."""
    assert doctor._judge_isolation(dict.fromkeys(LAYERS, ON), ["tcp"]).status == "failure"


@pytest.mark.parametrize(
    ("look", "text", "status"),
    [
        (doctor.memory, "MemAvailable:   900000 kB\n", "failure"),
        (doctor.memory, "MemAvailable:  3000000 kB\n", "warning"),
        (doctor.memory, "MemAvailable: 30000000 kB\n", "ok"),
        (doctor.swap, "Filename Type Size\n/dev/sda2 partition 1 0 -2\n", "warning"),
        (doctor.swap, "Filename Type Size\n/dev/zram0 partition 1 0 -2\n", "ok"),
    ],
)
def test_memory_and_swap_are_judged_by_what_the_kernel_says(
    look: Callable[[], Check], text: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too little memory and unencrypted swap are seen."""
    monkeypatch.setattr(doctor, "_read", lambda path: text)
    assert status == look().status


def test_the_run_folder_is_the_one_that_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where XDG_RUNTIME_DIR is on a disk and /dev/shm in memory, the latter is used: nothing to mend."""
    mounts = f"/dev/sda1 {tmp_path} ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n"
    monkeypatch.setattr(doctor, "_read", lambda path: mounts)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    check = doctor.run_folder()
    assert (check.status, check.hint) == ("ok", "") and check.sentence.startswith("/dev/shm is in memory")
    assert str(tmp_path) in check.sentence
    mounts = f"tmpfs {tmp_path} tmpfs rw 0 0\n/dev/sda1 /dev/shm ext4 rw 0 0\n"
    assert doctor.run_folder() == Check("run folder", "ok", f"{tmp_path} is in memory")


def test_a_run_folder_on_a_disk_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short-lived files never go to a disk, even when both candidates are on one."""
    monkeypatch.setattr(doctor, "_read", lambda path: "/dev/sda1 / ext4 rw 0 0\n")
    assert doctor.run_folder().status == "failure"
