"""
Records as a request of OTLP for traces: a span each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from . import genai, otlp
from .trace import span_id, trace_id

FLAGS = 0x101
"""Sampled, as W3C has it, and known to be this process's own (SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE)."""


def request(documents: Sequence[Mapping[str, Any]], sender: Resource) -> bytes:
    """Write records as they are sent."""
    spans = ScopeSpans(
        scope=otlp.SCOPE,
        spans=[span_of(document) for document in documents],
        schema_url=genai.SCHEMA_URL,
    )
    whole = ResourceSpans(resource=sender, scope_spans=[spans], schema_url=genai.SCHEMA_URL)
    return ExportTraceServiceRequest(resource_spans=[whole]).SerializeToString()


def refused(answer: bytes) -> tuple[int, str]:
    """Return how many spans were refused, and why."""
    try:
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
    except DecodeError:  # some answer JSON, or nothing that is asked for; the status is success
        return 0, ""
    return partial.rejected_spans, partial.error_message


def span_of(document: Mapping[str, Any]) -> Span:
    """Write one record: the client's span of the request, with the times that were measured."""
    start_ns, end_ns = genai.times_ns(document)
    failed = document["status"] == "error"
    return Span(
        trace_id=bytes.fromhex(trace_id(document)),
        span_id=bytes.fromhex(span_id(document)),
        flags=FLAGS,
        name=genai.span_name(document),
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start_ns,
        end_time_unix_nano=end_ns,
        attributes=otlp.attributes(genai.span_attributes(document)),
        status=Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET),
    )
