"""
A record as every sink writes it: plain values by name, fit for JSON. Pure.

Names and units are those of ``TelemetryRecord``. What is unknown is left out.
What the table has to keep as JSON text is an array or object again.
"""

from __future__ import annotations

import json
import math
from typing import Any

from ...records import fields_of
from ..record import TelemetryRecord

SCHEMA = "vllm-workbench/telemetry/1"
"""Names the form of a batch. Each record says its own ``schema_version``."""

JSON_TEXT = frozenset({"stop", "other_sampling", "tags", "prompt", "answer"})


def document_of(record: TelemetryRecord) -> dict[str, Any]:
    """Return what is known of a record, by name."""
    return {
        name: _plain(value) if name in JSON_TEXT else value
        for name, value in fields_of(record).items()
        if _is_known(value)
    }


def compact(value: object) -> bytes:
    """Write JSON as it is sent: on one line, in ASCII."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def _plain(value: object) -> object:
    try:
        return json.loads(str(value), parse_constant=lambda _: None)
    except ValueError:  # the file was written to by hand
        return value


def _is_known(value: object) -> bool:
    # A temperature of infinity was refused by the server; JSON has no word for it.
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))
