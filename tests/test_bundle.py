"""The bundle for a machine without a network: checked first, then installed beside what is used."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from network_calls import network_calls, watching

from appliance.site import bundle, machine, offline
from appliance.site.bundle import Bundle, Manifest
from tests.small_bundle import Made, digest_of, signed_anew, small_bundle, wheels

ASKS = """import socket
def main(given):
    try:
        socket.socket()
    except OSError as refused:
        print(refused)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Made once: 1.0 installed from its own `start` folder, in a network namespace without interfaces."""
    folder = tmp_path_factory.mktemp("bundle")
    key, packed = Ed25519PrivateKey.generate(), wheels(folder / "wheels")
    bundles = {}
    with pytest.MonkeyPatch.context() as patch:
        for number, version in enumerate(("1.0", "2.0", "3.0")):
            patch.setenv("SOURCE_DATE_EPOCH", str(1_800_000_000 + number))
            bundles[version] = small_bundle(folder, packed, version, key, starts=version != "3.0")
    with Bundle(bundles["1.0"]) as found:
        words = found.words
    subprocess.run(["tar", "-xf", bundles["1.0"], "start"], cwd=folder, check=True)
    command = [
        folder / "start" / "install.sh",
        "offline",
        bundles["1.0"],
        "--key",
        words,
        "--into",
        folder / "site",
    ]
    calls = None
    if shutil.which("strace") and shutil.which("unshare"):
        command = ["unshare", "--map-root-user", "--net", *watching(folder / "calls"), *command]
    environment = os.environ | {"GRADAUDIT_PYTHON": sys.executable}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if "strace" in command:
        calls = network_calls(folder / "calls")
    yield Made(folder, bundles, key, words, calls)


@pytest.fixture
def site(made: Made, tmp_path: Path) -> Made:
    """The same with the installed folder to oneself."""
    shutil.copytree(made.folder / "site", tmp_path / "site", symlinks=True)
    return made._replace(folder=tmp_path)


def _offline(site: Made, file: Path, *more: str) -> int:
    return offline.main(["offline", str(file), "--into", str(site.folder / "site"), *more])


def _in_use(site: Made) -> str:
    program = site.folder / "site" / "current" / "venv" / "bin" / "gradaudit"
    return subprocess.run([program], capture_output=True, text=True, check=False).stdout.strip()


# --- with no network ----------------------------------------------------------------------------------------


def test_an_installation_makes_no_network_call(made: Made) -> None:
    """In a namespace without interfaces, and not one call for a socket of a network."""
    if made.calls is None:
        pytest.skip("not shown: needs strace and unshare")
    assert [] == made.calls


@pytest.mark.parametrize(
    "family, seen", [("AF_INET", True), ("AF_INET6", True), ("AF_NETLINK", True), ("AF_UNIX", False)]
)
def test_the_look_for_network_calls_can_fail(family: str, seen: bool, tmp_path: Path) -> None:
    """A process that asks for a socket of a network is seen; the machine's own sockets are none."""
    if not shutil.which("strace"):
        pytest.skip("not shown: needs strace")
    code = f"""import _socket
here = _socket.socket(_socket.{family}, _socket.SOCK_DGRAM)
here.setblocking(False)
try:
    here.recv(1)
except OSError:
    here.close()"""
    calls = tmp_path / "calls"
    subprocess.run([*watching(calls), sys.executable, "-I", "-c", code], check=True)
    assert "recvfrom(" in calls.read_text(), "the control: strace saw it"
    assert [family in call or "recvfrom" in call for call in network_calls(calls)] == [True, True] * seen


def test_pip_has_no_socket(tmp_path: Path) -> None:
    """What runs pip cannot open one, whatever an option says."""
    (tmp_path / "pip" / "_internal" / "cli").mkdir(parents=True)
    for folder in ("pip", "pip/_internal", "pip/_internal/cli"):
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "pip" / "_internal" / "cli" / "main.py").write_text(ASKS)
    script = Path(bundle.__file__).with_name("quiet_pip.py")
    done = subprocess.run(
        [sys.executable, "-I", script, tmp_path], capture_output=True, text=True, check=True
    )
    assert "an installation without a network opens no socket\n" == done.stdout


