"""What a vendor asks of a site's policy, merged into it: taken where no audit ends better for its model then.

Nothing but checked values goes from the vendor's file into the site's text: no name, no version, no words.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import Any, Final

from appliance import policy_file
from appliance.errors import PolicyError, UsageError
from appliance.policies.difference import difference, reference, shown
from appliance.policies.views import TightenedPolicy
from appliance.policy_file import LoadedPolicy
from appliance.policy_keys import KEYS, Effect, effect

_TITLE: Final = ("name", "version")  # of the vendor's file; the result has its own


def tightened(base: LoadedPolicy, vendor: bytes, file: str) -> TightenedPolicy:
    """The site's policy with what a vendor's file asks for.

    Args:
        base: the site's; its text must have every key.
        vendor: bytes of the vendor's file: TOML with any of the keys.
        file: its name, for errors.

    Raises:
        PolicyError: an unknown key; a value without meaning, or one that is looser, of no direction, or could
            let an audit end better for the vendor's model; a text that cannot be rewritten.
        UsageError: nothing in it is stricter.
    """
    policy_file.parse(base.text)
    asked = policy_file.partial(vendor, file)
    wanted = {key: value for key, value in asked.items() if key not in _TITLE and value != base.value(key)}
    for key, value in wanted.items():
        _check(key, base, value, f"{file}, line {policy_file.line_of(vendor.decode(), key)}")
    if not wanted:
        raise UsageError(
            f"{file} asks for nothing that {reference(base)} does not ask for", "there is nothing to tighten"
        )
    made = _written(base, wanted, "vendor-" + sha256(base.text + b"\0" + vendor).hexdigest()[:8])
    return TightenedPolicy(
        reference(base),
        reference(made),
        made.text.decode("utf-8"),
        made.digest,
        tuple(row for row in difference(base, made).keys if row.key not in _TITLE),
    )


def _check(key: str, base: LoadedPolicy, value: Any, where: str) -> None:
    meant = effect(key, base.value(key), value)
    values = f"{key} is {shown(base.value(key))} in {reference(base)} and {shown(value)} here"
    if meant is not Effect.STRICTER:
        way = "looser" if meant is Effect.LOOSER else "neither stricter nor looser"
        raise PolicyError(f"{where}: {values}, which is {way}", "a vendor's file can only tighten")
    if not KEYS[key].vendor:
        raise PolicyError(
            f"{where}: {values}, and an audit could end better for the vendor's model by it",
            "such a key is the site's alone: docs/policy-keys.md, from a vendor",
        )


def _written(base: LoadedPolicy, wanted: dict[str, Any], version: str) -> LoadedPolicy:
    """The same text with other values on the same lines, a version of its own, and a line that says so."""
    lines = base.text.decode("utf-8").splitlines()
    for key, value in {**wanted, "version": version}.items():
        number = policy_file.line_of("\n".join(lines), key)
        name = re.escape(key.rpartition(".")[2])
        told = json.dumps(list(value) if isinstance(value, tuple) else value)
        place = rf'^(\s*{name}\s*=\s*)("[^"]*"|\[[^\]]*\]|[^\s#]+)'
        held = re.match(place, lines[number - 1])
        if held:
            lines[number - 1] = held[1] + told + lines[number - 1][held.end() :]
    text = f"# {reference(base)}, tightened by a vendor's file.\n" + "\n".join(lines) + "\n"
    made = policy_file.parse(text.encode("utf-8"))
    same = {**{key: base.value(key) for key in KEYS}, **wanted, "version": version}
    if any(made.value(key) != value for key, value in same.items()):
        raise PolicyError(
            f"{reference(base)} cannot be rewritten", "write each key of it on a line of its own"
        )
    return made
