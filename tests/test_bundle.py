"""The bundle for a machine without a network: checked first, then installed beside what is used."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.evidence.verify_evidence import times_base
from appliance.site import bundle, bundling, machine, offline, sbom
from appliance.site.bundle import Bundle, Manifest, Member, Refused, Tampered
from tests.small_bundle import digest_of, signed_anew, small_bundle, wheels

FLIPS = 60
CALLS = "socket,connect,bind,listen,accept,accept4,sendto,sendmsg,sendmmsg,recvfrom,recvmsg,recvmmsg"
ASKS = """import socket
def main(given):
    try:
        socket.socket()
    except OSError as refused:
        print(refused)
"""


class Site(NamedTuple):
    """Bundles of three versions, of which the third does not start, their key, and the first installed."""

    folder: Path
    bundles: dict[str, Path]
    key: Ed25519PrivateKey
    words: str
    calls: list[str] | None


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
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
        watched = ["strace", "-f", "-qq", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", folder / "calls"]
        command = ["unshare", "--map-root-user", "--net", *watched, *command]
    environment = os.environ | {"GRADAUDIT_PYTHON": sys.executable}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if "strace" in command:
        calls = (folder / "calls").read_text().splitlines()
    yield Site(folder, bundles, key, words, calls)


@pytest.fixture
def site(made: Site, tmp_path: Path) -> Site:
    """The same with the installed folder to oneself."""
    shutil.copytree(made.folder / "site", tmp_path / "site", symlinks=True)
    return made._replace(folder=tmp_path)


def _offline(site: Site, file: Path, *more: str) -> int:
    return offline.main(["offline", str(file), "--into", str(site.folder / "site"), *more])


def _in_use(site: Site) -> str:
    program = site.folder / "site" / "current" / "venv" / "bin" / "gradaudit"
    return subprocess.run([program], capture_output=True, text=True, check=False).stdout.strip()


# --- with no network ----------------------------------------------------------------------------------------


def test_an_installation_makes_no_network_call(made: Site) -> None:
    """In a namespace without interfaces, and not one call for a socket of a network."""
    if made.calls is None:
        pytest.skip("not shown: needs strace and unshare")
    assert [] == made.calls


def test_the_look_for_network_calls_can_fail(tmp_path: Path) -> None:
    """A process that asks for a socket is seen."""
    if not shutil.which("strace"):
        pytest.skip("not shown: needs strace")
    code = "import _socket; _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM).close()"
    command = [
        "strace",
        "-f",
        "-qq",
        "-e",
        f"trace={CALLS}",
        "-o",
        tmp_path / "calls",
        sys.executable,
        "-I",
        "-c",
        code,
    ]
    subprocess.run(command, check=True)
    assert "AF_INET" in (tmp_path / "calls").read_text()


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


def test_upgrade_and_rollback_move_a_link(site: Site) -> None:
    """The second version needs no words: the key is kept; going back is a link, and forward again too.

    What an earlier attempt left half made is no version: neither way takes it for one.
    """
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
    names = {path.name for path in (site.folder / "site").iterdir()}
    assert {"bundle.key", "current", "previous", "versions"} == names


def test_a_version_that_does_not_start_is_not_switched_to(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is as it was, to the byte."""
    before = digest_of(site.folder / "site")
    assert 1 == _offline(site, site.bundles["3.0"])
    assert "error: the look at what was installed could not be installed" in capsys.readouterr().err
    assert before == digest_of(site.folder / "site")
    assert "version 1.0 here" == _in_use(site)


