"""install.sh with stand-ins for Python and pip: what it runs and refuses; and that the locks are complete."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
STAND_IN = """#!/usr/bin/env bash
echo "$*" >> "$(dirname "$0")/../calls"
if [[ "$*" == *"pip install"* && -n "${FAIL_PIP:-}" ]]; then echo "no matching wheel"; exit 1; fi
"""


class Checkout:
    """A copy of the installer's files with an environment whose programs only take notes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("install.sh", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
            shutil.copy(ROOT / name, folder / name)
        self.venv = folder / ".venv"
        (self.venv / "bin").mkdir(parents=True)
        (self.venv / "pyvenv.cfg").touch()
        self.site = self.venv / "lib" / "python3.11" / "site-packages"
        self.site.mkdir(parents=True)
        self.program("python", STAND_IN)
        self.program("pip", f"#!{self.venv}/bin/python\n")
        self.program("gradaudit", '#!/usr/bin/env bash\necho "{\\"arguments\\": \\"$*\\"}"\n')

    def program(self, name: str, text: str, folder: Path | None = None) -> None:
        """Write an executable."""
        path = (folder or self.venv / "bin") / name
        path.write_text(text)
        path.chmod(0o755)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the installer."""
        return subprocess.run(
            ["./install.sh", *arguments],
            cwd=self.folder,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def pip_calls(self) -> list[str]:
        """What pip was asked to install, since the last look."""
        notes = self.venv / "calls"
        calls = [line for line in notes.read_text().splitlines() if "pip install" in line]
        notes.write_text("")
        return calls


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh copy."""
    return Checkout(tmp_path)


