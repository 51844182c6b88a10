"""
Sink ``otel-metrics``: three histograms that count on for as long as it is open.

The names are those of ``genai``; address and headers are ``otel``'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import SinkError
from ...settings import Settings
from ..record import TelemetryRecord
from . import otel
from .base import RefusedBatchError, Sink
from .document import document_of

NAME = "otel-metrics"


def is_on(settings: Settings) -> bool:
    """Tell whether a setting asks for it."""
    return otel.url_of(settings, "metrics") is not None


def open_sink(settings: Settings) -> Sink:
    """
    Make the sink that the settings describe; nothing is sent yet.

    Raises:
        ConfigError: A setting can't be used.
        MissingDependencyError: ``opentelemetry-proto`` is not installed.
    """
    return MetricsSink(otel.place_of(settings, "metrics"))


class MetricsSink:
    """Sends histograms to *place*, with all records counted that it was ever given."""

    name = NAME
    max_batch = 200

    def __init__(self, place: otel.Place) -> None:
        try:
            from . import otlp, otlp_metrics
        except ImportError as exc:
            raise otel.missing(NAME) from exc

        self._metrics = otlp_metrics
        self._endpoint = place.endpoint(NAME)
        # Counts begin anew with the sink: the sender's instance keeps them apart from others'.
        self._sender = otlp.resource(place.sender())
        self._counts = otlp_metrics.Counts()
        self._counted: set[str] = set()  # of records that may come again

    def send(self, records: Sequence[TelemetryRecord]) -> None:
        """Send the histograms with these records in them."""
        for record in records:
            if record.id not in self._counted:
                self._counts.count(document_of(record))
                self._counted.add(record.id)
        number, why = self._metrics.refused(self._post(self._counts.request(self._sender)))
        self._counted.clear()
        if number:
            raise SinkError(
                f"{self._endpoint.shown} refused {number} histogram points: {why}",
                hint="OTLP forbids to send them again; the next request counts on from them.",
                sink=self.name,
                done=len(records),
                num_rejected=min(number, len(records)),
            )

    def close(self) -> None:
        """Do nothing: no connection outlives its request."""

    def _post(self, body: bytes) -> bytes:
        try:
            return self._endpoint.post(body, otel.CONTENT_TYPE)
        except RefusedBatchError as refusal:  # a smaller batch has no fewer counts
            raise self._no_metrics(refusal.why) from refusal
        except SinkError as exc:
            if not exc.permanent:
                raise
            raise self._no_metrics(exc.message) from exc

    def _no_metrics(self, why: str) -> SinkError:
        return SinkError(
            why,
            hint="If it takes traces only, set OTEL_METRICS_EXPORTER=none. Else check address "
            "and headers.",
            sink=self.name,
            permanent=True,
        )
