"""Self-check of this machine and installation: one line a check, with the command that mends it.

Looks at metadata and asks the kernel; imports no heavy library, so it answers within seconds even where the
installation is broken.
"""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from appliance.config import workspace_root

Status = Literal["ok", "warning", "failure"]

DISTRIBUTION = "gradaudit-appliance"
PACKAGES = ("audit_core", "medio", "appliance", "tui")
_OPTIONAL = {"reports": "reading SR, FHIR, HL7 and PDF reports", "codecs": "reading every DICOM compression"}
_LIBRARIES = {"pango-1.0": "the pack's pages as PDF"}
_GIB = 1 << 30
_UNITS = Path("/etc/systemd/system")
_ISOLATION_TIMEOUT_S = 4.0
_ISOLATION_PROBE = """
import json
from appliance.isolation import broken_promises, close_box, probe
layers = close_box([])
print(json.dumps([layers, list(broken_promises(layers, probe()))]))
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the self-check.

    Attributes:
        name: what was looked at.
        status: "failure" keeps audits from running or from being safe; "warning" narrows what can be done.
        sentence: what was found.
        hint: the command or act that mends it; "" when there is nothing to mend.
    """

    name: str
    status: Status
    sentence: str
    hint: str = ""


def checks(workspace: Path | None = None) -> tuple[Check, ...]:
    """Run every check.

    Args:
        workspace: where the site's workspace is or will be; by default where the command line would look.
    """
    root = workspace or workspace_root()
    looks: tuple[Callable[[], Check], ...] = (
        python_version,
        system,
        required_packages,
        optional_packages,
        torch_build,
        torchvision_absent,
        own_packages,
        lambda: disk_space(root),
        run_folder,
        memory,
        swap,
        encrypted_database,
        isolation,
        lambda: service(root),
    )
    return tuple(look() for look in looks)


def installation() -> tuple[Check, ...]:
    """Only what was installed, whatever machine it is on."""
    looks = (required_packages, optional_packages, torchvision_absent, own_packages, encrypted_database)
    return tuple(look() for look in looks)


def python_version() -> Check:
    """Python 3.11 to 3.13 are what the pinned packages are built for."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= (3, 14):
        return Check("python", "warning", f"Python {found} is newer than what was tried (3.11 to 3.13)")
    return Check("python", "ok", f"Python {found}")


def system() -> Check:
    """The C library that wheels are built for, and the tools that make other things possible."""
    library = " ".join(platform.libc_ver()) or "a C library of unknown version"
    kernel = platform.release()
    sentence = f"Linux {kernel} on {platform.machine()}, {library}"
    if not library.startswith("glibc"):
        return Check(
            "system", "failure", f"{sentence}: packages are built for glibc", "use a system with glibc"
        )
    lacking = [purpose for name, purpose in _LIBRARIES.items() if ctypes.util.find_library(name) is None]
    if lacking:
        hint = "sudo apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
        return Check("system", "warning", f"{sentence}; not possible here: {'; '.join(lacking)}", hint)
    return Check("system", "ok", sentence)


def required_packages() -> Check:
    """Every pinned package is there in a version we accept."""
    wrong = _unmet(extra="")
    if wrong:
        return Check("packages", "failure", f"missing or wrong: {', '.join(wrong)}", _reinstall())
    return Check("packages", "ok", "all required packages are there in the expected versions")


def optional_packages() -> Check:
    """The extras that read reports and rare compressions."""
    lacking = [purpose for extra, purpose in _OPTIONAL.items() if _unmet(extra)]
    if lacking:
        return Check("extras", "warning", f"not possible here: {'; '.join(lacking)}", _reinstall())
    return Check("extras", "ok", "report formats and image compressions are complete")


def torch_build() -> Check:
    """CPU or CUDA, and whether a graphics card lies idle."""
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return Check("torch", "failure", "torch is not installed", _reinstall())
    has_cuda = "+cu" in version or _is_installed("nvidia-cuda-runtime") or _is_installed("nvidia-cublas")
    if not has_cuda and Path("/dev/nvidia0").exists():
        return Check(
            "torch",
            "warning",
            f"torch {version} computes on the CPU although this machine has a graphics card",
            "./install.sh --torch-index URL with the index of a CUDA build",
        )
    return Check("torch", "ok", f"torch {version}, computing on {'CUDA or CPU' if has_cuda else 'CPU'}")


def torchvision_absent() -> Check:
    """A torchvision beside a torch of another build breaks transformers' imports in silence."""
    if not _is_installed("torchvision"):
        return Check("torchvision", "ok", "torchvision is absent, as it must be")
    return Check(
        "torchvision",
        "failure",
        "torchvision is installed; it changes image preprocessing and can break model loading",
        f"{sys.executable} -m pip uninstall -y torchvision",
    )


