"""`install.sh offline FILE` and `rollback`: versions beside each other, and a link to the one in use.

    FOLDER/current                  link to the version in use; `previous` is the one before
    FOLDER/versions/<digest>/       venv/, source/, bundle.json, and `complete` once it was proven to start
    FOLDER/bundle.key               the key whose bundles are taken here

A version is made in its own place and looked at before the link is moved, so an installation that fails or is
cut off changes nothing that is in use. One that is there already is compared with the bundle; where it is not
the same any more, it is made once more, beside, as DIGEST-1. A workspace is nowhere near: neither act knows
where one is. Standard library alone.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from appliance.site import machine
from appliance.site.bundle import KEY, MANIFEST, Bundle, Refused, measured, parse

FOLDER: Final = "/opt/gradaudit"
CURRENT, PREVIOUS, VERSIONS, COMPLETE = "current", "previous", "versions", "complete"
HASHES: Final = "requirements.hashed"
_TAIL: Final = 15
_MADE_THERE: Final = re.compile(r"/__pycache__/|\.egg-info/")
"""What Python and pip leave beside the sources."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one of the two acts; the exit code."""
    parser = argparse.ArgumentParser(prog="./install.sh", add_help=True)
    acts = parser.add_subparsers(dest="act", required=True)
    offline = acts.add_parser("offline", help="install a bundle without a network")
    offline.add_argument("file", type=Path)
    offline.add_argument("--key", default="", help="the ten words its maker told you")
    offline.add_argument("--older", action="store_true", help="take a bundle made before the one in use")
    offline.add_argument(
        "--check", action="store_true", help="check the bundle and this machine, install nothing"
    )
    rollback = acts.add_parser("rollback", help="use the version before again")
    for act in (offline, rollback):
        act.add_argument("--into", type=Path, default=Path(FOLDER), help=f"where versions lie ({FOLDER})")
    asked = parser.parse_args(arguments)
    try:
        if asked.act == "rollback":
            roll_back(asked.into.absolute())
        else:
            install(asked.file, asked.into.absolute(), asked.key, older=asked.older, check=asked.check)
    except Refused as refused:
        say(f"error: {refused}" + (f"\nhint: {refused.hint}" if refused.hint else ""))
        return refused.exit_code
    except OSError as wrong:
        say(f"error: {wrong.strerror}: {wrong.filename}\nhint: the version in use is as it was")
        return 1
    return 0


