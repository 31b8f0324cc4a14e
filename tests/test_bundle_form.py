"""A bundle's form: no byte is free, no name leads out, and what it says of itself follows from its files."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.evidence.verify_evidence import times_base
from appliance.site import bundle, bundling, machine, offline, sbom
from appliance.site.bundle import Bundle, Manifest, Member, Refused, Tampered
from tests.small_bundle import Made, signed_anew, small_bundle, wheels

FLIPS = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One bundle, its key, and the folder in front of it."""
    folder = tmp_path_factory.mktemp("bundle")
    key = Ed25519PrivateKey.generate()
    path = small_bundle(folder, wheels(folder / "wheels"), "1.0", key)
    subprocess.run(["tar", "-xf", path, "start"], cwd=folder, check=True)
    with Bundle(path) as found:
        return Made(folder, {"1.0": path}, key, found.words)


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
    how: str, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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


def test_no_byte_is_free(made: Made, tmp_path: Path) -> None:
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
def test_no_name_leads_out_even_where_it_is_signed(name: str, made: Made, tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    "tags",
    [
        "cp3{later}-cp3{later}",
        "cp3{later}-abi3",
        "cp3{earlier}-cp3{earlier}",
        "cp27-none",
        "cp3{own}-cp3{own}t",
    ],
)
def test_a_wheel_for_another_python_makes_no_bundle(tags: str) -> None:
    """Also one that pip would refuse only where nobody can fetch another."""
    own = sys.version_info.minor
    name = f"a-1-{tags.format(own=own, later=own + 1, earlier=own - 1)}-any.whl"
    with pytest.raises(Refused, match=re.escape(name)):
        bundling.oldest_glibc([name])


def test_what_is_installed_here_could_be_in_a_bundle() -> None:
    """The tags of every wheel that this environment was made of are for this Python."""
    told = [one.read_text("WHEEL") or "" for one in importlib.metadata.distributions()]
    tags = {
        tuple(tag.split("-")[:2]) for text in told for tag in re.findall("^Tag: (.+)$", text, re.MULTILINE)
    }
    assert {abi for _, abi in tags} >= {"none", "abi3", f"cp3{sys.version_info.minor}"}
    for python, abi in tags - {("py2", "none")}:
        assert bundling.oldest_glibc([f"a-1-{python}-{abi}-any.whl"]) == "2.17"


def test_nothing_is_built_and_an_index_for_torch_is_asked_for_torch_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What builds runs code of a package; a second index could answer for any name."""
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "")

    monkeypatch.setattr(subprocess, "run", run)
    (tmp_path / "lock").write_text("other==1\ntorch==2.0.0\n")
    bundling.fetched(tmp_path / "lock", tmp_path / "wheels", "https://torch.invalid")
    assert all(":all:" == command[command.index("--only-binary") + 1] for command in asked)
    alone, rest = asked
    assert ["--index-url", "https://torch.invalid", "--no-deps", "torch==2.0.0"] == alone[-4:]
    assert not any("index" in part for part in rest)


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


def test_the_list_of_ingredients_names_each_wheel(made: Made) -> None:
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


def test_the_list_of_ingredients_is_cyclonedx(made: Made) -> None:
    """By the schema of version 1.6, strictly."""
    schemas = pytest.importorskip("cyclonedx.schema", reason="not shown: needs cyclonedx-python-lib")
    from cyclonedx.validation.json import JsonStrictValidator

    data = made.bundles["1.0"].read_bytes()
    content = data[_member(data, b"sbom.cdx.json")][512:].rstrip(b"\0").decode()
    validator = JsonStrictValidator(schemas.SchemaVersion.V1_6)
    assert validator.validate_str(content) is None
    assert validator.validate_str(content.replace('"SHA-256"', '"SHA-0"')) is not None


def test_what_checks_a_bundle_needs_nothing_but_python(made: Made) -> None:
    """The folder in front of a bundle starts with an interpreter that sees no other package."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import appliance.site.offline"
    command = [sys.executable, "-I", "-S", "-c", code, made.folder / "start"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "" == done.stderr
