"""What arrives from the network."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "receiver.dicom": "listening for DICOM on port {port}; SIGTERM ends it",
    "receiver.hl7": "listening for HL7 on port {port}; SIGTERM ends it",
    "receiver.refused": ("{number} connection or object refused: {reasons}", "{number} refused: {reasons}"),
    "receiver.address": "the receiver's spool is ready: {folder}",
    "receiver.next": "next: write its file (docs/receiver.md), then `gradaudit receive check FILE`",
    "receiver.ours": "this receiver: {title}, certificate {fingerprint}",
    "receiver.peer": "may send: {name}, {what}, certificate {fingerprint}",
    "receiver.taken": ("{number} received file taken in", "{number} received files taken in"),
    "receiver.aside": ("{number} stays in the quarantine", "{number} stay in the quarantine"),
    "receiver.again": ("{number} will be tried again", "{number} will be tried again"),
    "receiver.need.late": (
        "{number} received study waits and nobody takes it in: does `gradaudit serve` run?",
        "{number} received studies wait and nobody takes them in: does `gradaudit serve` run?",
    ),
    "receiver.need.aside": (
        "{number} received file could not be taken in: `gradaudit quarantine ls` says why",
        "{number} received files could not be taken in: `gradaudit quarantine ls` says why",
    ),
    "receiver.need.spool": "what is received: {told}",
    "receiver.need.listening": "nothing is received from the network: the receiver does not run; {told}",
    "receiver.need.certificates": "the receiver's certificates: {told}",
    "receiver.nothing": "nothing has been received that is complete",
}
