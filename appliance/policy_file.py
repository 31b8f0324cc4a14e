"""Policy files: TOML in, a checked `Policy` and the digest of its exact bytes out."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from appliance.errors import PolicyError, UsageError
from appliance.policies.governance import Governance
from appliance.policy_keys import KEYS
from audit_core.errors import PolicyInvalid
from audit_core.policy import PUBLISHED_DETECTOR, PUBLISHED_MASKS, Policy
from audit_core.policy_values import Word, Words

PUBLISHED_NAME = ", as published"
SPIKE_IN_NAME = ", with a spike-in"
FOLDER = Path(__file__).resolve().parent.parent / "policies"
SHIPPED_VERSION = "shipped-"  # how versions of shipped texts begin, and no others of their names
_COMPARE = "compare with policies/default.toml"
FIELDS: Mapping[str, str] = {key: one.field for key, one in KEYS.items()}
"""Key with its table -> field of `Policy` or of `Governance`, in the order of the file."""
_OF_SITE = frozenset(one.name for one in fields(Governance))
_ADDED = frozenset(key for key, one in KEYS.items() if one.added)
_TABLES = tuple(dict.fromkeys(key.partition(".")[0] for key in KEYS if "." in key))


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy with the exact bytes it came from and their SHA-256 (hex).

    Attributes:
        governance: what it asks of the site.
        spike_in: a cohort without known members is audited with a spike-in (L4), whatever it was frozen as.
    """

    policy: Policy
    text: bytes
    digest: str
    governance: Governance = field(default_factory=Governance)
    spike_in: bool = False

    def value(self, key: str) -> Any:
        """The value of a key, with its table as in `KEYS`."""
        field = FIELDS[key]
        return getattr(self.governance if field in _OF_SITE else self.policy, field)


