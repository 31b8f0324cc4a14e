"""Frozen results to JSON and back, checked field by field: at the worker's border and in the catalogue."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from appliance.errors import IntegrityError

T = TypeVar("T")


_adapters: dict[Any, TypeAdapter[Any]] = {}  # building one costs milliseconds, using it microseconds


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def dump(value: Any, kind: Any | None = None) -> str:
    """JSON text of a vocabulary dataclass (or of `kind`, for a tuple of them)."""
    adapter = _adapter(kind if kind is not None else type(value))
    return adapter.dump_json(value).decode()


def load(kind: type[T], text: str | bytes) -> T:
    """The value behind JSON text.

    Raises:
        IntegrityError: the text is not a `kind`.
    """
    try:
        value: T = _adapter(kind).validate_json(text)
    except ValidationError as wrong:
        problem = wrong.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise IntegrityError(f"stored result does not fit its form at {place}: {problem['type']}") from wrong
    return value