def test_without_a_version_before_there_is_no_way_back(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and a hint."""
    assert 1 == offline.main(["rollback", "--into", str(site.folder / "site")])
    assert "error: there is no version before this one\nhint: " in capsys.readouterr().err


def test_an_older_bundle_is_taken_only_when_asked_for(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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


def test_a_bundle_serves_units_by_the_link(site: Site) -> None:
    """`install.sh service` of an installed version names `current`, so units follow an upgrade."""
    command = [
        site.folder / "site" / "current" / "source" / "install.sh",
        "service",
        "--print",
        "--user",
        "gradaudit",
    ]
    shutil.copytree(
        Path(bundle.__file__).parent.parent / "units", site.folder / "site/current/source/appliance/units"
    )
    done = subprocess.run(
        [*command, "--workspace", "/srv/w", "--credential", "/etc/c.cred"],
        env=os.environ | {"GRADAUDIT_HIDDEN": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"ExecStart={site.folder}/site/current/venv/bin/gradaudit " in done.stdout


@pytest.mark.parametrize("act", ["install", "test", "bundle"])
def test_an_installed_version_is_not_set_up_again(act: str, site: Site) -> None:
    """Nothing makes a virtual environment over the one that came in a bundle."""
    before = digest_of(site.folder / "site")
    script = site.folder / "site" / "current" / "source" / "install.sh"
    done = subprocess.run([script, act], capture_output=True, text=True, check=False)
    assert 1 == done.returncode
    assert "error: this version came in a bundle" in done.stderr
    assert before == digest_of(site.folder / "site")


# --- whose bundle -------------------------------------------------------------------------------------------


def test_the_first_bundle_needs_the_words(
    made: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise anybody's bundle would be taken; they are not told, since the file may be anybody's."""
    assert 1 == offline.main(["offline", str(made.bundles["1.0"]), "--into", str(tmp_path)])
    said = capsys.readouterr().err
    assert "error: nothing here says whose bundles to take" in said
    assert made.words not in said


def test_another_key_is_refused_whatever_is_kept(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signed soundly by somebody else: refused by the kept key and by the words."""
    other = signed_anew(site.bundles["2.0"], tmp_path / "other", Ed25519PrivateKey.generate())
    for more in ([], ["--key", site.words]):
        assert 1 == _offline(site, other, *more)
        assert "signed by another key" in capsys.readouterr().err
    assert "version 1.0 here" == _in_use(site)


# --- tampered -----------------------------------------------------------------------------------------------


def _member(data: bytes, name: bytes) -> slice:
    """Header and content of a member."""
    start = next(m.start() for m in re.finditer(re.escape(name) + rb"\0", data) if m.start() % 512 == 0)
    size = int(data[start + 124 : start + 135], 8)
    return slice(start, start + 512 + size + -size % 512)


def _flipped(name: bytes, offset: int) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        data[_member(bytes(data), name).start + offset] ^= 1

    return change


def _without(name: bytes) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        del data[_member(bytes(data), name)]

    return change


def _swapped(data: bytearray) -> None:
    one, other = _member(bytes(data), b"source/backend.py"), _member(bytes(data), b"source/standin.py")
    data[one.start : other.stop] = data[other] + data[one.stop : other.start] + data[one]


def _exchanged_key(data: bytearray) -> None:
    key = bundle.Key(bundle.KEY_NAME, times_base(7)).line()
    place = _member(bytes(data), b"bundle.key")
    data[place.start + 512 : place.start + 512 + len(key)] = key


def _added(data: bytearray) -> None:
    extra = bundle.header(Member("source/extra.py", 512, "", runs=False)) + b"#" * 512
    data[-len(bundle.END) : -len(bundle.END)] = extra


TAMPERED: dict[str, tuple[Callable[[bytearray], None], str]] = {
    "list": (_flipped(b"bundle.json", 700), "bundle.json"),
    "key": (_exchanged_key, "bundle.sig"),
    "signature": (_flipped(b"bundle.sig", 600), "bundle.sig"),
    "no signature": (_without(b"bundle.sig"), "bundle.sig: missing or damaged: the bundle is not signed"),
    "wheel": (_flipped(b"wheels/small-1.0-py3-none-any.whl", 560), "wheels/small-1.0-py3-none-any.whl"),
    "source": (_flipped(b"source/standin.py", 512), "source/standin.py"),
    "checker": (_flipped(b"start/appliance/site/offline.py", 3000), "start/appliance/site/offline.py"),
    "hashes": (_flipped(b"requirements.hashed", 520), "requirements.hashed"),
    "mode": (_flipped(b"source/standin.py", 106), "source/standin.py"),
    "padding": (_flipped(b"source/standin.py", 1023), "source/standin.py"),
    "removed": (_without(b"source/standin.py"), "source/standin.py"),
    "added": (_added, "the file goes on"),
    "swapped": (_swapped, "source/backend.py"),
    "cut off": (lambda data: data.__delitem__(slice(len(data) - 4096, None)), "wheels/small-1.0"),
    "appended": (lambda data: data.extend(b"\0"), "the file goes on"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_bundle_is_refused_and_the_place_named(
    how: str, made: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 20, the file's name, and nothing installed."""
    change, named = TAMPERED[how]
    data = bytearray(made.bundles["1.0"].read_bytes())
    change(data)
    (tmp_path / "bundle").write_bytes(data)
    asked = ["offline", str(tmp_path / "bundle"), "--key", made.words, "--into", str(tmp_path / "site")]
    assert 20 == offline.main(asked)
    assert named in capsys.readouterr().err
    assert [] == [path for path in (tmp_path / "site").rglob("*") if path.is_file()]


def test_no_byte_is_free(made: Site, tmp_path: Path) -> None:
    """One bit turned anywhere: refused."""
    data = made.bundles["1.0"].read_bytes()
    draw, copy = random.Random(10), tmp_path / "bundle"
    for place in sorted(draw.sample(range(len(data)), FLIPS)):
        turned = bytearray(data)
        turned[place] ^= 1 << draw.randrange(8)
        copy.write_bytes(turned)
        with pytest.raises(Refused), Bundle(copy) as found:
            found.unpack(None)


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", "a//b", "a/.", "..", "a\nb", ""])
def test_no_name_leads_out_even_where_it_is_signed(name: str, made: Site, tmp_path: Path) -> None:
    """A maker's key that was stolen writes nowhere else."""

    def change(told: Manifest) -> Manifest:
        return dataclasses.replace(
            told, files=(dataclasses.replace(told.files[0], name=name), *told.files[1:])
        )

    with pytest.raises(Tampered, match="a name no file may have"):
        Bundle(signed_anew(made.bundles["1.0"], tmp_path / "bundle", made.key, change))


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\0" * 4096, b"bundle.json" + bytes(501)])
def test_another_file_is_said_to_be_no_bundle(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told apart from a bundle somebody changed."""
    (tmp_path / "file").write_bytes(content)
    assert 1 == offline.main(["offline", str(tmp_path / "file"), "--into", str(tmp_path)])
    assert "error: this is no bundle, or its beginning is damaged\nhint: " in capsys.readouterr().err


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
    needs: dict[str, object], said: str, made: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written."""

    def change(told: Manifest) -> Manifest:
        return dataclasses.replace(told, needs=dataclasses.replace(told.needs, **needs))  # type: ignore[arg-type]

    file = signed_anew(made.bundles["1.0"], tmp_path / "bundle", made.key, change)
    assert 1 == offline.main(["offline", str(file), "--key", made.words, "--into", str(tmp_path / "site")])
    assert f"error: {said}" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_the_python_of_the_bundle_goes_on_where_it_is_there(
    made: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_two_do_not_install_at_once(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
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
    made: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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


# --- making -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "oldest"),
    [
        (["a-1-py3-none-any.whl"], "2.17"),
        (
            ["a-1-cp311-cp311-manylinux2014_M.manylinux_2_17_M.whl", "b-1-cp311-abi3-manylinux_2_34_M.whl"],
            "2.34",
        ),
        (["a-1-cp311-cp311-manylinux_2_27_M.manylinux_2_28_M.whl"], "2.27"),
        (["a-1-cp36-abi3-manylinux2010_M.manylinux_2_12_M.whl"], "2.17"),
        (["a-1-cp311-cp311-linux_M.whl"], machine.glibc()),
    ],
)
def test_the_oldest_glibc_follows_from_the_tags(names: list[str], oldest: str) -> None:
    """Of one wheel the most modest tag, of all wheels the most demanding."""
    assert oldest == bundling.oldest_glibc([name.replace("M.", f"{os.uname().machine}.") for name in names])


@pytest.mark.parametrize(
    "name", ["a-1-cp311-cp311-macosx_11_0_arm64.whl", "a-1-cp311-cp311-manylinux_2_17_vax.whl"]
)
def test_a_wheel_for_another_machine_makes_no_bundle(name: str) -> None:
    """Named while the maker can still do something about it."""
    with pytest.raises(Refused, match=re.escape(name)):
        bundling.oldest_glibc([name])


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    """Made closed; refused where others may open it, or where it is none."""
    path = tmp_path / "keys" / "bundle.pem"
    bundling.signing_key(path)
    assert 0o600 == path.stat().st_mode & 0o777
    path.chmod(0o640)
    with pytest.raises(Refused, match="other accounts"):
        bundling.signing_key(path)
    path.write_text("no key")
    path.chmod(0o600)
    with pytest.raises(Refused, match="no private key"):
        bundling.signing_key(path)


def test_the_list_of_ingredients_names_each_wheel(made: Site) -> None:
    """Name, version and digest of what is in the bundle, nothing else."""
    packed = sorted((made.folder / "wheels").glob("*.whl"))
    told = sbom.ingredients(
        "1.0", "", "2026-01-01T00:00:00Z", [(bundle.measured(p.name, p), p) for p in packed]
    )
    with Bundle(made.bundles["1.0"]) as found:
        digests = {member.sha256 for member in found.manifest.files if member.name.startswith("wheels/")}
    assert digests == {part["hashes"][0]["content"] for part in told["components"]}
    assert ["pip", "small"] == [part["name"] for part in told["components"]]
    assert {part["bom-ref"] for part in told["components"]} == set(told["dependencies"][0]["dependsOn"])


def test_the_list_of_ingredients_is_cyclonedx(made: Site) -> None:
    """By the schema of version 1.6, strictly."""
    schemas = pytest.importorskip("cyclonedx.schema", reason="not shown: needs cyclonedx-python-lib")
    from cyclonedx.validation.json import JsonStrictValidator

    data = made.bundles["1.0"].read_bytes()
    content = data[_member(data, b"sbom.cdx.json")][512:].rstrip(b"\0").decode()
    validator = JsonStrictValidator(schemas.SchemaVersion.V1_6)
    assert validator.validate_str(content) is None
    assert validator.validate_str(content.replace('"SHA-256"', '"SHA-0"')) is not None


def test_what_checks_a_bundle_needs_nothing_but_python(made: Site) -> None:
    """The folder in front of a bundle starts with an interpreter that sees no other package."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import appliance.site.offline"
    command = [sys.executable, "-I", "-S", "-c", code, made.folder / "start"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "" == done.stderr
