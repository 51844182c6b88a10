"""
What both OpenTelemetry sinks share: the addresses, what is said of the sender, and the library.

OTLP over HTTP (protobuf). The messages are OpenTelemetry's own, from
``opentelemetry-proto``; its SDK's exporter is not used, because it waits and tries
again by itself, and then says no more than that it failed.

The usual variables are heeded: ``OTEL_EXPORTER_OTLP_ENDPOINT``, ``…_HEADERS``,
``OTEL_SERVICE_NAME``, ``OTEL_METRICS_EXPORTER=none`` for a place that takes
traces only, and more (``settings``).

Source:
    https://opentelemetry.io/docs/specs/otlp/ and /otel/protocol/exporter/, 1.10.0
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from ...errors import ConfigError, MissingDependencyError
from ...settings import Settings
from .endpoint import TIMEOUT_S, Endpoint

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
CONTENT_TYPE = "application/x-protobuf"
SERVICE_NAME = "vllm-workbench"

Signal = Literal["traces", "metrics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    Where one signal goes.

    Args:
        resource: What is said of the sender with everything.
    """

    url: str
    resource: Mapping[str, str]
    headers: Mapping[str, str] | None = None
    timeout_s: float = TIMEOUT_S

    def endpoint(self, sink: str) -> Endpoint:
        """Make what POSTs there."""
        return Endpoint(
            sink, self.url, key=ENDPOINT, headers=self.headers, timeout_s=self.timeout_s
        )

    def sender(self) -> dict[str, str]:
        """Say who sends, as an instance of its own: its counts are not another's."""
        return {**self.resource, "service.instance.id": str(uuid.uuid4())}


def url_of(settings: Settings, signal: Signal) -> str | None:
    """Return where a signal goes; ``None``: nowhere."""
    traces = signal == "traces"
    exporter = settings.otel_traces_exporter if traces else settings.otel_metrics_exporter
    if settings.otel_disabled or exporter.lower() == "none":
        return None
    own = settings.otel_traces_endpoint if traces else settings.otel_metrics_endpoint
    if own is not None:
        return own.reveal()
    base = settings.otel_endpoint
    return f"{base.reveal().rstrip('/')}/v1/{signal}" if base is not None else None


def place_of(settings: Settings, signal: Signal) -> Place:
    """
    Return the place of a signal that is turned on.

    Raises:
        ConfigError: A setting can't be used.
    """
    if settings.otel_protocol != "http/protobuf":
        raise ConfigError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {settings.otel_protocol!r}; here is http/protobuf.",
            hint="Set that, and the address of the collector's HTTP port: often 4318.",
            key="otel_protocol",
            source=settings.origins["otel_protocol"],
        )
    url, headers = url_of(settings, signal), settings.otel_headers
    assert url is not None  # is_on
    return Place(
        url=url,
        headers=pairs(headers.reveal(), "OTEL_EXPORTER_OTLP_HEADERS") if headers else {},
        resource=_sender_of(settings),
    )


def missing(name: str) -> MissingDependencyError:
    """Say that the messages are not installed, and how they are."""
    return MissingDependencyError(
        "OpenTelemetry's messages are not installed.",
        hint="pip install 'vllm-workbench[otel]'",
        package="opentelemetry-proto",
        key=name,
        source=ENDPOINT,
    )


def pairs(text: str, key: str) -> dict[str, str]:
    """
    Read ``name=value,name=value``, with percent-encoded values.

    Raises:
        ConfigError: It is something else.
    """
    found = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigError(
                f"{key} cannot be read.",  # it may be a secret
                hint="It looks like name=value,name=value, with %2C for a comma in a value.",
                key=key,
                source=key,
            )
        found[name.strip()] = unquote(value.strip())
    return found


def _sender_of(settings: Settings) -> dict[str, str]:
    given = pairs(settings.otel_resource_attributes or "", "OTEL_RESOURCE_ATTRIBUTES")
    named = given.get("service.name", SERVICE_NAME)
    return {**given, "service.name": settings.otel_service_name or named}
