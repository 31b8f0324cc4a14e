"""Recomputing a claim's ε in a child process: opacus brings torch, and this process stays without it.

The child is the boxed worker of every foreign file and model: no network, a limit on memory and time. What
stops it is said, and is never a number.
"""

from __future__ import annotations

import math
import re
from typing import Final

from appliance import codec
from appliance.claims.records import Recomputed
from appliance.errors import ApplianceError, IntegrityError, WorkerFailed
from appliance.words.table import tell
from audit_core.accountants import PRV, RDP, REASONS, missing_parameters
from audit_core.claims import Account, Budget

JOB: Final = "account"
MEMORY_BYTES: Final = 4 << 30
PROCESSOR_S: Final = 300.0
_VERSION: Final = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){1,3}")


def recomputed(budget: Budget | None) -> Recomputed:
    """What opacus' accountants make of a claim; or why they make nothing of it."""
    if budget is None:
        return Recomputed()
    missing = missing_parameters(budget)
    if missing:
        return Recomputed(why=tell("claim.missing", what=", ".join(missing)))
    from appliance.worker import Worker

    try:
        with Worker([], JOB, memory_bytes=MEMORY_BYTES, threads=1) as worker:
            answer = worker.call({"type": JOB, "budget": codec.dump(budget)}, processor_s=PROCESSOR_S)
        return _checked(str(answer.get("accounts")), str(answer.get("version")))
    except (ApplianceError, OSError) as stopped:
        why = str(stopped) if isinstance(stopped, ApplianceError) else type(stopped).__name__
        return Recomputed(why=tell("claim.stopped", why=why))


def _checked(accounts: str, version: str) -> Recomputed:
    """The answer, once it keeps to its form.

    Raises:
        WorkerFailed: it does not.
    """
    try:
        found = codec.load(tuple[Account, ...], accounts)
    except IntegrityError:
        found = ()
    names = [account.accountant for account in found]
    if names != [PRV, RDP] or not _VERSION.fullmatch(version) or not all(map(_keeps_to_form, found)):
        raise WorkerFailed("the accountants' answer does not keep to its form", "see `gradaudit doctor`")
    return Recomputed(found, f"opacus {version}")


def _keeps_to_form(account: Account) -> bool:
    if account.upper is None:
        return account.lower is None and account.why in REASONS
    numbers = (account.upper, 0.0 if account.lower is None else account.lower)
    return all(math.isfinite(one) for one in numbers) and 0.0 <= numbers[1] <= numbers[0] and not account.why
