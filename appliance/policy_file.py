"""Policy files: TOML in, a checked `Policy` and the digest of its exact bytes out."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance.errors import PolicyError, UsageError
from appliance.isolation import LAYERS
from appliance.policies.governance import Governance
from audit_core.errors import PolicyInvalid
from audit_core.policy import PUBLISHED_DETECTOR, PUBLISHED_MASKS, Policy

PUBLISHED_NAME = ", as published"
SPIKE_IN_NAME = ", with a spike-in"
FOLDER = Path(__file__).resolve().parent.parent / "policies"
_COMPARE = "compare with policies/default.toml"
_TOP = ("name", "version")
# section -> key in the file -> field of Policy
_SECTIONS: Mapping[str, Mapping[str, str]] = {
    "decision": {
        key: key
        for key in ("deciding_detector", "exposure_limit", "alpha_fail", "alpha_review", "q", "must_detect")
    },
    "minimum": {key: f"minimum_{key}" for key in ("members", "fitting", "calibration", "targets", "bank")},
    "controls": {
        key: key for key in ("max_unscored_share", "control_alpha", "permutations", "spike_in_epochs")
    },
    "method": {
        key: key
        for key in (
            "mask",
            "tau",
            "layers",
            "batch_size",
            "precision",
            "max_text_tokens",
            "bootstrap",
            "simulations",
            "seed",
            "as_published",
        )
    },
    "isolation": {"required": "required_isolation"},
    "report": {"small_sample_note": "small_sample_note"},
}
FIELDS: Mapping[str, str] = {
    **{key: key for key in _TOP},
    **{f"{section}.{key}": name for section, keys in _SECTIONS.items() for key, name in keys.items()},
}
"""Key with its table -> field of `Policy`, in the order of the file."""
_KINDS: Mapping[str, type | tuple[type, ...]] = {"float": (float, int), "int": int, "str": str, "bool": bool}


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


def shipped() -> tuple[str, ...]:
    """Names of the shipped policies."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


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
    return parse(text)


def parse(text: bytes) -> LoadedPolicy:
    """A policy from the bytes of its file.

    Raises:
        PolicyError: as `load`; it names the line where the key stands.
    """
    try:
        return _parsed(text)
    except _WrongKey as wrong:
        line = _line_of(text.decode("utf-8"), wrong.key)
        raise PolicyError(f"line {line}: {wrong}" if line else str(wrong), wrong.hint) from wrong


class _WrongKey(PolicyError):
    """A key that cannot be used, or that is none.

    Attributes:
        key: with its table.
    """

    def __init__(self, key: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.key = key


def _parsed(text: bytes) -> LoadedPolicy:
    try:
        document = tomllib.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as broken:  # also numbers and depths that TOML allows
        raise PolicyError(
            f"the policy is not TOML: {broken}", "compare with policies/default.toml"
        ) from broken
    values = _flatten(document)
    try:
        policy = Policy(**values)
    except PolicyInvalid as invalid:
        raise _WrongKey(_key_in(str(invalid)), str(invalid), invalid.hint) from invalid
    return LoadedPolicy(policy, text, hashlib.sha256(text).hexdigest())


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
    changed = parse(text.encode("utf-8"))
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


def _line_of(text: str, key: str) -> int:
    """Number of the line on which a key gets its value, or a table begins, from 1; 0 where none does."""
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if heading := re.match(r"\s*\[\s*([A-Za-z0-9_-]+)\s*\]", line):
            table, here = f"{heading[1]}.", heading[1]
        elif given := re.match(r"\s*([A-Za-z0-9_-]+)\s*=", line):
            here = table + given[1]
        else:
            continue
        if here == key:
            return number
    return 0


def _flatten(document: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    _refuse_unknown(document, (*_TOP, *_SECTIONS), "")
    for key in _TOP:
        values[key] = _checked(document, key, key, "")
    for section, keys in _SECTIONS.items():
        table = document.get(section)
        if not isinstance(table, Mapping):
            raise PolicyError(f"the policy has no section [{section}]", "copy it from policies/default.toml")
        _refuse_unknown(table, tuple(keys), f"{section}.")
        for key, name in keys.items():
            values[name] = _checked(table, key, name, f"{section}.")
    return values


def _refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], prefix: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {prefix}{near[0]}?" if near else "known here: " + ", ".join(known)
            raise _WrongKey(prefix + key, f"the policy has an unknown key {prefix}{key}", hint)


def _checked(table: Mapping[str, Any], key: str, name: str, prefix: str) -> Any:
    if key not in table:
        raise PolicyError(
            f"the policy lacks {prefix}{key}", "every key is needed; copy it from policies/default.toml"
        )
    value = table[key]
    if name == "required_isolation":
        return _layers(value)
    kind = _KINDS[str(Policy.__dataclass_fields__[name].type)]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _WrongKey(prefix + key, f"{prefix}{key} has the wrong kind of value", _COMPARE)
    return value


def _layers(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or any(layer not in LAYERS for layer in value):
        key = "isolation.required"
        raise _WrongKey(key, f"{key} names an unknown layer", "known: " + ", ".join(LAYERS))
    return tuple(value)
