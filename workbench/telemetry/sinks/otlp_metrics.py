"""
Records as OTLP's metrics: histograms that count on for as long as the sink is open.

Cumulative, so that a batch whose answer was lost is sent again without being
counted twice: the second request has the same numbers, or later ones.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    Histogram,
    HistogramDataPoint,
    Metric,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from . import genai, otlp

SECONDS = tuple(0.01 * 2**power for power in range(14))
TOKENS = tuple(4.0**power for power in range(14))
FIRST_CHUNK = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1),
    *(0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)


@dataclass(frozen=True)
class Kind:
    """A metric of the conventions: what it is called, its unit, its upper bounds."""

    name: str
    unit: str
    description: str
    bounds: tuple[float, ...]


DURATION = Kind("gen_ai.client.operation.duration", "s", "GenAI operation duration.", SECONDS)
USAGE = Kind(
    "gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.", TOKENS
)
FIRST = Kind(
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    "Time to receive the first chunk, from when the request is sent.",
    FIRST_CHUNK,
)
KINDS = (DURATION, USAGE, FIRST)


@dataclass
class Series:
    """What was counted of one metric under one set of attributes."""

    attributes: Mapping[str, Any]
    bounds: tuple[float, ...]
    buckets: list[int] = field(init=False)
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")

    def __post_init__(self) -> None:
        self.buckets = [0] * (len(self.bounds) + 1)

    def count(self, value: float) -> None:
        """Count one value; a bound belongs to the bucket below it."""
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.total += value
        self.least, self.most = min(self.least, value), max(self.most, value)


class Counts:
    """Everything counted since it was made."""

    def __init__(self) -> None:
        self._since_ns = time.time_ns()
        self._series: dict[str, dict[str, Series]] = {kind.name: {} for kind in KINDS}

    def count(self, document: Mapping[str, Any]) -> None:
        """Count one record."""
        for kind, value, attributes in _values(document):
            series = self._series[kind.name]
            key = json.dumps(attributes, sort_keys=True)
            series.setdefault(key, Series(attributes, kind.bounds)).count(value)

    def request(self, sender: Resource) -> bytes:
        """Write all counts as they are sent."""
        now_ns = time.time_ns()
        metrics = [self._metric(kind, now_ns) for kind in KINDS if self._series[kind.name]]
        scope = ScopeMetrics(scope=otlp.SCOPE, metrics=metrics, schema_url=genai.SCHEMA_URL)
        whole = ResourceMetrics(resource=sender, scope_metrics=[scope], schema_url=genai.SCHEMA_URL)
        return ExportMetricsServiceRequest(resource_metrics=[whole]).SerializeToString()

    def _metric(self, kind: Kind, now_ns: int) -> Metric:
        points = [self._point(each, now_ns) for each in self._series[kind.name].values()]
        return Metric(
            name=kind.name,
            unit=kind.unit,
            description=kind.description,
            histogram=Histogram(
                data_points=points, aggregation_temporality=AGGREGATION_TEMPORALITY_CUMULATIVE
            ),
        )

    def _point(self, series: Series, now_ns: int) -> HistogramDataPoint:
        return HistogramDataPoint(
            attributes=otlp.attributes(series.attributes),
            start_time_unix_nano=self._since_ns,
            time_unix_nano=now_ns,
            count=sum(series.buckets),
            sum=series.total,
            min=series.least,
            max=series.most,
            bucket_counts=series.buckets,
            explicit_bounds=series.bounds,
        )


def refused(answer: bytes) -> tuple[int, str]:
    """Return how many points were refused, and why."""
    try:
        partial = ExportMetricsServiceResponse.FromString(answer).partial_success
    except DecodeError:  # some answer JSON, or nothing that is asked for; the status is success
        return 0, ""
    return partial.rejected_data_points, partial.error_message


def _values(document: Mapping[str, Any]) -> Iterator[tuple[Kind, float, dict[str, Any]]]:
    attributes = genai.metric_attributes(document)
    yield DURATION, document["duration_s"], attributes
    for direction in ("input", "output"):
        if (tokens := document.get(f"{direction}_tokens")) is not None:
            yield USAGE, tokens, {**attributes, "gen_ai.token.type": direction}
    if (ttft_s := document.get("ttft_s")) is not None:
        yield FIRST, ttft_s, attributes
