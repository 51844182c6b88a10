"""
TOML as we write it: the standard library reads it only. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any


def document(told: Mapping[str, Any]) -> str:
    """Write plain values first, then a table for each mapping."""
    plain = [_line(name, value) for name, value in told.items() if not isinstance(value, Mapping)]
    tables = [
        "\n".join(["", f"[{name}]", *(_line(key, below) for key, below in value.items())])
        for name, value in told.items()
        if isinstance(value, Mapping) and value
    ]
    return "\n".join([*plain, *tables]) + "\n"


def _line(name: str, value: Any) -> str:
    key = name if name.replace("_", "a").isalnum() and name.isascii() else _text(name)
    return f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_line(key, below) for key, below in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _lines(value) if "\n" in value else _text(value)


def _lines(text: str) -> str:
    """Keep lines apart, to be read; what is not a line's end is written as in :func:`_text`."""
    return '"""\n' + "\n".join(_text(line)[1:-1] for line in text.split("\n")) + '"""'


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, and for halves of a character that no file can have.
    whole = text.encode("utf-8", "replace").decode()
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")