def own_packages() -> Check:
    """`medio` is also the name of an unrelated package that installs over ours."""
    owners = importlib.metadata.packages_distributions()
    foreign = sorted({owner for name in PACKAGES for owner in owners.get(name, []) if owner != DISTRIBUTION})
    if foreign:
        return Check(
            "own packages",
            "failure",
            f"another distribution brings a package of our name: {', '.join(foreign)}",
            f"{sys.executable} -m pip uninstall -y {' '.join(foreign)}, then ./install.sh",
        )
    if missing := [name for name in PACKAGES if name not in owners]:
        return Check("own packages", "failure", f"not installed: {', '.join(missing)}", _reinstall())
    return Check("own packages", "ok", "all four packages belong to this distribution")


def disk_space(workspace: Path) -> Check:
    """Room where the workspace is, or will be."""
    there = next(folder for folder in (workspace, *workspace.parents) if folder.exists())
    free_gib = shutil.disk_usage(there).free / _GIB
    sentence = f"{free_gib:.1f} GiB are free for the workspace under {there}"
    hint = "make room there, or set GRADAUDIT_WORKSPACE to a folder on a larger disk"
    if free_gib < 1:
        return Check("disk", "failure", sentence, hint)
    return Check("disk", "warning", sentence, hint) if free_gib < 4 else Check("disk", "ok", sentence)


def run_folder() -> Check:
    """Short-lived files must live in memory, never on a disk."""
    asked = os.environ.get("XDG_RUNTIME_DIR", "")
    for folder in filter(Path.is_absolute, map(Path, (asked, "/dev/shm"))):
        if folder.is_dir() and os.access(folder, os.W_OK) and _file_system(folder) in ("tmpfs", "ramfs"):
            beside = f"; XDG_RUNTIME_DIR, {asked}, is not" if asked not in ("", str(folder)) else ""
            return Check("run folder", "ok", f"{folder} is in memory{beside}")
    return Check(
        "run folder",
        "failure",
        "no writable folder in memory: neither XDG_RUNTIME_DIR nor /dev/shm is a tmpfs",
        "set XDG_RUNTIME_DIR to a tmpfs of yours, or: sudo mount -t tmpfs tmpfs /dev/shm",
    )


def memory() -> Check:
    """Room for a model and one batch."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    available_gib = int(found[1]) / (1 << 20) if found else 0.0
    sentence = f"{available_gib:.1f} GiB of memory are available"
    hint = "stop other programs, or audit on a larger machine: a model must fit, twice when it has a base"
    if available_gib < 1.5:
        return Check("memory", "failure", sentence, hint)
    return (
        Check("memory", "warning", sentence, hint) if available_gib < 4 else Check("memory", "ok", sentence)
    )


def swap() -> Check:
    """Studies in memory may be written to a swap device; in clear text unless that is encrypted."""
    devices = [line.split()[0] for line in _read("/proc/swaps").splitlines()[1:]]
    plain = [name for name in devices if not name.startswith(("/dev/zram", "/dev/dm-", "/dev/mapper/"))]
    if plain:
        return Check(
            "swap",
            "warning",
            f"memory may be written in clear text to {', '.join(plain)}",
            "sudo swapoff -a, or encrypt the swap device",
        )
    return Check("swap", "ok", "nothing in memory is written to an unencrypted swap device")


def encrypted_database() -> Check:
    """SQLCipher really encrypts: a database with a canary shows neither the canary nor SQLite's header."""
    hint = (
        f"{sys.executable} -m pip install --force-reinstall sqlcipher3, in the version of requirements.lock"
    )
    try:
        import sqlcipher3
    except ImportError as missing:
        return Check("SQLCipher", "failure", f"SQLCipher cannot be loaded ({missing})", hint)
    with tempfile.TemporaryDirectory(prefix="gradaudit-doctor-") as folder:
        path = Path(folder) / "probe.db"
        database = sqlcipher3.connect(path)
        database.execute(f"PRAGMA key = \"x'{os.urandom(32).hex()}'\"")
        version = (database.execute("PRAGMA cipher_version").fetchone() or ("",))[0]
        database.execute("CREATE TABLE probe (canary TEXT)")
        database.execute("INSERT INTO probe VALUES ('canary-in-clear-text')")
        database.commit()
        database.close()
        stored = path.read_bytes()
    if not version or b"canary-in-clear-text" in stored or stored.startswith(b"SQLite format 3"):
        return Check("SQLCipher", "failure", "the database library does not encrypt", hint)
    return Check("SQLCipher", "ok", f"SQLCipher {version} encrypts")


