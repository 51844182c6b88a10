"""
Sink ``otel-traces``: a span for each request, with the times that the client measured.

The names are those of ``genai``; address and headers are ``otel``'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import SinkError
from ...settings import Settings
from ..record import TelemetryRecord
from . import otel
from .base import Sink
from .document import document_of

NAME = "otel-traces"


def is_on(settings: Settings) -> bool:
    """Tell whether a setting asks for it."""
    return otel.url_of(settings, "traces") is not None


def open_sink(settings: Settings) -> Sink:
    """
    Make the sink that the settings describe; nothing is sent yet.

    Raises:
        ConfigError: A setting can't be used.
        MissingDependencyError: ``opentelemetry-proto`` is not installed.
    """
    return TracesSink(otel.place_of(settings, "traces"))


class TracesSink:
    """Sends spans to *place*."""

    name = NAME
    max_batch = 200

    def __init__(self, place: otel.Place) -> None:
        try:
            from . import otlp, otlp_spans
        except ImportError as exc:
            raise otel.missing(NAME) from exc

        self._spans = otlp_spans
        self._endpoint = place.endpoint(NAME)
        self._sender = otlp.resource(place.sender())

    def send(self, records: Sequence[TelemetryRecord]) -> None:
        """Send as one batch."""
        body = self._spans.request([document_of(record) for record in records], self._sender)
        number, why = self._spans.refused(self._endpoint.post(body, otel.CONTENT_TYPE))
        if number:
            raise SinkError(
                f"{self._endpoint.shown} refused {number} of {len(records)} spans: {why}",
                hint="OTLP does not say which ones, and forbids to send them again.",
                sink=self.name,
                done=len(records),
                num_rejected=min(number, len(records)),
            )

    def close(self) -> None:
        """Do nothing: no connection outlives its request."""
