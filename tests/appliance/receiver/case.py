"""A receiver for tests: certificates made here, a spool, the process itself, and people who send to it."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from appliance.receiver import spool
from appliance.receiver.sealing import Address, unsealed
from appliance.receiver.spool import Received, Spool
from appliance.workspace.keys import SecretKey

ROOT = Path(__file__).resolve().parents[3]
VAULT = SecretKey(bytes(range(32)))
WORKSPACE_ID = bytes(range(16))
PATIENCE_S = 60


@dataclass(frozen=True)
class Identity:
    """Somebody with a certificate."""

    certificate: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the certificate."""
        pem = self.certificate.read_text()
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


@dataclass
class Authority:
    """Makes certificates."""

    folder: Path
    name: str = "site"
    _key: ec.EllipticCurvePrivateKey = field(init=False)
    _own: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._own = self._signed(self.name, self._key, None)
        self.certificate.write_bytes(self._own.public_bytes(Encoding.PEM))

    @property
    def certificate(self) -> Path:
        """Its own certificate."""
        return self.folder / f"{self.name}-ca.pem"

    def issue(self, name: str) -> Identity:
        """A certificate with its key, for a server or a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = Identity(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        made.certificate.write_bytes(self._signed(name, key, self._own).public_bytes(Encoding.PEM))
        made.key.touch(mode=0o600)
        made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return made

    def _signed(
        self, name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if issuer is None else issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        )
        return builder.sign(self._key, SHA256())


class Site:
    """A folder with an authority, a receiver's certificate, one peer that may send, and a spool.

    Args:
        folder: empty.
        vault: whose spool it is; of no workspace when left out.
        root: of the spool.
    """

    def __init__(self, folder: Path, root: Path | None = None, **limits: int) -> None:
        self.folder = folder
        self.authority = Authority(folder / "pki")
        self.own, self.peer = self.authority.issue("receiver"), self.authority.issue("pacs")
        self.other = self.authority.issue("ward")  # of the same authority, and in no file
        self.root = root or folder / "spool"
        if root is None:
            spool.create(self.root, Address.of_vault(VAULT, WORKSPACE_ID))
        self.file = folder / "receiver.toml"
        self.write(**limits)

    def write(self, **limits: int) -> None:
        """The receiver's file with these limits."""
        given = "".join(f"{name} = {value}\n" for name, value in ({"complete_s": 1} | limits).items())
        self.file.write_text(f'''
[receiver]
certificate = "pki/receiver.pem"
key = "pki/receiver.key"
authorities = "pki/site-ca.pem"
[dicom]
listen = "127.0.0.1:0"
ae_title = "GRADAUDIT"
[hl7]
listen = "127.0.0.1:0"
[limits]
{given}
[[peer]]
name = "pacs"
ae_title = "PACS"
hl7 = true
certificate_sha256 = "{self.peer.fingerprint}"
''')

    def files(self) -> list[Received]:
        """All that was acknowledged."""
        box = Spool(self.root)
        return [one for name in (spool.ARRIVING, spool.READY, spool.QUARANTINE) for one in box.listed(name)]

    def contents(self) -> list[bytes]:
        """The same, opened."""
        return [opened(one.path) for one in self.files()]

    def context(self, who: Identity | None, **changes: object) -> ssl.SSLContext:
        """TLS as a client sees it."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.check_hostname = False
        if who is not None:
            context.load_cert_chain(who.certificate, who.key)
        for name, value in changes.items():
            setattr(context, name, value)
        return context


def opened(path: Path) -> bytes:
    """What a sealed file holds, for whoever has the key."""
    with path.open("rb") as file:
        found = unsealed(file.fileno(), VAULT, WORKSPACE_ID, path.name)
        return found.read(0, found.size)


class Running:
    """The receiver's own process."""

    def __init__(self, site: Site, prefix: tuple[str, ...] = ()) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "appliance.cli", "receive", "run", str(site.file),
             "--spool", str(site.root)],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stderr is not None
        self.dicom = self.hl7 = 0
        self.said = ""
        while not (self.dicom and self.hl7):
            line = self._process.stderr.readline()
            assert line, self.said
            self.said += line
            if found := re.search(r"(DICOM|HL7) on port ([0-9]+)", line):
                setattr(self, found[1].lower(), int(found[2]))

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def resident(self, which: str = "VmRSS") -> int:
        """Bytes of memory it holds, or held at most since the last `settle`."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        (kilobytes,) = re.findall(rf"{which}:\s+([0-9]+) kB", text)
        return int(kilobytes) << 10

    def settle(self) -> int:
        """From now on the most is counted anew; bytes it holds now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.resident()

    def kill(self) -> None:
        """At once."""
        self._process.kill()
        self._process.wait()

    def end(self) -> str:
        """SIGTERM; what it said."""
        self._process.send_signal(signal.SIGTERM)
        _, said = self._process.communicate(timeout=PATIENCE_S)
        self.said += said
        assert self._process.returncode == 0, self.said
        return self.said

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Sender:
    """A PACS as a process of its own."""

    def __init__(self, site: Site, port: int, **asked: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.appliance.receiver.sender"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        who = {"certificate": str(site.peer.certificate), "key": str(site.peer.key)}
        titles = {"authority": str(site.authority.certificate), "titles": ["PACS", "GRADAUDIT"]}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(who | titles | {"port": port, "size": 20_000} | asked))
        self._process.stdin.close()

    def answers(self) -> Iterator[tuple[str, int]]:
        """Instance and status, as soon as they are there."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "uid" in said:
                yield said["uid"], said["status"]
        self._process.wait(PATIENCE_S)
