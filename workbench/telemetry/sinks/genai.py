"""
A record in the words of OpenTelemetry's GenAI semantic conventions, 1.41.0. Pure.

All ``gen_ai.*`` names are in development there, and moved to a repository of
their own with 1.42. So the version is pinned, and said with everything sent.
What the conventions have no word for is called ``workbench.…``.

Source:
    https://github.com/open-telemetry/semantic-conventions/tree/v1.41.0/docs/gen-ai
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from .genai_messages import input_messages, output_messages

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.0"

PORTS = {"http": 80, "https": 443}

NAMES = {
    "model": "gen_ai.request.model",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "stop": "gen_ai.request.stop_sequences",
    "streamed": "gen_ai.request.stream",
    "n": "gen_ai.request.choice.count",
    "served_model": "gen_ai.response.model",
    "request_id": "gen_ai.response.id",
    "ttft_s": "gen_ai.response.time_to_first_chunk",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "session": "session.id",
    "user_hash": "user.hash",
    "error_type": "error.type",
    "http_status": "http.response.status_code",
}

SAID_OTHERWISE = {"id", "timestamp", "duration_s", "base_url", "trace_id", "span_id"}
"""Fields that are the span's own, or that need more than another name."""


def span_name(document: Mapping[str, Any]) -> str:
    """Name the operation and the model, if one is known."""
    return f"{_operation(document)} {document.get('model', '')}".strip()


def span_attributes(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that is known, new fields too, under the names of others."""
    found = _common(document)
    for name, value in document.items():
        if name in NAMES:
            found[NAMES[name]] = value
        elif name == "top_k":
            found["gen_ai.request.top_k"] = float(value)  # the conventions have a double
        elif name == "finish_reason":
            found["gen_ai.response.finish_reasons"] = [value]
        elif name == "prompt":
            found["gen_ai.input.messages"] = input_messages(value)
        elif name == "answer":
            found["gen_ai.output.messages"] = output_messages(value)
        elif name not in SAID_OTHERWISE:
            found |= _own(f"workbench.{name}", value)
    return {name: value for name, value in found.items() if value != ""}


def metric_attributes(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the few that have few values, by which metrics are told apart."""
    found = _common(document)
    for name in ("model", "error_type"):
        if document.get(name):
            found[NAMES[name]] = document[name]
    return found


def times_ns(document: Mapping[str, Any]) -> tuple[int, int]:
    """Return start and end, nanoseconds since 1970."""
    sent = datetime.fromisoformat(document["timestamp"])
    # Not by timestamp(): a double has no nanoseconds, and not even all microseconds.
    since = sent - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    start = ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
    return start, start + round(document["duration_s"] * 1e9)


def _operation(document: Mapping[str, Any]) -> str:
    return str(document.get("operation", "chat"))


def _common(document: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "gen_ai.operation.name": _operation(document),
        "gen_ai.provider.name": "vllm",
    }
    parts = urlsplit(document.get("base_url", ""))
    if parts.hostname:
        found["server.address"] = parts.hostname
        found["server.port"] = parts.port or PORTS.get(parts.scheme, 0)
    return found


def _own(name: str, value: Any) -> dict[str, Any]:
    """Write a value that the conventions have no name for; of an object each part by itself."""
    if isinstance(value, dict):
        parts = [_own(f"{name}.{key}", part) for key, part in value.items()]
        return {key: part for found in parts for key, part in found.items()}
    return {} if value is None else {name: value}
