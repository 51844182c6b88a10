"""
What two pages of a server's metrics say about the time between them. Pure.

Rates and quantiles are PromQL's: ``increase`` takes a counter that went down
for one that began anew at zero, and ``quantile`` interpolates within a bucket
in a straight line, as ``histogram_quantile`` does
(https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile).
So a quantile is as exact as the buckets are fine: vLLM's first bucket of
``e2e`` and its parts ends at 0.3 s.

Two things differ from Prometheus. Nothing is extrapolated to the window's
edges: what is counted was counted between the two pages. And a series that
only the later page has began at zero.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from .metric_names import BY_NAME
from .records import Histogram, Scrape, Value


def at_start(scrape: Scrape) -> Scrape | None:
    """
    Return the page that the server would have shown when it started: with nothing counted.

    Returns:
        ``None`` where *scrape* does not say when that was.
    """
    if scrape.started_s is None:
        return None
    at = datetime.fromtimestamp(scrape.started_s, UTC)
    up_s = (scrape.at - at).total_seconds()
    return Scrape(at=at, at_s=scrape.at_s - up_s, series={}, started_s=scrape.started_s)


def now(scrape: Scrape, name: str) -> float | None:
    """
    Return a gauge's value: the sum of all engines, or of the fullest one.

    Returns:
        ``None`` where the page does not have it.
    """
    values = [value for value in scrape.series.get(name, {}).values() if isinstance(value, float)]
    if not values:
        return None
    return max(values) if BY_NAME[name].fullest else sum(values)


def increase(before: Scrape, after: Scrape, name: str, **labels: str) -> float | None:
    """
    Return what a counter counted between two pages, all engines together.

    Args:
        labels: Only series that have these, for example ``finished_reason="abort"``.

    Returns:
        ``None`` where the later page does not have it.
    """
    grown = [value for value in _grown(before, after, name, labels) if isinstance(value, float)]
    return sum(grown) if grown else None


def observed(before: Scrape, after: Scrape, name: str) -> Histogram | None:
    """Return what a histogram observed between two pages, all engines together."""
    grown = [value for value in _grown(before, after, name, {}) if isinstance(value, Histogram)]
    return _together(grown) if grown else None


def mean(histogram: Histogram | None) -> float | None:
    """Return the mean, which no bucket blurs; ``None`` of nothing."""
    return histogram.sum / histogram.count if histogram and histogram.count else None


def quantile(histogram: Histogram | None, share: float) -> float | None:
    """
    Estimate what *share* of the observations did not exceed.

    Returns:
        ``None`` of nothing. Beyond the last finite bound that bound, as in
        PromQL: it is at least as much.
    """
    if histogram is None or not histogram.count:
        return None
    rank, lower, below = share * histogram.count, 0.0, 0.0
    for bound, count in histogram.buckets:
        if count >= rank and count > below:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = (lower if math.isinf(bound) else bound), count
    return None


def resolution(histogram: Histogram | None) -> float | None:
    """Return the first bucket's bound: below it a quantile is a guess, and no measurement."""
    return histogram.buckets[0][0] if histogram and histogram.buckets else None


def began_anew(before: Scrape, after: Scrape) -> bool:
    """Tell whether the server, or an engine of it, was started anew between two pages."""
    return _other_start(before, after) or any(
        _count(later) < _count(earlier)
        for name in after.series.keys() & before.series.keys()
        if BY_NAME[name].kind != "gauge"
        for labels, later in after.series[name].items()
        if (earlier := before.series[name].get(labels)) is not None
    )


def _other_start(before: Scrape, after: Scrape) -> bool:
    starts = {before.started_s, after.started_s}
    return None not in starts and len(starts) == 2


def _grown(before: Scrape, after: Scrape, name: str, labels: Mapping[str, str]) -> Iterable[Value]:
    earlier = {} if _other_start(before, after) else before.series.get(name, {})
    for key, value in after.series.get(name, {}).items():
        if labels.items() <= dict(key).items():
            yield _minus(value, earlier.get(key))


def _minus(later: Value, earlier: Value | None) -> Value:
    # A counter that went down began anew: an engine may, without the others.
    if earlier is None or _count(later) < _count(earlier):
        return later
    if isinstance(later, Histogram) and isinstance(earlier, Histogram):
        were = dict(earlier.buckets)
        buckets = tuple((bound, count - were.get(bound, 0.0)) for bound, count in later.buckets)
        return Histogram(buckets, later.count - earlier.count, later.sum - earlier.sum)
    return _count(later) - _count(earlier)


def _count(value: Value) -> float:
    return value.count if isinstance(value, Histogram) else value


def _together(histograms: Iterable[Histogram]) -> Histogram:
    """Add up histograms of the same metric; vLLM's engines share their bounds."""
    counts: defaultdict[float, float] = defaultdict(float)
    total = summed = 0.0
    for histogram in histograms:
        total, summed = total + histogram.count, summed + histogram.sum
        for bound, count in histogram.buckets:
            counts[bound] += count
    return Histogram(tuple(sorted(counts.items())), total, summed)
