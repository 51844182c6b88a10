"""
Which trace and span a record is. Pure.

A record that was sent with a ``traceparent`` knows both. For any other they
follow from its id, so that a record that is sent twice is the same span, and a
CloudEvent points to the span that the ``otel`` sink made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any


def trace_id(document: Mapping[str, Any]) -> str:
    """Return 32 hexadecimal digits."""
    return _valid(document.get("trace_id"), 32) or _derived("trace", document["id"], 32)


def span_id(document: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits."""
    return _valid(document.get("span_id"), 16) or _derived("span", document["id"], 16)


def traceparent(document: Mapping[str, Any]) -> str:
    """
    Write both as one header, sampled.

    Source:
        W3C Trace Context, level 1, 3.2.
    """
    return f"00-{trace_id(document)}-{span_id(document)}-01"


def _valid(value: object, digits: int) -> str | None:
    text = str(value or "")
    # All zeros are no id, says Trace Context.
    return text if re.fullmatch(rf"(?!0+$)[0-9a-f]{{{digits}}}", text) else None


def _derived(kind: str, record_id: str, digits: int) -> str:
    return hashlib.sha256(f"{kind}:{record_id}".encode()).hexdigest()[:digits]
