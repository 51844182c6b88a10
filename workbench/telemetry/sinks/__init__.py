"""
Where records go from the outbox: one small file for each place.

::

    base        what a sink promises
    http        JSON to LOGGING_ENDPOINT
    jsonl       a file
    otel        OpenTelemetry (genai, genai_messages, otlp, otlp_spans, otlp_metrics)
    cosmos      Azure Cosmos DB
    eventgrid   Azure Event Grid
    broken      stands where one could not be opened

    document    a record as plain values        trace         which trace and span it is
    parts       a refused batch in halves       answers       what a status means
    endpoint    an address that is POSTed to    azure_common  credentials and errors
"""

from __future__ import annotations

from ...settings import Settings
from . import cosmos, eventgrid, http, jsonl, otel
from .base import Sink
from .broken import BrokenSink

__all__ = ["Sink", "open_sinks"]

_PLACES = (http, jsonl, otel, cosmos, eventgrid)


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