def isolation() -> Check:
    """The box around the worker, closed and probed in a process of its own."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _ISOLATION_PROBE],
            capture_output=True,
            text=True,
            timeout=_ISOLATION_TIMEOUT_S,
            check=True,
        )
        layers, broken = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError):
        return Check("isolation", "failure", "the box around the worker could not be tried", _reinstall())
    return _judge_isolation(layers, broken)


def service(workspace: Path) -> Check:
    """Whether something starts what is due: units that are enabled, and when somebody looked last."""
    try:
        from appliance import beat
    except ImportError as missing:
        return Check("service", "failure", f"cannot be told: {missing}", _reinstall())
    from appliance.leases import Machine

    enabled = sorted(path.name for path in _UNITS.glob("*.wants/gradaudit-*"))
    view = beat.seen(beat.read(workspace), datetime.now(UTC), Machine())
    units = f"enabled: {', '.join(enabled)}" if enabled else "no unit of systemd is enabled"
    status: Status = "warning" if view.silent else "ok"
    hint = "sudo ./install.sh service … --enable, see docs/service.md" if view.silent else ""
    return Check("service", status, f"{units}; {view.told}", hint)


def _judge_isolation(layers: dict[str, str], broken: list[str]) -> Check:
    if broken:
        return Check(
            "isolation",
            "failure",
            f"the box says it is closed, but these got out: {', '.join(broken)}",
            "do not audit on this machine; report this line",
        )
    missing = {layer: state for layer, state in layers.items() if state != "on"}
    if not missing:
        return Check("isolation", "ok", "network namespace, seccomp and Landlock are on; nothing gets out")
    return Check(
        "isolation",
        "failure" if "seccomp" in missing else "warning",
        "; ".join(f"{layer} is missing: {state}" for layer, state in missing.items()),
        "; ".join(_ISOLATION_HINTS[layer] for layer in missing),
    )


_ISOLATION_HINTS = {
    "network_namespace": (
        "allow user namespaces: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), "
        "sudo sysctl -w kernel.unprivileged_userns_clone=1 (older Debian), or the container's own profile"
    ),
    "seccomp": "use a kernel with CONFIG_SECCOMP_FILTER on x86-64 or 64-bit ARM",
    "landlock": "use Linux 5.13 or newer, with landlock in the kernel option lsm=",
}


def _unmet(extra: str) -> list[str]:
    """Requirements of our distribution that this installation does not meet; "" is the core."""
    from packaging.requirements import Requirement

    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return [DISTRIBUTION]
    unmet = []
    for line in lines:
        requirement = Requirement(line)
        of_extra = requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})
        if of_extra is not bool(extra):
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        if not _meets(requirement.name, requirement.specifier.contains):
            unmet.append(f"{requirement.name}{requirement.specifier}")
    return unmet


def _meets(name: str, accepts: Callable[[str], bool]) -> bool:
    try:
        return accepts(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


def _is_installed(name: str) -> bool:
    return any(True for _ in importlib.metadata.distributions(name=name))


def _reinstall() -> str:
    return "./install.sh in the folder of the checkout"


def _file_system(folder: Path) -> str:
    """Type of the mount that holds a folder, "" when it cannot be read."""
    best, kind = "", ""
    resolved = f"{folder.resolve()}/"
    for line in _read("/proc/self/mounts").splitlines():
        _, point, file_system, *_ = line.split()
        point = point.replace("\\040", " ")
        if resolved.startswith(f"{point.rstrip('/')}/") and len(point) >= len(best):
            best, kind = point, file_system
    return kind


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