# --- versions beside each other -----------------------------------------------------------------------------


def test_upgrade_and_rollback_move_a_link(site: Made) -> None:
    """The second version needs no words: the key is kept; going back is a link, and forward again too.

    What an earlier attempt left half made is no version: neither way takes it for one. A workspace beside it
    is as it was.
    """
    (site.folder / "workspace").mkdir()
    (site.folder / "workspace" / "keyring.json").write_text("keys")
    kept = digest_of(site.folder / "workspace")
    assert "version 1.0 here" == _in_use(site)
    with Bundle(site.bundles["2.0"]) as found:
        half = site.folder / "site" / "versions" / found.identity
    half.mkdir()
    (half / "venv").write_text("half")
    (site.folder / "site" / "previous").symlink_to(f"versions/{half.name}")
    assert 1 == offline.main(["rollback", "--into", str(site.folder / "site")])
    assert "version 1.0 here" == _in_use(site)
    assert 0 == _offline(site, site.bundles["2.0"])
    assert "version 2.0 here" == _in_use(site)
    back = ["rollback", "--into", str(site.folder / "site")]
    assert 0 == offline.main(back)
    assert "version 1.0 here" == _in_use(site)
    assert 0 == offline.main(back)
    assert "version 2.0 here" == _in_use(site)
    assert kept == digest_of(site.folder / "workspace")
    names = {path.name for path in (site.folder / "site").iterdir()}
    assert {"bundle.key", "current", "previous", "versions"} == names


