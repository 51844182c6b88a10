"""
Plain values as the messages of OpenTelemetry's protocol (OTLP).

The only modules that know ``opentelemetry`` are this one, ``otlp_spans`` and
``otlp_metrics``. They are imported by ``otel.open_sink``, as it is optional.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from .document import compact

INT64 = range(-(2**63), 2**63)

SCOPE = InstrumentationScope(name="workbench.telemetry")


def attributes(values: Mapping[str, Any]) -> list[KeyValue]:
    """Write attributes, in the order of their names."""
    return [KeyValue(key=name, value=_any(value)) for name, value in sorted(values.items())]


def resource(values: Mapping[str, Any]) -> Resource:
    """Write who it is that sends."""
    return Resource(attributes=attributes(values))


def _any(value: Any) -> AnyValue:
    if isinstance(value, bool):  # before int: a bool is one
        return AnyValue(bool_value=value)
    if isinstance(value, int) and value in INT64:
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_any(each) for each in value]))
    return AnyValue(string_value=value if isinstance(value, str) else compact(value).decode())
