"""What a site sets: strictly read, said with where it is from, and obeyed."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import config
from appliance.errors import NotNow, UsageError
from appliance.site import settings as site
from appliance.site.room import GIB, expect_room, room
from appliance.site.settings import KEYS, Setting, settings

ROOT = Path(__file__).resolve().parents[2]


def _file(folder: Path, text: str | bytes) -> Path:
    path = folder / "site.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o644)
    return path


def _environ(path: Path, **more: str) -> dict[str, str]:
    return {"GRADAUDIT_CONFIG": str(path), **more}


def test_the_first_that_says_something_counts(tmp_path: Path) -> None:
    """Option, environment, file, default; each value with its place."""
    file = _file(
        tmp_path, 'workspace = "/from/file"\n\n[disk]\nminimum_free_gib = 7\n[health]\nsilent_hours = 2\n'
    )
    found = settings(_environ(file, GRADAUDIT_DISK_MINIMUM_FREE_GIB="9"), {"workspace": "/from/option"})
    assert Setting("workspace", "/from/option", "option", "--workspace") == found["workspace"]
    assert Setting("health.silent_hours", 2, "file", f"{file}:6") == found["health.silent_hours"]
    variable = "GRADAUDIT_DISK_MINIMUM_FREE_GIB"
    assert Setting("disk.minimum_free_gib", 9, "environment", variable) == found["disk.minimum_free_gib"]
    assert Setting("plain", False) == found["plain"]
    assert list(KEYS) == list(found)


def test_keys_may_be_dotted(tmp_path: Path) -> None:
    """TOML's other spelling has its line too."""
    file = _file(tmp_path, "# a comment\ndisk.minimum_free_gib = 3\n")
    assert (
        Setting("disk.minimum_free_gib", 3, "file", f"{file}:2") == site.read(file)["disk.minimum_free_gib"]
    )


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("workspac = '/w'", ":1", "there is no key 'workspac'"),
        ("[disk]\nminimum_free_gb = 1", ":2", "there is no key 'disk.minimum_free_gb'"),
        ("[disks]\nminimum_free_gib = 1", ":2", "there is no key 'disks.minimum_free_gib'"),
        ("[disk]\nminimum_free_gib = '1'", ":2", "a whole number from 0 to 1000000, not '1'"),
        ("[disk]\nminimum_free_gib = true", ":2", "a whole number from 0 to 1000000, not True"),
        ("[disk]\nminimum_free_gib = -1", ":2", "a whole number from 0 to 1000000, not -1"),
        ("[disk]\nminimum_free_percent = 91", ":2", "a whole number from 0 to 90, not 91"),
        ("[disk]\nminimum_free_gib = 1.0", ":2", "a whole number from 0 to 1000000, not 1.0"),
        ("disk = 1", ":1", "there is no key 'disk'"),
        ("[workspace]\nfolder = '/w'", ":2", "there is no key 'workspace.folder'"),
        ("workspace = 'relative'", ":1", "an absolute path, not 'relative'"),
        ("workspace = ''", ":1", "a path, not ''"),
        ("workspace = '/w\\u001b[31m'".replace("'", '"'), ":1", "a path, not '/w\\x1b[31m'"),
        ("user = 'mallory'", ":1", "belongs to whoever runs a command"),
        ("passphrase_file = '/p'", ":1", "belongs to whoever runs a command"),
        ("workspace = ", "", "is no TOML: "),
        ("workspace = '/a'\nworkspace = '/b'", "", "is no TOML: "),
        ("[disk.more]\nkey = 1", "", "there is no key 'disk.more'"),
        (
            "'disk.minimum_free_gib' = 5\n[disk]\nminimum_free_gib = 9".replace("'", '"'),
            "",
            "disk.minimum_free_gib stands twice",
        ),
    ],
)
def test_what_a_file_may_not_hold_is_an_error_with_its_line(
    text: str, line: str, said: str, tmp_path: Path
) -> None:
    """Nothing is passed over: a limit that is spelt wrongly would not hold."""
    file = _file(tmp_path, text)
    with pytest.raises(UsageError) as refused:
        settings(_environ(file))
    assert str(refused.value).startswith(f"{file}{line}")
    assert said in str(refused.value)
    assert refused.value.hint
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("GRADAUDIT_WORKSPCE", "/w", "there is no setting GRADAUDIT_WORKSPCE"),
        ("GRADAUDIT_PASSPHRASE", "secret-words", "there is no setting GRADAUDIT_PASSPHRASE"),
        ("GRADAUDIT_DISK_MINIMUM_FREE_GIB", "1.5", "a whole number from 0 to 1000000, not '1.5'"),
        ("GRADAUDIT_DISK_MINIMUM_FREE_GIB", "-1", "a whole number from 0 to 1000000, not '-1'"),
        ("GRADAUDIT_HEALTH_SILENT_HOURS", "0", "a whole number from 1 to 8760, not '0'"),
        ("GRADAUDIT_PLAIN", "perhaps", "true or false, not 'perhaps'"),
        ("GRADAUDIT_USER", "a\nb", "a text on one line, not 'a\\nb'"),
    ],
)
def test_the_environment_is_read_as_strictly(variable: str, value: str, said: str) -> None:
    """A variable of our name that means nothing is said; its value is not, where it may be a secret."""
    with pytest.raises(UsageError) as refused:
        settings({"GRADAUDIT_CONFIG": "", variable: value})
    assert said in str(refused.value)
    assert "secret-words" not in str(refused.value) + refused.value.hint


