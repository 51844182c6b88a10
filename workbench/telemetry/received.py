"""
Records that others send, read back from the form that sinks write. Pure.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from typing import Any, get_args

from .record import COLUMNS, Status, TelemetryRecord, rfc3339
from .sinks.document import JSON_TEXT

ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)

_SURROGATE = re.compile(r"[\ud800-\udfff]")

_INT64 = range(-(2**63), 2**63)

# What only the workbench's own client counts; another program's record is whole without.
_WITHOUT: Mapping[str, Any] = {"session": "unknown", "prompt_hash": "", "num_chunks": 0}


def record_of_document(said: object) -> TelemetryRecord:
    """
    Read one record.

    Fields that a record does not have are left out: a newer sender may have more.
    ``unknown_fields`` counts them.

    Raises:
        ValueError: It is none; the message names the field.
    """
    if not isinstance(said, Mapping):
        raise ValueError("it is no object")
    known = {**_WITHOUT} | {name: value for name, value in said.items() if value is not None}
    values: dict[str, Any] = {
        item.name: _read(item.name, str(item.type), known[item.name])
        for item in fields(TelemetryRecord)
        if item.name in known
    }
    for item in fields(TelemetryRecord):
        if item.default is MISSING and item.name not in values:
            raise ValueError(f"{item.name} is missing")
    return TelemetryRecord(**values)


def unknown_fields(said: Mapping[str, object]) -> int:
    """Count what is not kept of a record."""
    return len(said.keys() - set(COLUMNS))


def _read(name: str, annotation: str, value: object) -> object:
    if name in JSON_TEXT and not isinstance(value, str):
        return json.dumps(value)
    if name in _OWN:
        return _OWN[name](value)
    kind = annotation.removesuffix(" | None")
    if not _KINDS[kind](value):
        raise ValueError(f"{name} is {value!r:.80}, and no {kind}")
    return float(value) if kind == "float" else value  # type: ignore[arg-type]  # looked at above


def _is_text(value: object) -> bool:
    # Half of a surrogate pair is JSON, and no UTF-8: SQLite cannot hold it.
    return isinstance(value, str) and not _SURROGATE.search(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in _INT64


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # a whole number of 400 digits
        return False


_KINDS: Mapping[str, Callable[[object], bool]] = {
    "str": _is_text,
    "int": _is_whole,
    "float": _is_number,
    "bool": lambda value: isinstance(value, bool),
}


def _id(value: object) -> str:
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise ValueError(f"id is {value!r:.80}, and it has 1 to 64 letters, digits, and _ . : -")
    return value


def _timestamp(value: object) -> str:
    try:
        if isinstance(value, str):
            return rfc3339(datetime.fromisoformat(value))
    except (ValueError, OverflowError):  # in UTC it may be before the year 1
        pass
    raise ValueError(f"timestamp is {value!r:.80}, and no date and time of RFC 3339")


def _status(value: object) -> str:
    if value not in get_args(Status):
        raise ValueError(f"status is {value!r:.80}, and one of {', '.join(get_args(Status))}")
    return str(value)


_OWN: Mapping[str, Callable[[object], str]] = {
    "id": _id,
    "timestamp": _timestamp,
    "status": _status,
}
