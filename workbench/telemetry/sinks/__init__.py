"""
Where records go from the outbox: one small file for each place.

::

    base          what a sink promises
    http          JSON to LOGGING_ENDPOINT
    jsonl         a file
    otel_traces   OpenTelemetry's spans, otel_metrics its histograms
                  (otel, genai, genai_messages, otlp, otlp_spans, otlp_metrics)
    cosmos        Azure Cosmos DB
    eventgrid     Azure Event Grid
    broken        stands where one could not be opened

    document      a record as plain values        trace         which trace and span it is
    answers       what a status means             azure_common  credentials and errors
    endpoint      an address that is POSTed to
"""

from __future__ import annotations

from ...settings import Settings
from . import cosmos, eventgrid, http, jsonl, otel_metrics, otel_traces
from .base import Sink
from .broken import BrokenSink

__all__ = ["Sink", "names_of", "open_sinks"]

_PLACES = (http, jsonl, otel_traces, otel_metrics, cosmos, eventgrid)


def names_of(settings: Settings) -> tuple[str, ...]:
    """Name the sinks that the settings turn on; no library is needed to know them."""
    return tuple(place.NAME for place in _PLACES if place.is_on(settings))


def open_sinks(settings: Settings) -> list[Sink]:
    """
    Open what the settings turn on. Never raises, and reaches for no network.

    One that cannot be opened is there too, and says why when it is sent something.
    """
    opened: list[Sink] = []
    for place in _PLACES:
        if place.is_on(settings):
            try:
                opened.append(place.open_sink(settings))
            except Exception as exc:  # whatever a library makes of a setting, a chat goes on
                opened.append(BrokenSink(place.NAME, exc))
    return opened