def test_a_variable_that_is_nearly_right_is_told() -> None:
    """The hint names the one that was meant."""
    with pytest.raises(UsageError) as refused:
        settings({"GRADAUDIT_CONFIG": "", "GRADAUDIT_WORKSPCE": "/w"})
    assert "did you mean GRADAUDIT_WORKSPACE?" in refused.value.hint


@pytest.mark.parametrize("mode", [0o666, 0o646, 0o664])
def test_a_file_that_others_may_write_is_refused(mode: int, tmp_path: Path) -> None:
    """Whoever can write it decides where patients' data go."""
    file = _file(tmp_path, "workspace = '/w'")
    assert "/w" == settings(_environ(file))["workspace"].value
    file.chmod(mode)
    with pytest.raises(UsageError, match="other accounts may write to"):
        settings(_environ(file))


def test_a_file_in_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    """It could be exchanged; not where the sticky bit keeps others from that."""
    file = _file(tmp_path, "workspace = '/w'")
    for mode in (0o777, 0o770):
        tmp_path.chmod(mode)
        with pytest.raises(UsageError, match="other accounts may write to"):
            settings(_environ(file))
    tmp_path.chmod(0o1777)
    assert "/w" == settings(_environ(file))["workspace"].value


@pytest.mark.skipif(os.geteuid() != 0, reason="not shown: needs root")
def test_a_file_of_another_account_is_refused(tmp_path: Path) -> None:
    """Only root's and one's own count."""
    file = _file(tmp_path, "workspace = '/w'")
    os.chown(file, 1234, -1)
    with pytest.raises(UsageError, match="belongs to another account"):
        settings(_environ(file))
    os.chown(file, 0, -1)
    os.chown(tmp_path, 1234, -1)
    with pytest.raises(UsageError, match="or its folder belongs to another account"):
        settings(_environ(file))


