"""Pipeline identity (METHOD §6): are model, cohort, order and code those that were registered? Torch-free.

Three looks: every file's digest; what reaches the engine against what was written down before; and the loss
of made-up pairs, stored at registration, once the model is open.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from audit_core.code_version import code_digest
from audit_core.results import Consequence, ControlName, ControlOutcome, ControlStatus
from audit_core.samples import ModelSource, Registered, Sample, SelfCheck

TOLERANCE: Mapping[str, float] = {"float32": 1e-3, "bfloat16": 3e-2, "float16": 3e-2}
"""Difference of a self-check loss that is arithmetic, as a share of the loss (of 1 for losses below 1)."""
_PIECE_BYTES = 4 << 20
NOT_STORED = "self_check_missing"
"""Number in the outcome, 1.0, where the registration is older than the self-check pairs."""


def identity_control(
    source: ModelSource, samples: Sequence[Sample] = (), registered: Registered | None = None
) -> ControlOutcome:
    """Recompute every digest against the registered one, before anything is loaded.

    A file that is missing, changed or new fails the control: each can change what the model computes. Of a
    sealed source, what was kept is compared here, and the vendor's folders where they still are.

    Args:
        source: the model, its adapter and its base.
        samples: what reached the engine; looked at only with `registered`.
        registered: cohort and code as written down before; None where nobody did.
    """
    wrong = [*differences(source), *([] if registered is None else _other_pipeline(samples, registered))]
    checked = sum(map(len, (source.digests, source.peft_digests, source.base_digests)))
    if wrong:
        return _outcome(told(wrong), {"files": float(checked), "different": float(len(wrong))})
    also = "" if registered is None else "; cohort, order and code are as written down"
    numbers = {"files": float(checked), "different": 0.0}
    return ControlOutcome(
        ControlName.IDENTITY.value,
        ControlStatus.PASSED,
        Consequence.VOID,
        f"{_same(source, checked)}{also}.",
        numbers,
    )


def _same(source: ModelSource, checked: int) -> str:
    if not source.absent:
        return f"All {checked} files have the digests they were registered with"
    gone = ", ".join(source.absent)
    sealed = "The sealed copy of what was registered was audited"
    return f"{sealed}; in the vendor's folder it is not there ({gone})"


def with_self_check(
    passed: ControlOutcome, stored: SelfCheck | None, now: SelfCheck | None
) -> ControlOutcome:
    """The control after the model was opened: do the self-check pairs still give their stored losses?

    Args:
        passed: the outcome of the digests, which passed.
        stored: at registration; None in a record older than this check.
        now: of the model that will be audited; None where it gives no numbers.
    """
    if stored is None:
        sentence = f"{passed.sentence} No loss of self-check pairs was stored when the model was registered."
        return replace(passed, sentence=sentence, numbers={**passed.numbers, NOT_STORED: 1.0})
    if now is None or _shape(stored) != _shape(now):
        return _outcome(told(["the self-check pairs give no losses to compare"]), passed.numbers)
    largest = max(
        abs(new - old) / max(1.0, abs(old))
        for old, new in zip(
            (*stored.losses, *stored.base_losses), (*now.losses, *now.base_losses), strict=True
        )
    )
    allowed = max(tolerance(stored), tolerance(now))
    numbers = {**passed.numbers, "self_check": largest, "self_check_allowed": allowed}
    if not largest <= allowed:
        why = f"a self-check pair's loss is off by {largest:.2g} of it, {allowed:g} is arithmetic"
        return _outcome(told([why]), numbers)
    return replace(
        passed, sentence=f"{passed.sentence} The self-check pairs give their stored losses.", numbers=numbers
    )


def not_identical(before: ControlOutcome, why: str) -> ControlOutcome:
    """The control failed for a reason that came up later, in a few words."""
    return _outcome(told([why]), before.numbers)


def tolerance(check: SelfCheck) -> float:
    """What arithmetic alone may change in this precision, on this kind of device."""
    coarse = 5.0 if check.device != "cpu" and check.precision == "float32" else 1.0  # TF32 convolutions
    return coarse * TOLERANCE[check.precision]


def order_digest(assigned: Iterable[tuple[str, str, str]]) -> str:
    """Hex SHA-256 over (pair id, patient, role) of a cohort, in its order."""
    digest = hashlib.sha256(b"gradaudit cohort order v1\n")
    for one in assigned:
        digest.update(json.dumps(one, ensure_ascii=True).encode("ascii") + b"\n")
    return digest.hexdigest()


def _other_pipeline(samples: Sequence[Sample], registered: Registered) -> list[str]:
    found = []
    arrived = order_digest((one.pair_id, one.patient, one.role.value) for one in samples)
    if arrived != registered.cohort:
        found.append("pairs, patients, roles or their order are not those of the frozen cohort")
    if code_digest() != registered.code:
        found.append("the code that computes is not the code that was asked")
    return found


def _shape(check: SelfCheck) -> tuple[int, int]:
    return len(check.losses), len(check.base_losses)


def told(wrong: Sequence[str]) -> str:
    """What is not as it was registered, in one sentence."""
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return f"The audit is not of what was registered: {'; '.join(wrong[:3])}{more}."


def _outcome(sentence: str, numbers: Mapping[str, float]) -> ControlOutcome:
    return ControlOutcome(
        ControlName.IDENTITY.value, ControlStatus.FAILED, Consequence.VOID, sentence, dict(numbers)
    )


def differences(source: ModelSource, piece: Callable[[], None] = lambda: None) -> list[str]:
    """What is not as it was registered, one phrase a file; empty where everything is.

    Args:
        piece: called before every piece of a file that is read; may raise to stop.
    """
    parts = (
        ("model", source.path, source.digests),
        ("adapter", source.peft, source.peft_digests),
        ("base", source.base, source.base_digests),
    )
    wrong = list(source.vendor)
    for part, folder, registered in parts:
        if folder is None or (part in source.absent and not source.sealed):
            continue
        prefix = "" if part == "model" else f"{part}: "
        if not registered:
            wrong.append(f"{prefix}no digests were registered")
        wrong += [f"{prefix}{what}" for what in _differences(folder, registered, source.sealed, piece)]
    return wrong


def _differences(
    folder: Path, registered: Mapping[str, str], part: bool, piece: Callable[[], None]
) -> list[str]:
    """Of all files, or of those that are there of a `part`."""
    present = {
        entry.relative_to(folder).as_posix(): entry
        for entry in sorted(folder.rglob("*"))
        if entry.is_symlink() or not entry.is_dir()
    }
    found = [] if part else [f"{name} is missing" for name in sorted(set(registered) - set(present))]
    found += [f"{name} is new" for name in sorted(set(present) - set(registered))]
    for name in sorted(set(registered) & set(present)):
        entry = present[name]
        if entry.is_symlink() or not entry.is_file():
            found.append(f"{name} is no plain file")
        elif (digest := _sha256(entry, piece)) != registered[name]:
            found.append(f"{name} has changed" if digest else f"{name} cannot be read")
    return found


def _sha256(path: Path, piece: Callable[[], None]) -> str:
    whole = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while content := file.read(_PIECE_BYTES):
                piece()
                whole.update(content)
    except OSError:
        return ""
    return whole.hexdigest()
