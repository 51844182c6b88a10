"""
Sink ``otel``: OpenTelemetry traces and metrics, by OTLP over HTTP (protobuf).

A span for each request, with the times that the client measured, and three
histograms. The names are those of ``genai``. The messages are OpenTelemetry's
own, from ``opentelemetry-proto``; its SDK's exporter is not used, because it
waits and tries again by itself, and then says no more than that it failed.

The usual variables are heeded: ``OTEL_EXPORTER_OTLP_ENDPOINT``, ``…_HEADERS``,
``OTEL_SERVICE_NAME``, ``OTEL_METRICS_EXPORTER=none`` for a place that takes
traces only, and more (``settings``).

Source:
    https://opentelemetry.io/docs/specs/otlp/ and /otel/protocol/exporter/, 1.10.0
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from ...errors import ConfigError, MissingDependencyError, SinkError
from ...setting_values import Url
from ...settings import Settings
from ..record import TelemetryRecord
from .base import Sink
from .document import document_of
from .endpoint import TIMEOUT_S, Endpoint
from .parts import RefusedBatchError, send_in_parts

NAME = "otel"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
CONTENT_TYPE = "application/x-protobuf"
SERVICE_NAME = "vllm-workbench"


def is_on(settings: Settings) -> bool:
    """Tell whether a setting asks for it."""
    return not settings.otel_disabled and any(_addresses(settings))


def open_sink(settings: Settings) -> Sink:
    """
    Make the sink that the settings describe; nothing is sent yet.

    Raises:
        ConfigError: A setting can't be used.
        MissingDependencyError: ``opentelemetry-proto`` is not installed.
    """
    if settings.otel_protocol != "http/protobuf":
        raise ConfigError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {settings.otel_protocol!r}; here is http/protobuf.",
            hint="Set that, and the address of the collector's HTTP port: often 4318.",
            key="otel_protocol",
            source=settings.origins["otel_protocol"],
        )
    traces, metrics = _addresses(settings)
    headers = settings.otel_headers
    return OtelSink(
        traces=traces,
        metrics=metrics,
        headers=pairs(headers.reveal(), "OTEL_EXPORTER_OTLP_HEADERS") if headers else {},
        resource=_sender_of(settings),
    )


class OtelSink:
    """
    Sends spans to *traces* and histograms to *metrics*; either may be ``None``.

    Args:
        resource: What is said of the sender with everything.
    """

    name = NAME
    max_batch = 200

    def __init__(
        self,
        *,
        traces: str | None,
        metrics: str | None,
        resource: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        try:
            from . import otlp, otlp_metrics, otlp_spans
        except ImportError as exc:
            raise MissingDependencyError(
                "OpenTelemetry's messages are not installed.",
                hint="pip install 'vllm-workbench[otel]'",
                package="opentelemetry-proto",
                key=NAME,
                source=ENDPOINT,
            ) from exc

        def endpoint(url: str | None) -> Endpoint | None:
            if url is None:
                return None
            return Endpoint(NAME, url, key=ENDPOINT, headers=headers, timeout_s=timeout_s)

        self._spans, self._metrics = otlp_spans, otlp_metrics
        self._traces_endpoint, self._metrics_endpoint = endpoint(traces), endpoint(metrics)
        # Counts begin anew with the sink: the instance keeps them apart from others'.
        self._sender = otlp.resource({**resource, "service.instance.id": str(uuid.uuid4())})
        self._counts = otlp_metrics.Counts()
        self._counted: set[str] = set()  # of records that may come again

    def send(self, records: Sequence[TelemetryRecord]) -> None:
        """Send spans, then the histograms with these records in them."""
        if self._traces_endpoint is not None:
            send_in_parts(self.name, records, self._post_spans)
        if self._metrics_endpoint is not None:
            self._post_metrics(records)
        self._counted.clear()

    def close(self) -> None:
        """Do nothing: no connection outlives its request."""

    def _post_spans(self, records: Sequence[TelemetryRecord]) -> None:
        assert self._traces_endpoint is not None  # send
        documents = [document_of(record) for record in records]
        body = self._spans.request(documents, self._sender)
        number, why = self._spans.refused(self._traces_endpoint.post(body, CONTENT_TYPE))
        if number:
            raise SinkError(
                f"{self._traces_endpoint.shown} refused {number} of {len(records)} spans: {why}",
                # OTLP forbids to send them again, and does not say which ones they were.
                hint="They stay in the telemetry file, and are not sent there again.",
                sink=self.name,
                rejected=tuple(record.id for record in records),
            )

    def _post_metrics(self, records: Sequence[TelemetryRecord]) -> None:
        assert self._metrics_endpoint is not None  # send
        for record in records:
            if record.id not in self._counted:
                self._counts.count(document_of(record))
                self._counted.add(record.id)
        body = self._counts.request(self._sender)
        try:
            answer = self._metrics_endpoint.post(body, CONTENT_TYPE)
        except RefusedBatchError as refusal:  # a smaller batch has no fewer counts
            raise self._no_metrics(refusal.why) from refusal
        except SinkError as exc:
            if not exc.permanent:
                raise
            raise self._no_metrics(exc.message) from exc
        number, why = self._metrics.refused(answer)
        if number:
            place = self._metrics_endpoint.shown
            raise self._no_metrics(f"{place} refused {number} histogram points: {why}")

    def _no_metrics(self, why: str) -> SinkError:
        return SinkError(
            why,
            hint="If it takes traces only, set OTEL_METRICS_EXPORTER=none. Else check address "
            "and headers.",
            sink=self.name,
            permanent=True,
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


def _addresses(settings: Settings) -> tuple[str | None, str | None]:
    """Return where traces and metrics go; each may be left out."""
    return (
        _address(settings, settings.otel_traces_endpoint, "traces", settings.otel_traces_exporter),
        _address(
            settings, settings.otel_metrics_endpoint, "metrics", settings.otel_metrics_exporter
        ),
    )


def _address(settings: Settings, own: Url | None, kind: str, exporter: str) -> str | None:
    if exporter.lower() == "none":
        return None
    if own is not None:
        return own.reveal()
    base = settings.otel_endpoint
    return f"{base.reveal().rstrip('/')}/v1/{kind}" if base is not None else None
