"""Configuration, room on the disk and health, as they are told."""

from __future__ import annotations

from typing import Final

MESSAGES: Final[dict[str, str | tuple[str, str]]] = {
    "config.sound": (
        "the file may be used; it sets {number} key",
        "the file may be used; it sets {number} keys",
    ),
    "room.free": "{free} GiB are free for the workspace; the site keeps {kept} GiB free",
    "room.short": "only {free} GiB are free for the workspace, and the site keeps {kept} GiB free",
    "room.hint": "make room there; disk.minimum_free_gib and disk.minimum_free_percent set what is kept",
    "room.need": "nothing is taken in: {told}",
    # what `gradaudit health` says
    "health.unset": "not looked at: the configuration cannot be used",
    "health.unreadable": "it cannot be read: {why}",
    "health.fault": "the look did not come to its end",
    "health.configuration.wrong": "it cannot be used: `gradaudit config show` says why",
    "health.configuration": ("{number} key is set", "{number} keys are set"),
    "health.workspace": "it is there",
    "health.workspace.none": "there is none",
    "health.log": (
        "{number} entry, and the checkpoint is signed by {words}",
        "{number} entries, and the checkpoint is signed by {words}",
    ),
    "health.log.broken": "not as signed: {problem}",
    "health.schedule": "the last one was {ago} ago",
    "health.schedule.failed": "the last one, {ago} ago, could not be carried out",
    "health.schedule.open": "one, begun {ago} ago, is not over: `gradaudit schedule run` goes on with it",
    "health.schedule.none": "none among the last entries of the log",
    "health.findings": (
        "{number} batch waits for an officer's key",
        "{number} batches wait for an officer's key",
    ),
    "health.findings.damaged": ("{number} batch was set aside", "{number} batches were set aside"),
    "health.keys": ("changed {number} day ago", "changed {number} days ago"),
    "health.keys.open": "other accounts may open the keyring",
    "health.receiver": ("{number} file waits to be taken in", "{number} files wait to be taken in"),
    "health.receiver.refused": (
        "{number} file could not be taken in",
        "{number} files could not be taken in",
    ),
    "health.receiver.late": (
        "{number} file waits to be taken in, the first for {ago}",
        "{number} files wait to be taken in, the first for {ago}",
    ),
    "health.receiver.none": "there is none",
    "health.receiver.address": "its address cannot be read: nothing more is received",
    "health.receiver.full": "there is no more room for it: nothing more is received",
    "health.receiver.nearly": "it holds nearly as much as its file lets it",
    "health.listening": "it listens",
    "health.listening.never": "the configuration names one that has never run",
    "health.listening.stopped": "it was stopped {ago} ago",
    "health.listening.silent": "its process is there and has said nothing for {ago}",
    "health.listening.ended": "it has ended without being stopped; it was there {ago} ago",
    "health.certificates": ("the first one ends in {number} day", "the first one ends in {number} days"),
    "health.certificates.over": "one has ended",
    "health.certificates.early": "one does not hold yet",
    "health.certificates.none": "none is named",
    "health.certificates.unreadable": "they cannot be read",
}
