"""The exception wall: vendor code may raise anything, callers see one of our errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from audit_core.errors import AuditError, BadSample

_T = TypeVar("_T")


def walled(pair_id: str, act: Callable[[], _T]) -> _T:
    """What `act` gives; what it raises becomes a `BadSample` that names the pair by its opaque id.

    Raises:
        BadSample: the vendor's code failed. Our own errors and a lack of memory are let through.
    """
    try:
        return act()
    except AuditError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # the exception wall: vendor code may raise anything
        raise BadSample(f"the model failed at pair {pair_id}: {type(error).__name__}") from error