def test_a_second_run_installs_nothing_and_a_changed_lock_does(checkout: Checkout) -> None:
    """The stamp holds until a lock changes."""
    first = checkout.run()
    assert first.returncode == 0, first.stderr
    calls = checkout.pip_calls()
    assert ["requirements.lock", "--editable"] == [
        next(word for word in ("requirements.lock", "--editable") if word in call) for call in calls
    ]
    assert checkout.run().returncode == 0
    assert [] == checkout.pip_calls()
    with (checkout.folder / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert checkout.run().returncode == 0
    assert 2 == len(checkout.pip_calls())


def test_without_an_argument_it_says_the_next_three_commands(checkout: Checkout) -> None:
    """Nothing on stdout, three commands on stderr."""
    done = checkout.run()
    assert "" == done.stdout
    assert ["install.sh demo", "gradaudit doctor", "gradaudit init"] == re.findall(
        r"(?:install\.sh|gradaudit) (?:demo|doctor|init)", done.stderr
    )


def test_the_demo_has_stdout_to_itself(checkout: Checkout) -> None:
    """`demo --json` prints what the demo prints and nothing else, also on the run that installs."""
    done = checkout.run("demo", "--json")
    assert '{"arguments": "demo --json"}\n' == done.stdout


@pytest.mark.parametrize(
    "form", [["--torch-index", "https://index.invalid/cu"], ["--torch-index=https://index.invalid/cu"]]
)
def test_a_given_index_serves_torch(form: list[str], checkout: Checkout) -> None:
    """The index is asked for the pinned torch alone, and offered beside pip's own for what torch needs."""
    assert checkout.run("install", *form).returncode == 0
    torch, rest, _ = checkout.pip_calls()
    assert "--index-url https://index.invalid/cu" in torch
    assert torch.endswith("torch==2.13.0")
    assert "--extra-index-url https://index.invalid/cu" in rest


def test_a_failing_pip_is_loud_and_leaves_no_stamp(checkout: Checkout) -> None:
    """pip's last words, one error, one hint; the next run tries again."""
    done = checkout.run(FAIL_PIP="1")
    assert done.returncode == 1
    assert "no matching wheel" in done.stderr
    assert re.search(r"^error: pip could not install the pinned packages\nhint: ", done.stderr, re.MULTILINE)
    assert not (checkout.venv / "installed-core").exists()
    assert checkout.run().returncode == 0


@pytest.mark.parametrize("name", ["medio", "torchvision"])
def test_a_foreign_package_is_refused_even_after_installation(name: str, checkout: Checkout) -> None:
    """The unrelated `medio`, or a torchvision, stops every later run too."""
    assert checkout.run().returncode == 0
    (checkout.site / f"{name}-0.4.1.dist-info").mkdir()
    done = checkout.run("demo")
    assert (1, "") == (done.returncode, done.stdout)
    assert f"error: the package '{name}' is installed" in done.stderr
    assert f"pip uninstall -y {name}" in done.stderr


def _only(folder: Path, checkout: Checkout, python: str) -> str:
    """A PATH whose only python3 is a stand-in."""
    folder.mkdir()
    for tool in ("bash", "dirname", "awk", "df", "realpath", "flock", "ls", "env", "nproc", "cat"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    if python:
        checkout.program("python3", python, folder)
    return str(folder)


OLD = "#!/usr/bin/env bash\nexit 1\n"
WITHOUT_VENV = '#!/usr/bin/env bash\n[[ "$2" != *ensurepip* ]]\n'
SOUND = "#!/usr/bin/env bash\nexit 0\n"


@pytest.mark.parametrize(
    ("python", "words"),
    [
        ("", "error: no Python 3.11 or newer was found\nhint: apt-get install"),
        (OLD, "error: no Python 3.11 or newer was found\nhint: "),
        (WITHOUT_VENV, "has no venv module\nhint: apt-get install python3-venv"),
    ],
    ids=["none", "old", "without venv"],
)
def test_an_unusable_python_is_one_line_and_a_hint(
    python: str, words: str, checkout: Checkout, tmp_path: Path
) -> None:
    """Missing, too old, or without venv: said apart."""
    shutil.rmtree(checkout.venv)
    done = checkout.run(PATH=_only(tmp_path / "path", checkout, python))
    assert done.returncode == 1
    assert words in done.stderr
    assert 2 == len(done.stderr.splitlines())
    assert not checkout.venv.exists()


def test_a_full_disk_is_said_before_anything_is_made(checkout: Checkout, tmp_path: Path) -> None:
    """Too little room: the folder is named and nothing is left behind."""
    shutil.rmtree(checkout.venv)
    path = Path(_only(tmp_path / "path", checkout, SOUND))
    (path / "df").unlink()
    checkout.program("df", "#!/usr/bin/env bash\nprintf 'head\\n/dev/x 9 9 99999 9%% /\\n'\n", path)
    done = checkout.run(PATH=str(path))
    assert done.returncode == 1
    assert f"error: only 97 MiB are free under {checkout.folder}\nhint: " in done.stderr
    assert not checkout.venv.exists()


def test_a_folder_that_is_no_environment_is_left_alone(checkout: Checkout) -> None:
    """Somebody's folder named .venv is not cleared."""
    shutil.rmtree(checkout.venv)
    checkout.venv.mkdir()
    (checkout.venv / "thesis.txt").write_text("years of work")
    done = checkout.run()
    assert done.returncode == 1
    assert "is not a virtual environment\nhint: " in done.stderr
    assert "years of work" == (checkout.venv / "thesis.txt").read_text()


def test_an_unknown_act_is_a_usage_error(checkout: Checkout) -> None:
    """Exit code 2 and the usage, nothing installed."""
    done = checkout.run("everything")
    assert done.returncode == 2
    assert "usage: ./install.sh" in done.stderr
    assert not (checkout.venv / "calls").exists()


@pytest.mark.parametrize("script", ["install.sh", ".ci/run"])
def test_the_scripts_are_clean(script: str) -> None:
    """shellcheck has nothing to say."""
    checker = shutil.which("shellcheck")
    if checker is None:
        pytest.skip("not shown: needs shellcheck")
    done = subprocess.run([checker, ROOT / script], capture_output=True, text=True, check=False)
    assert "" == done.stdout


def _pins(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9._-]+==[a-z0-9.]+", line) for line in lines), (
        "name==version, nothing else"
    )
    return dict(line.split("==") for line in lines)


def _closure(requirements: list[str]) -> set[str]:
    """Every distribution the given requirements lead to on Python 3.11 to 3.13, by installed metadata."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in found:
            continue
        found.add(key)
        for line in importlib.metadata.requires(requirement.name) or []:
            child = Requirement(line)
            wanted = child.marker is None or any(
                child.marker.evaluate(
                    {"python_version": version, "python_full_version": f"{version}.0", "extra": extra}
                )
                for version in ("3.11", "3.12", "3.13")
                for extra in (requirement.extras or {""})
            )
            if wanted and not child.name.startswith(("nvidia-", "triton", "cuda-")):
                waiting.append(child)
    return {name for name, _ in found}


def test_the_locks_pin_everything_and_nothing_else() -> None:
    """Each requirement with all it pulls in has one pin; no pin is without a reason."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    core = project["project"]["dependencies"] + [
        need for name, needs in extras.items() if name != "dev" for need in needs
    ]
    wanted = _closure(core + project["build-system"]["requires"])
    assert wanted == set(_pins("requirements.lock"))
    assert _closure(extras["dev"]) - wanted == set(_pins("requirements-dev.lock"))


def test_what_is_installed_is_what_is_locked() -> None:
    """The suite runs on the pinned versions; torch may carry its build's suffix."""
    pins = _pins("requirements.lock") | _pins("requirements-dev.lock")
    assert pins == {name: importlib.metadata.version(name).partition("+")[0] for name in pins}


def test_what_must_stay_out_is_not_locked() -> None:
    """No torchvision and its company, no graphics libraries: a CUDA build of torch brings its own."""
    names = set(_pins("requirements.lock"))
    assert set() == {name for name in names if name.startswith(("nvidia", "triton", "cuda"))}
    assert set() == names & {"torchvision", "timm", "open-clip-torch", "pylibjpeg-libjpeg"}
