"""What is said where a secret is missing, unsafe or another one's: what would help, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance import lockout
from appliance.api import Appliance
from appliance.errors import Locked, UsageError
from appliance.workspace.workspace import Workspace
from tests.appliance import members_site as case
from tests.appliance.test_users_commands import Site

SECRET = "GRADAUDIT_PASSPHRASE_FILE"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose workspace no test changes but by its log."""
    return Site(tmp_path_factory.mktemp("site"))


@pytest.mark.parametrize("command", (("users", "ls"), ("unlock",), ("findings", "ls", "A-0"), ("lock",)))
def test_where_there_is_no_workspace(made: Site, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Without a workspace no command asks to unlock one: it says that there is none, and how to make it."""
    done = made.run(*command, user="", GRADAUDIT_WORKSPACE=str(tmp_path / "none"))
    assert done.returncode == 21
    assert "there is no workspace at" in done.stderr and "gradaudit init" in done.stderr
    assert "unlock" not in done.stderr


def test_init_without_a_terminal(made: Site, tmp_path: Path) -> None:
    """`init` says how to give the passphrase to be, and nothing of locked or unlock."""
    done = made.run("init", user="", GRADAUDIT_WORKSPACE=str(tmp_path / "new"))
    assert done.returncode == 21
    assert "--passphrase-fd" in done.stderr and SECRET in done.stderr
    assert "lock" not in done.stderr.replace("blocked", "") and not (tmp_path / "new").exists()


def test_a_locked_workspace_says_so(made: Site) -> None:
    """What works with what `unlock` keeps says to unlock, and how else to give the passphrase."""
    done = made.run("users", "ls", user="")
    assert "the workspace is locked" in done.stderr
    assert all(way in done.stderr for way in ("gradaudit unlock", "--passphrase-fd", SECRET))


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize(
    "command",
    (("findings", "reveals"), ("users", "rm", "auditor"), ("users", "rotate"), ("users", "passphrase")),
)
def test_an_unlocked_workspace_is_not_called_locked(made: Site, command: tuple[str, ...]) -> None:
    """What takes a typed passphrase says that, and how to give it: `unlock` would not help."""
    with Workspace.open(made.root, made.secrets["officer"], "officer") as opened:
        opened.keep_unlocked()
    done = made.run(*command, user="")
    assert done.returncode == 21
    assert "takes a passphrase typed for it" in done.stderr and "is locked" not in done.stderr
    assert "--passphrase-fd" in done.stderr and SECRET in done.stderr
    assert made.run("users", "ls", user="").returncode == 0  # control: it is open


@pytest.mark.parametrize("mode", (0o644, 0o640, 0o604, 0o660))
def test_a_passphrase_that_others_may_read(made: Site, tmp_path: Path, mode: int) -> None:
    """A file of the passphrase that other accounts may open is refused; one's own is taken."""
    file = tmp_path / "secret"
    file.write_text(made.secrets["officer"] + "\n")
    file.chmod(mode)
    done = made.run("--user", "officer", "users", "ls", user="", **{SECRET: str(file)})
    assert done.returncode == 21 and "other accounts" in done.stderr and f"chmod 600 {file}" in done.stderr
    file.chmod(0o600)
    assert made.run("--user", "officer", "users", "ls", user="", **{SECRET: str(file)}).returncode == 0


def test_a_pipe_is_nobody_elses(made: Site) -> None:
    """What the shell hands over as a path to a pipe has no mode to look at."""
    reading, writing = os.pipe()
    os.write(writing, (made.secrets["officer"] + "\n").encode())
    os.close(writing)
    from appliance.config import passphrase_given

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(SECRET, f"/dev/fd/{reading}")
        assert passphrase_given() == made.secrets["officer"]
    os.close(reading)


def test_the_second_person(tmp_path: Path) -> None:
    """Who cannot be the second one is told so by role; a wrong secret says whose it is not."""
    root = tmp_path / "workspace"
    secrets = case.build(root)
    with case.opened(root, "officer", secrets) as opened:
        opened.set_quorum(2)
        for name in ("operator", "auditor", "scanner"):
            with pytest.raises(UsageError, match=f"{name} is an? .*, and does not open findings") as raised:
                opened.join(name, secrets[name])
            assert "officer" in raised.value.hint and "paper" in raised.value.hint
        for name, whose in (("second", "second"), ("nobody", "a user of that name")):
            with pytest.raises(Locked, match=f"not the secret of {whose}"):
                opened.join(name, "words of somebody else")
        opened.join("second", secrets["second"])
        opened.add_user("third", "officer", "words of a third officer")


@pytest.mark.parametrize(
    ("name", "paper", "helps"),
    [
        ("officer", True, "gradaudit recover"),
        ("officer", False, "another officer"),
        ("operator", True, "an officer"),
        ("auditor", False, "an officer"),
        ("nobody", True, "Check the name"),
    ],
)
def test_a_lockout_says_what_helps(tmp_path: Path, name: str, paper: bool, helps: str) -> None:
    """Words on paper are named where there are some, and to whom they help."""
    root = tmp_path / "workspace"
    secrets = case.build(root)
    if not paper:
        with case.opened(root, "officer", secrets) as opened:
            opened.remove_user("paper")
    for _ in range(lockout.FREE_ATTEMPTS):
        with pytest.raises(Locked, match="does not open"):
            Appliance.unlock(root, "wrong words", name)
    with pytest.raises(Locked, match="too many wrong") as raised:
        Appliance.unlock(root, "wrong words", name)
    assert helps in raised.value.hint
    assert ("recover" in raised.value.hint) is (helps == "gradaudit recover")
