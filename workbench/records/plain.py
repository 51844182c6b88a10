"""
Records as plain values, for what writes them as JSON.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass


def fields_of(record: object) -> dict[str, object]:
    """
    Return a record's fields by name, as ``json.dumps(…, default=fields_of)`` asks for them.

    Raises:
        TypeError: It is no record, and JSON has no form for it.
    """
    if not is_dataclass(record):
        raise TypeError(f"{type(record).__name__} is no record and cannot be written as JSON")
    return {item.name: getattr(record, item.name) for item in fields(record)}