def test_a_pipe_in_the_place_of_the_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    """It is none, whether or not somebody will ever write to it."""
    os.mkfifo(tmp_path / "site.toml", 0o600)
    command = [sys.executable, "-m", "appliance.cli", "config", "check", tmp_path / "site.toml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "is no configuration" in done.stderr


def test_an_option_that_is_empty_is_not_the_working_folder(tmp_path: Path) -> None:
    """As a script gives it whose own variable is not set."""
    done = _gradaudit("--workspace", "", "config", "show")
    assert 2 == done.returncode
    assert "error: the option names no folder\nhint: " in done.stderr
    shown = _gradaudit("--workspace", str(tmp_path), "config", "show", "--json").stdout
    assert str(tmp_path) == json.loads(shown.splitlines()[0])["value"]


@pytest.mark.parametrize("content", [b"\xff", b"#" * (1 << 16) + b"\n"], ids=["no text", "too long"])
def test_a_file_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    """Neither guessed at nor read without an end."""
    with pytest.raises(UsageError):
        settings(_environ(_file(tmp_path, content)))


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    """The usual one need not; a folder is none."""
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            settings(_environ(path))
    assert {"default"} == {one.origin for one in settings({"GRADAUDIT_CONFIG": ""}).values()}


def test_the_usual_file_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word from anybody."""
    monkeypatch.setattr(site, "FILE", str(tmp_path / "site.toml"))
    assert site.site_file({}) is None
    file = _file(tmp_path, "workspace = '/w'")
    assert file == site.site_file({})


def test_the_workspace_follows_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands, screens and services ask `workspace_root`."""
    monkeypatch.setenv("GRADAUDIT_CONFIG", str(_file(tmp_path, "workspace = '/srv/w'")))
    assert Path("/srv/w") == config.workspace_root()
    monkeypatch.setenv("GRADAUDIT_WORKSPACE", str(tmp_path))
    assert tmp_path == config.workspace_root()
    assert Path("/other") == config.workspace_root(Path("/other"))


def test_nobody_else_reads_our_variables() -> None:
    """One table: every GRADAUDIT_ name in the code is in it, and the other way round."""
    known = {site.FILE_VARIABLE, *site.OTHERS, *(key.variable for key in KEYS.values())}
    named: set[str] = set()
    for path in [*(ROOT / "appliance").rglob("*.py"), *(ROOT / "tui").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named |= set(re.findall(r"GRADAUDIT_[A-Z_]*[A-Z]", node.value))
    not_settings = {"GRADAUDIT_PASSPHRASE", "GRADAUDIT_DEMO", "GRADAUDIT_TEST", "GRADAUDIT_GUARD"}
    assert named - not_settings <= known
    assert known <= named


def test_the_page_says_what_the_table_says() -> None:
    """docs/configuration.md has one row a key, in the order of the table, with the same words."""
    page = (ROOT / "docs" / "configuration.md").read_text()
    rows = re.findall(
        r"^\| `([a-z_.]+)` \| `(GRADAUDIT_\w+)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \| (\w+) \|$", page, re.M
    )
    plain = {True: "true", False: "false", "": "–"}
    assert rows == [
        (
            name,
            key.variable,
            str(key.form),
            plain[key.default] if isinstance(key.default, bool) or key.default == "" else f"`{key.default}`",
            key.decides,
            f"`{key.option}`" if key.option else "–",
            "environment" if key.personal else "both",
        )
        for name, key in KEYS.items()
    ]
    assert all(variable in page for variable in (site.FILE_VARIABLE, *site.OTHERS, site.FILE))


def _gradaudit(*given: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "appliance.cli", *given]
    return subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check=False)


def test_the_commands_show_and_check(tmp_path: Path) -> None:
    """`config show --origin --json` has one object a key; `config check` refuses what any command would."""
    file = _file(tmp_path, "[disk]\nminimum_free_gib = 4\n")
    done = _gradaudit("--config", str(file), "config", "show", "--origin", "--json", GRADAUDIT_USER="mia")
    rows = {row["key"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert (4, "file", f"{file}:2") == tuple(
        rows["disk.minimum_free_gib"][key] for key in ("value", "origin", "place")
    )
    assert ("mia", "environment") == (rows["user"]["value"], rows["user"]["origin"])
    assert list(KEYS) == list(rows)
    assert 0 == _gradaudit("config", "check", str(file)).returncode
    _file(tmp_path, "[disk]\nminimum_free = 4\n")
    for given in (("config", "check", str(file)), ("--config", str(file), "config", "show")):
        done = _gradaudit(*given)
        assert 2 == done.returncode
        assert f"error: {file}:2: there is no key 'disk.minimum_free'\nhint: did you mean" in done.stderr


def test_what_is_kept_free_is_the_larger_of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GiB for small disks, a share for large ones; 0 asks for nothing."""
    monkeypatch.setenv("GRADAUDIT_DISK_MINIMUM_FREE_GIB", "0")
    assert 0 == room(tmp_path).kept
    assert not room(tmp_path).short and not room(tmp_path).tight
    monkeypatch.setenv("GRADAUDIT_DISK_MINIMUM_FREE_PERCENT", "90")
    whole = room(tmp_path).whole
    assert whole * 90 // 100 == room(tmp_path).kept
    monkeypatch.setenv("GRADAUDIT_DISK_MINIMUM_FREE_GIB", "1000000")
    assert 1_000_000 * GIB == room(tmp_path / "not" / "there").kept
    with pytest.raises(NotNow, match=r"the site keeps 1000000\.0 GiB free"):
        expect_room(tmp_path)