def say(line: str) -> None:
    """One line for whoever installs."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


# --- install ------------------------------------------------------------------------------------------------


def install(file: Path, folder: Path, words: str, *, older: bool = False, check: bool = False) -> None:
    """Install a bundle and switch to it.

    Args:
        file: the bundle.
        folder: where versions lie.
        words: ten words of the maker's key; empty where a key is kept here from the installation before.
        older: whether a bundle made before the one in use may be taken.
        check: only look.

    Raises:
        Refused: the bundle or this machine is not as it must be. What is in use is as it was.
    """
    os.umask(0o022)
    with Bundle(file) as bundle:
        _with_its_python(bundle.manifest.needs.python)
        _expect_key(bundle, folder, words)
        _expect_machine(bundle, folder)
        if check:
            bundle.unpack(None)
            say(
                f"intact: {file}, version {bundle.manifest.version} of {bundle.manifest.made}; "
                "this machine can take it"
            )
            return
        with _alone(folder):
            _expect_newer(bundle, folder, allowed=older)
            _settle(folder)
            version = _installed(bundle, folder)
            _write(folder / KEY, bundle.key.line())
            _switch(folder, version)
    say(f"in use: version {bundle.manifest.version} of {bundle.manifest.made}, {version}")
    _say_what_next(folder)


def _with_its_python(wanted: str) -> None:
    """Go on as the Python that the wheels are for, where this is another and that one is here."""
    if machine.python_here() == wanted:
        return
    asked = os.environ.get("GRADAUDIT_PYTHON", "").split()
    for name in (*asked, f"python{wanted}"):
        there = shutil.which(name)
        ask = [there or "", "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if (
            there
            and subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip() == wanted
        ):
            os.execv(there, [there, *sys.orig_argv[1:]])


def _expect_key(bundle: Bundle, folder: Path, words: str) -> None:
    """The bundle is signed by the key of these words, else by the one kept here."""
    if words:
        if words.lower().split() != bundle.words.split():
            raise Refused(
                "the bundle is signed by another key than the one you named",
                f"its words are: {bundle.words}; ask its maker, and not by the road the file came",
            )
        return
    kept = folder / KEY
    if not kept.exists():
        raise Refused(
            "nothing here says whose bundles to take",
            'give --key "TEN WORDS": they were said when the bundle was made; not the road the file came',
        )
    if kept.read_bytes() != bundle.key.line():
        raise Refused(
            "the bundle is signed by another key than the version in use",
            f"its words are: {bundle.words}; give them with --key if its maker has told you those",
        )


def _expect_machine(bundle: Bundle, folder: Path) -> None:
    needs = bundle.manifest.needs
    if lacking := machine.lacks(needs, folder):
        raise Refused(
            "\nerror: ".join(lacking), "docs/air-gap.md says what a machine needs; nothing was installed"
        )
    for layer, state in machine.layers(_code()).items():
        if state == "on":
            continue
        if layer in needs.kernel:
            raise Refused(f"this kernel has no {layer}: {state}", machine.remedy(layer))
        say(f"warning: this kernel has no {layer}: {state}\n         {machine.remedy(layer)}")


def _expect_newer(bundle: Bundle, folder: Path, *, allowed: bool) -> None:
    there = folder / CURRENT / MANIFEST
    if allowed or not there.exists():
        return
    used = parse(there.read_bytes())
    if bundle.manifest.made < used.made:
        raise Refused(
            f"the bundle was made on {bundle.manifest.made}, before the one in use ({used.made})",
            "give --older to take it all the same; to go back to the version before: ./install.sh rollback",
        )


def _installed(bundle: Bundle, folder: Path) -> Path:
    """The version of a bundle that was checked whole: the one here if it is as signed, else a new one."""
    in_use = (folder / CURRENT).resolve()
    checked = False
    for number in count():
        version = folder / VERSIONS / (bundle.identity + (f"-{number}" if number else ""))
        if not (version / COMPLETE).exists() and version.resolve() != in_use:
            break
        if not checked:
            bundle.unpack(None)
            bundle.rewind()
            checked = True
        if why := _differs(bundle, version):
            say(f"not as it was installed: {why}; it is made once more, beside")
        else:
            return version
    _make(bundle, version)
    return version


def _differs(bundle: Bundle, version: Path) -> str:
    """What of an installed version is not as the bundle has it, or does not start; empty where nothing is."""
    source = version / "source"
    listed = {one.name: one for one in bundle.manifest.files if one.name.startswith("source/")}
    there = {
        path.relative_to(version).as_posix()
        for path in source.rglob("*")
        if (path.is_symlink() or not path.is_dir()) and not _MADE_THERE.search(path.as_posix())
    }
    if odd := sorted(there ^ set(listed)):
        return f"{version / odd[0]}"
    for name, member in listed.items():
        path = version / name
        if path.is_symlink() or not path.is_file() or measured(name, path) != member:
            return f"{path}"
    try:
        _look(version)
    except (Refused, OSError):
        return f"{version / 'venv'}"
    return ""


def _make(bundle: Bundle, version: Path) -> None:
    """Everything of one version, in its own folder; nothing of it stays where that fails."""
    if version.exists():
        say(f"an installation was cut off here; it begins anew: {version}")
        shutil.rmtree(version)
    version.mkdir(parents=True)
    try:
        say(f"checking {len(bundle.manifest.files)} files")
        bundle.unpack(version)
        _write(version / MANIFEST, bundle.manifest_bytes)
        _environment(version)
        shutil.rmtree(version / "wheels")
        shutil.rmtree(version / "start")
        if subprocess.run(["sync", "-f", str(version)], check=False).returncode:
            raise Refused("what was written does not reach the disk", "look at it with dmesg; try again")
        _write(version / COMPLETE, b"")
    except BaseException:
        shutil.rmtree(version, ignore_errors=True)
        raise


def _environment(version: Path) -> None:
    """The virtual environment: wheels by digest, then our own packages, and a look whether they start."""
    venv, source, wheels = version / "venv", version / "source", version / "wheels"
    python = str(venv / "bin" / "python")
    say("making the environment")
    _run("the environment", version, [sys.executable, "-I", "-m", "venv", "--without-pip", str(venv)])
    pip = next(wheels.glob("pip-*.whl"))
    quiet = [
        python,
        "-I",
        str(source / "appliance" / "site" / "quiet_pip.py"),
        str(pip),
        "--isolated",
        "install",
    ]
    quiet += ["--no-index", "--no-deps", "--no-input", "--no-cache-dir", "--disable-pip-version-check"]
    say("installing the pinned packages")
    hashed = ["--find-links", str(wheels), "--only-binary", ":all:", "--require-hashes"]
    _run("the pinned packages", version, [*quiet, *hashed, "--requirement", str(version / HASHES)])
    _run("the appliance", version, [*quiet, "--no-build-isolation", "--editable", str(source)])
    say("looking whether it starts")
    _look(version)


def _look(version: Path) -> None:
    _run(
        "the look at what was installed",
        version,
        [str(version / "venv" / "bin" / "gradaudit"), "doctor", "--installation"],
    )


def _run(what: str, version: Path, command: list[str]) -> None:
    """Run a step without anybody's settings of Python and pip; loud when it fails."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))
    }
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PYTHONNOUSERSITE": "1"}
    done = subprocess.run(
        command, cwd=version, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        for line in done.stdout.decode(errors="replace").splitlines()[-_TAIL:]:
            say(f"  {''.join(sign if sign.isprintable() else '?' for sign in line)}")
        raise Refused(
            f"{what} could not be installed", "the lines above say why; the version in use is as it was"
        )


# --- the link -----------------------------------------------------------------------------------------------


def roll_back(folder: Path) -> None:
    """Use the version before; called again, it goes forward.

    Raises:
        Refused: there is none.
    """
    with _alone(folder):
        _settle(folder)
        before = folder / PREVIOUS
        if not (before / COMPLETE).exists() or before.resolve() == (folder / CURRENT).resolve():
            raise Refused("there is no version before this one", f"look into {folder / VERSIONS}")
        version = before.resolve()
        _switch(folder, version)
    say(f"in use again: {version}")
    _say_what_next(folder)


def _switch(folder: Path, version: Path) -> None:
    """Move the links; whoever looks sees the old version or the new one, never none.

    `previous` moves after `current` has, and where it will go is written down before: see `_settle`.
    """
    current = folder / CURRENT
    if current.is_symlink() and current.resolve() == version.resolve():
        return
    if current.is_symlink():
        _beside(folder / PREVIOUS, current.readlink())
        _sync(folder)
    _beside(current, Path(VERSIONS) / version.name).replace(current)
    _sync(folder)
    _settle(folder)


def _settle(folder: Path) -> None:
    """End what a switch that was cut off has begun: forward where `current` has moved, else back."""
    before = folder / f".{PREVIOUS}.new"
    if not before.is_symlink():
        return
    if before.resolve() == (folder / CURRENT).resolve():
        before.unlink()
    else:
        before.replace(folder / PREVIOUS)
    _sync(folder)


def _beside(link: Path, target: Path) -> Path:
    beside = link.with_name(f".{link.name}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    return beside


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One installer at a time."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as refused:
        raise Refused(
            f"{folder} cannot be made: {refused.strerror}",
            "run it with sudo, or give --into FOLDER of your own",
        ) from refused
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as busy:
        raise Refused(f"somebody else installs into {folder}", "wait for them, then try again") from busy
    finally:
        os.close(descriptor)


def _say_what_next(folder: Path) -> None:
    bin_ = folder / CURRENT / "venv" / "bin" / "gradaudit"
    say(f"next:\n  {bin_} doctor        # what this machine still lacks")
    say("  systemctl try-restart gradaudit-serve.service gradaudit-receive.service   # still the other one")


def _code() -> Path:
    """The folder that this package was taken from."""
    return Path(__file__).resolve().parent.parent.parent


if __name__ == "__main__":
    raise SystemExit(main())