def test_a_version_that_does_not_start_is_not_switched_to(
    site: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is as it was, to the byte."""
    before = digest_of(site.folder / "site")
    assert 1 == _offline(site, site.bundles["3.0"])
    assert "error: the look at what was installed could not be installed" in capsys.readouterr().err
    assert before == digest_of(site.folder / "site")
    assert "version 1.0 here" == _in_use(site)


def test_a_version_that_is_here_is_compared_with_a_bundle_that_is_checked(
    site: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tampered bundle is refused also then; what is no longer as signed is made anew, beside."""
    assert 0 == _offline(site, site.bundles["1.0"])
    first = (site.folder / "site" / "current").resolve()
    data = bytearray(site.bundles["1.0"].read_bytes())
    data[-5000] ^= 1
    for content in (bytes(data), bytes(data[:-4096])):
        (tmp_path / "tampered").write_bytes(content)
        assert 20 == _offline(site, tmp_path / "tampered")
    assert "wheels/small-1.0" in capsys.readouterr().err
    (first / "source" / "standin.py").write_text("def main():\n    print('other')\n")
    assert 0 == _offline(site, site.bundles["1.0"])
    assert "standin.py; it is made once more" in capsys.readouterr().err
    second = (site.folder / "site" / "current").resolve()
    assert f"{first.name}-1" == second.name
    assert "version 1.0 here" == _in_use(site)
    assert first == (site.folder / "site" / "previous").resolve()
    (first / "source" / "more.py").touch()
    assert 0 == _offline(site, site.bundles["1.0"])
    assert second == (site.folder / "site" / "current").resolve()


class Cut(BaseException):
    """The power goes."""


@pytest.mark.parametrize("act", ["rollback", "upgrade"])
def test_a_switch_that_is_cut_off_loses_no_way(
    act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every step on the disk: something is in use, and the next rollback comes to the other version."""
    for step in range(20):
        folder, left = tmp_path / str(step), [step]
        for name in "abc":
            (folder / "versions" / name).mkdir(parents=True)
            (folder / "versions" / name / "complete").touch()
        (folder / "current").symlink_to("versions/b")
        (folder / "previous").symlink_to("versions/a")

        def counted(name: str, left: list[int] = left) -> Callable[..., object]:
            real = getattr(Path, name)

            def act_of(*given: object, **more: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    raise Cut
                return real(*given, **more)

            return act_of

        with monkeypatch.context() as patch:
            for name in ("replace", "symlink_to", "unlink"):
                patch.setattr(Path, name, counted(name))
            try:
                if act == "rollback":
                    offline.roll_back(folder)
                else:
                    offline._switch(folder, folder / "versions" / "c")
                ended = True
            except Cut:
                ended = False
        used = (folder / "current").resolve().name
        assert used in ("ab" if act == "rollback" else "bc")
        offline.roll_back(folder)
        other = {"a": "b", "b": "a", "c": "b"}[used]
        assert (other, used) == tuple((folder / link).resolve().name for link in ("current", "previous"))
        if ended:
            break
    assert ended and step > 3


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "import time; time.sleep(60)", "print('none')"])
def test_layers_that_cannot_be_tried_refuse(
    code: str, monkeypatch: pytest.MonkeyPatch, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and a hint, whatever the trial does."""
    monkeypatch.setattr(machine, "_LAYERS", code)
    monkeypatch.setattr(machine, "_TIMEOUT_S", 0.5)
    asked = ["offline", str(made.bundles["1.0"]), "--key", made.words, "--into", str(tmp_path), "--check"]
    assert 1 == offline.main(asked)
    assert "error: the kernel's layers of isolation could not be tried: " in capsys.readouterr().err


def test_without_a_version_before_there_is_no_way_back(
    site: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and a hint."""
    assert 1 == offline.main(["rollback", "--into", str(site.folder / "site")])
    assert "error: there is no version before this one\nhint: " in capsys.readouterr().err


def test_an_older_bundle_is_taken_only_when_asked_for(
    site: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An old version with known holes, rightly signed, is what somebody would bring."""
    old = signed_anew(
        site.bundles["2.0"],
        tmp_path / "old",
        site.key,
        lambda told: dataclasses.replace(told, made="2020-01-01T00:00:00Z"),
    )
    assert 1 == _offline(site, old)
    assert "before the one in use" in capsys.readouterr().err
    assert 0 == _offline(site, old, "--older", "--check")


def test_a_bundle_serves_units_by_the_link(site: Made) -> None:
    """`install.sh service` of an installed version names `current`, so units follow an upgrade."""
    command = [
        "site/current/source/install.sh",
        "service",
        "--print",
        "--user",
        "gradaudit",
    ]
    shutil.copytree(
        Path(bundle.__file__).parent.parent / "units", site.folder / "site/current/source/appliance/units"
    )
    elsewhere = site.folder / "elsewhere"  # whoever calls goes there by CDPATH
    (elsewhere / "site/current/source").mkdir(parents=True)
    done = subprocess.run(
        [*command, "--workspace", "/srv/w", "--credential", "/etc/c.cred"],
        cwd=site.folder,
        env=os.environ | {"GRADAUDIT_HIDDEN": "", "CDPATH": str(elsewhere)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"ExecStart={site.folder}/site/current/venv/bin/gradaudit " in done.stdout


@pytest.mark.parametrize("act", ["install", "test", "bundle"])
def test_an_installed_version_is_not_set_up_again(act: str, site: Made) -> None:
    """Nothing makes a virtual environment over the one that came in a bundle."""
    before = digest_of(site.folder / "site")
    script = site.folder / "site" / "current" / "source" / "install.sh"
    done = subprocess.run([script, act], capture_output=True, text=True, check=False)
    assert 1 == done.returncode
    assert "error: this version came in a bundle" in done.stderr
    assert before == digest_of(site.folder / "site")


# --- whose bundle -------------------------------------------------------------------------------------------


def test_the_first_bundle_needs_the_words(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise anybody's bundle would be taken; they are not told, since the file may be anybody's."""
    assert 1 == offline.main(["offline", str(made.bundles["1.0"]), "--into", str(tmp_path)])
    said = capsys.readouterr().err
    assert "error: nothing here says whose bundles to take" in said
    assert made.words not in said


def test_another_key_is_refused_whatever_is_kept(
    site: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signed soundly by somebody else: refused by the kept key and by the words."""
    other = signed_anew(site.bundles["2.0"], tmp_path / "other", Ed25519PrivateKey.generate())
    for more in ([], ["--key", site.words]):
        assert 1 == _offline(site, other, *more)
        assert "signed by another key" in capsys.readouterr().err
    assert "version 1.0 here" == _in_use(site)


# --- another machine ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ({"python": "3.99"}, f"the bundle needs Python 3.99, found {machine.python_here()}"),
        ({"machine": "riscv64"}, "the bundle is for Linux on riscv64; this is"),
        ({"glibc": "9.1"}, "the bundle needs glibc 9.1 or newer, found"),
        ({"room": 1 << 52}, "the installation takes 4194304.0 GiB"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_machine_it_is_not_for_is_told_what_it_lacks(
    needs: dict[str, object], said: str, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written."""

    def change(told: Manifest) -> Manifest:
        return dataclasses.replace(told, needs=dataclasses.replace(told.needs, **needs))  # type: ignore[arg-type]

    file = signed_anew(made.bundles["1.0"], tmp_path / "bundle", made.key, change)
    assert 1 == offline.main(["offline", str(file), "--key", made.words, "--into", str(tmp_path / "site")])
    assert f"error: {said}" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_the_python_of_the_bundle_goes_on_where_it_is_there(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started by a newer one, it is the one that wheels are for that installs, with the same words."""
    begun: list[tuple[str, list[str]]] = []

    def begin(path: str, given: list[str]) -> None:
        begun.append((path, given))

    with Bundle(made.bundles["1.0"]) as found:
        wanted = found.manifest.needs.python
    monkeypatch.setattr(machine, "python_here", lambda: "3.99")
    monkeypatch.setattr(os, "execv", begin)
    monkeypatch.setenv("GRADAUDIT_PYTHON", sys.executable)
    asked = ["offline", str(made.bundles["1.0"]), "--key", made.words, "--into", str(tmp_path / "site")]
    assert 1 == offline.main(asked)  # the stand-in for exec comes back
    assert f"{sys.version_info.major}.{sys.version_info.minor}" == wanted
    assert (sys.executable, [sys.executable, *sys.orig_argv[1:]]) == begun[0]


def test_two_do_not_install_at_once(site: Made, capsys: pytest.CaptureFixture[str]) -> None:
    """The second one is told, and nothing happens."""
    descriptor = os.open(site.folder / "site", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert 1 == _offline(site, site.bundles["2.0"])
    finally:
        os.close(descriptor)
    assert "error: somebody else installs into" in capsys.readouterr().err
    assert "version 1.0 here" == _in_use(site)


def test_a_kernel_without_seccomp_is_refused_and_one_without_landlock_warned_about(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no audit is safe without ends it; the rest is said."""
    asked = ["offline", str(made.bundles["1.0"]), "--key", made.words, "--into", str(tmp_path), "--check"]
    lacking = {"seccomp": "on", "network_namespace": "on", "landlock": "the kernel refused: no (errno 38)"}
    monkeypatch.setattr(machine, "layers", lambda _: lacking)
    assert 0 == offline.main(asked)
    assert (
        "warning: this kernel has no landlock: the kernel refused: no (errno 38)\n" in capsys.readouterr().err
    )
    monkeypatch.setattr(machine, "layers", lambda _: lacking | {"seccomp": "the kernel refused"})
    assert 1 == offline.main(asked)
    assert "error: this kernel has no seccomp: the kernel refused\nhint: " in capsys.readouterr().err
