"""What policies in force ask of the site itself, and what is refused where it is not met."""

from __future__ import annotations

from appliance.errors import PolicyError, UsageError
from appliance.policies.governance import SHORTEST_LOG
from appliance.policies.shelf import Shelf, Version
from appliance.policy_file import LoadedPolicy


def check_quorum(loaded: LoadedPolicy, here: int) -> None:
    """Make sure that findings open with as many together as a policy asks for.

    Args:
        here: how many officers or paper keys open findings together.

    Raises:
        PolicyError: with fewer.
    """
    if loaded.governance.quorum > here:
        raise PolicyError(
            f"policy {loaded.policy.name} asks for a quorum of {loaded.governance.quorum}, and here findings "
            f"open with {here}",
            "change it by `gradaudit users quorum 2`, or take a policy with approval.quorum = 1",
        )


def approved_before(shelf: Shelf, name: str) -> tuple[Version, ...]:
    """What is in force as `name` by an approval of the site; nothing where only a shipped text is."""
    standing = shelf.in_force(name)
    return (standing,) if standing is not None and standing.approvals else ()


def log_years(shelf: Shelf) -> int:
    """For how many years the log is kept: the longest that a policy in force asks for.

    Raises:
        PolicyError: a text in force cannot be read; nothing is thrown away by a rule that nobody knows.
    """
    standing = (shelf.in_force(name) for name in {one.name for one in shelf.versions})
    return max((one.loaded.governance.log_years for one in standing if one), default=SHORTEST_LOG)


def kept_years(shelf: Shelf, given: int) -> int:
    """Retention by which the log is pruned: as given, 0 for what the policies in force ask for.

    Raises:
        UsageError: fewer years were given than a policy in force asks for.
        PolicyError: as `log_years`.
    """
    least = log_years(shelf)
    if 0 != given < least:
        hint = f"leave --keep out, or give {least}"
        raise UsageError(f"policies in force keep the log for {least} years", hint)
    return given or least