def shipped() -> tuple[str, ...]:
    """Names of the shipped policies."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def earlier() -> tuple[LoadedPolicy, ...]:
    """Texts that were shipped before, under versions of their own; audits ran under them."""
    return tuple(stored(path.read_bytes()) for path in sorted(FOLDER.glob("earlier/*.toml")))


def load(name_or_file: str) -> LoadedPolicy:
    """A shipped policy by name, or a file.

    Raises:
        PolicyError: not there, not TOML, an unknown or missing key, or a value without meaning.
    """
    path = FOLDER / f"{name_or_file}.toml" if name_or_file in shipped() else Path(name_or_file)
    try:
        text = path.read_bytes()
    except OSError as missing:
        raise PolicyError(
            f"no policy {name_or_file}", "shipped policies: " + ", ".join(shipped()) + "; or give a file"
        ) from missing
    return parse(text, str(path))


def parse(text: bytes, file: str = "") -> LoadedPolicy:
    """A policy from the bytes of a file that somebody hands in: every key is needed.

    Args:
        file: its name, for errors.

    Raises:
        PolicyError: as `load`; it names file and line where the key stands.
    """
    return _parsed(text, file, frozenset())


def stored(text: bytes) -> LoadedPolicy:
    """A policy from a text that was taken before, by an audit or an approval: its digest is in the log.

    Keys that have come since may be missing; the software decided then as their defaults say. For texts that
    somebody hands in there is `parse`.

    Raises:
        PolicyError: as `parse`, but for those keys.
    """
    return _parsed(text, "", _ADDED)


def partial(text: bytes, file: str) -> dict[str, Any]:
    """The keys that a file has, checked as those of a policy; any of them may be missing.

    Args:
        file: its name, for errors.

    Raises:
        PolicyError: as `parse`, but for missing keys.
    """
    return _given(text, file, frozenset(KEYS))


class _WrongKey(PolicyError):
    """A key that cannot be used, or that is none.

    Attributes:
        key: with its table.
        part: of its value, as it stands in the file; "" for the whole.
    """

    def __init__(self, key: str, message: str, hint: str = "", part: str = "") -> None:
        super().__init__(message, hint)
        self.key, self.part = key, part


@lru_cache(maxsize=64)  # every act that names a policy reads all that a site has
def _parsed(text: bytes, file: str, optional: frozenset[str]) -> LoadedPolicy:
    values = _given(text, file, optional)
    by_field = {FIELDS[key]: value for key, value in values.items()}
    site = {field: by_field.pop(field) for field in _OF_SITE & by_field.keys()}
    try:
        policy = Policy(**by_field)
    except PolicyInvalid as invalid:  # what two keys say together
        wrong = _WrongKey(_key_in(str(invalid)), str(invalid), invalid.hint)
        raise _placed(wrong, text.decode("utf-8"), file) from invalid
    return LoadedPolicy(policy, text, hashlib.sha256(text).hexdigest(), Governance(**site))


def _given(text: bytes, file: str, optional: frozenset[str]) -> dict[str, Any]:
    said = f"{file}: " if file else ""
    try:
        document = tomllib.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as broken:  # also numbers and depths that TOML allows
        raise PolicyError(f"{said}the policy is not TOML: {broken}", _COMPARE) from broken
    try:
        return _values(document, optional)
    except _WrongKey as wrong:
        raise _placed(wrong, text.decode("utf-8"), file) from wrong


def _placed(wrong: _WrongKey, text: str, file: str) -> PolicyError:
    line = line_of(text, wrong.key, wrong.part)
    where = ", ".join([file] * bool(file) + [f"line {line}"] * bool(line))
    return PolicyError(f"{where}: {wrong}" if where else str(wrong), wrong.hint)


def as_asked(loaded: LoadedPolicy, asked: Mapping[str, Any]) -> LoadedPolicy:
    """The policy as an audit was asked for it: as it stands, as published, with a spike-in.

    Raises:
        UsageError: a mask, and not as published.
        PolicyError: as `published` and `with_spike_in`.
    """
    mask = str(asked.get("mask", ""))
    if asked.get("as_published"):
        loaded = published(loaded, mask)
    elif mask:
        raise UsageError("--mask goes with --as-published", "the policy's method.mask holds for other audits")
    if asked.get("spike_in"):
        loaded = with_spike_in(loaded, int(asked.get("spike_in_epochs", 0)))
    return loaded


def published(loaded: LoadedPolicy, mask: str = "") -> LoadedPolicy:
    """The same policy, with GradAudit as its authors released it deciding. Its text and digest are its own.

    Args:
        loaded: the policy the site wrote.
        mask: one of the published rules; "" keeps the policy's where that was published, else τ alone.

    Raises:
        PolicyError: no such mask, or the file spreads its keys in a way that cannot be rewritten here.
    """
    mask = mask or (loaded.policy.mask if loaded.policy.mask in PUBLISHED_MASKS else PUBLISHED_MASKS[0])
    name = loaded.policy.name.removesuffix(PUBLISHED_NAME) + PUBLISHED_NAME
    wanted = {
        "name": name,
        "deciding_detector": PUBLISHED_DETECTOR,
        "mask": mask,
        "as_published": True,
    }
    return _changed(loaded, wanted, "as published")


def with_spike_in(loaded: LoadedPolicy, epochs: int) -> LoadedPolicy:
    """The same policy with a spike-in. Its text and digest are its own.

    Args:
        loaded: the policy the site wrote.
        epochs: of the copy's training; 0 keeps the policy's, or is one where the policy has none.

    Raises:
        PolicyError: a number below zero, or the file spreads its keys in a way that cannot be rewritten here.
    """
    name = loaded.policy.name.removesuffix(SPIKE_IN_NAME) + SPIKE_IN_NAME
    wanted = {"name": name, "spike_in_epochs": epochs or max(1, loaded.policy.spike_in_epochs)}
    return replace(_changed(loaded, wanted, "with a spike-in"), spike_in=True)


def _changed(loaded: LoadedPolicy, wanted: Mapping[str, Any], what: str) -> LoadedPolicy:
    text = loaded.text.decode("utf-8")
    for key, value in wanted.items():
        text = _rewritten(text, key, json.dumps(value))
    changed = stored(text.encode("utf-8"))
    if any(getattr(changed.policy, key) != value for key, value in wanted.items()):
        raise PolicyError(
            f"the policy file cannot be rewritten for an audit {what}",
            f"write {', '.join(wanted)} into it, each on a line of its own",
        )
    return changed


def _rewritten(text: str, key: str, value: str) -> str:
    """The file with another value on the first line that gives this key one; as it is where no line does."""
    line = re.compile(rf'^([ \t]*{key}[ \t]*=[ \t]*)("[^"\n]*"|true|false|-?[0-9]+)', re.MULTILINE)
    return line.sub(lambda found: found[1] + value, text, count=1)


def _key_in(message: str) -> str:
    """The first key that a message of `Policy` names; "" where it names none."""
    keys = {field: key for key, field in FIELDS.items()}
    return next((keys[word] for word in re.findall(r"[a-z_]+", message) if word in keys), "")


def line_of(text: str, key: str, part: str = "") -> int:
    """Number of the line on which a key gets its value, or a table begins, from 1; 0 where none does.

    Args:
        part: of the value; a list may go over several lines.
    """
    table, found = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if found:
            here = key
        elif heading := re.match(r"\s*\[\s*([A-Za-z0-9_-]+)\s*\]", line):
            table, here = f"{heading[1]}.", heading[1]
        elif assigned := re.match(r"\s*([A-Za-z0-9_.-]+)\s*=", line):
            here = table + assigned[1]
        else:
            continue
        if here == key:
            found = found or number
            if part in line:
                return number
    return found


def _values(document: Mapping[str, Any], optional: frozenset[str]) -> dict[str, Any]:
    """Key with its table -> checked value, of a parsed file, in the order of `KEYS`."""
    _check_names(document)
    values = {}
    for key in KEYS:
        table, _, name = key.rpartition(".")
        held = document.get(table, {}) if table else document
        if name in held:
            values[key] = _checked(key, held[name])
        elif key not in optional:
            what = key if not table or table in document else f"{key}, and the whole table [{table}]"
            hint = "every key is needed; copy it from policies/default.toml"
            raise _WrongKey(table, f"the policy lacks {what}", hint)
    return values


def _check_names(document: Mapping[str, Any]) -> None:
    """Refuse a key or a table that is none, naming the nearest that there is."""
    _refuse_unknown(document, "")
    for table in _TABLES:
        held = document.get(table, {})
        if not isinstance(held, Mapping):
            raise _WrongKey(
                table, f"{table} is no table of the policy", f"write [{table}] on a line of its own"
            )
        _refuse_unknown(held, f"{table}.")


def _refuse_unknown(held: Mapping[str, Any], table: str) -> None:
    known = [key.removeprefix(table) for key in KEYS if key.rpartition(".")[0] == table[:-1]]
    known += _TABLES if not table else ()
    for key in held:
        if key in known:
            continue
        elsewhere = [one for one in KEYS if one.rpartition(".")[2] == key]
        near = [table + one for one in difflib.get_close_matches(key, known, 1)] or elsewhere
        hint = f"did you mean {near[0]}?" if near else "known here: " + ", ".join(known)
        raise _WrongKey(table + key, f"the policy has an unknown key {table}{key}", hint)


def _checked(key: str, value: Any) -> Any:
    """A value that the key takes; a list as a tuple."""
    form = KEYS[key].form
    if form.takes(value):
        return tuple(value) if isinstance(value, list) else value
    if isinstance(form, Words) and isinstance(value, list):
        wrong = next(one for one in value if not form.takes([one]))
        part = wrong if isinstance(wrong, str) else ""
        raise _WrongKey(key, f"{key} names {_brief(wrong)}, which is unknown", _hint(form.words, wrong), part)
    hint = _hint(form.words, value) if isinstance(form, Word) else _COMPARE
    raise _WrongKey(key, f"{key} = {_brief(value)} is not {form}", hint)


def _hint(words: tuple[str, ...], value: Any) -> str:
    near = difflib.get_close_matches(str(value), words, 1) if isinstance(value, str) else []
    return f"did you mean {near[0]}?" if near else "known: " + "; ".join(words)


def _brief(value: Any) -> str:
    """A wrong value as the error shows it; it may be anything that TOML has."""
    try:
        return textwrap.shorten(repr(value), 60, placeholder="…")
    except (ValueError, RecursionError):  # a number of thousands of digits; a depth that tomllib still took
        return "what was given"
