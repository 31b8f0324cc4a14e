"""A look at a receiver's file before it is used."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

from appliance.errors import UsageError
from appliance.receiver.settings import Listen, read
from appliance.receiver.views import CheckView, PeerView


def checked(path: Path) -> CheckView:
    """The file, its certificate's fingerprint, and who may send.

    Raises:
        UsageError: it cannot be used.
    """
    settings = read(path)
    settings.context()
    peers = (
        PeerView(
            peer.name,
            " and ".join(
                [*([f"DICOM as {peer.ae_title}"] if peer.ae_title else []), *(["HL7"] if peer.hl7 else [])]
            ),
            peer.fingerprint,
        )
        for peer in settings.peers.values()
    )
    own = fingerprint(settings.certificate)
    return CheckView(settings.ae_title, _said(settings.dicom), _said(settings.hl7), own, tuple(peers))


def fingerprint(certificate: Path) -> str:
    """Hex SHA-256 of the first certificate of a PEM file.

    Raises:
        UsageError: it holds none.
    """
    try:
        text = certificate.read_text(encoding="ascii")
        begin, end = text.index("-----BEGIN CERTIFICATE-----"), text.index("-----END CERTIFICATE-----")
        der = ssl.PEM_cert_to_DER_cert(text[begin:end] + "-----END CERTIFICATE-----")
    except (OSError, ValueError):
        raise UsageError("the file holds no certificate in PEM", "See docs/receiver.md.") from None
    return hashlib.sha256(der).hexdigest()


def _said(listen: Listen | None) -> str:
    return "" if listen is None else f"{listen.host}:{listen.port}"
