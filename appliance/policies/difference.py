"""Two policies key by key: what changed, and which way."""

from __future__ import annotations

from typing import Any

from appliance.policies.views import Change, ChangedKey, PolicyDifference
from appliance.policy_file import LoadedPolicy
from appliance.policy_keys import KEYS, effect


def difference(first: LoadedPolicy, second: LoadedPolicy) -> PolicyDifference:
    """What `second` changes of `first`, in the order of the file."""
    rows = []
    for key, known in KEYS.items():
        old, new = first.value(key), second.value(key)
        if old != new:
            change, meant = _change(old, new), effect(key, old, new)
            rows.append(ChangedKey(key, change, shown(old), shown(new), meant, known.decides))
    texts = first.digest != second.digest
    return PolicyDifference(reference(first), reference(second), tuple(rows), texts and not rows)


def reference(loaded: LoadedPolicy) -> str:
    """NAME@VERSION."""
    return f"{loaded.policy.name}@{loaded.policy.version}"


def _change(old: Any, new: Any) -> Change:
    if not isinstance(old, tuple) or set(old) == set(new):
        return Change.CHANGED
    if set(old) < set(new):
        return Change.ADDED
    return Change.REMOVED if set(new) < set(old) else Change.CHANGED


def shown(value: Any) -> str:
    """A value as an officer reads it."""
    if isinstance(value, tuple):
        return ("; " if any("," in one for one in value) else ", ").join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
