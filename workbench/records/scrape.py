"""
What a server said of itself at one moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Histogram:
    """
    A distribution, as Prometheus writes it.

    Args:
        buckets: Upper bound (the last is infinite) and how many were at most that, by bound.

        sum: Of all that was observed.
    """

    buckets: tuple[tuple[float, float], ...]
    count: float
    sum: float


Value: TypeAlias = float | Histogram
Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Sorted pairs; ``model_name`` always, ``engine`` since V1, ``finished_reason`` where there is one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """
    A ``/metrics`` page, read.

    Args:
        at: When it was asked for, in UTC.

        at_s: The same by a clock that only goes forward, for differences.

        series: By our name (``metric_names``), then by labels. What the page
            does not have is not in it.

        started_s: When the server's process started, in seconds since 1970;
            ``None`` where the page does not say (several API servers behind
            one address share a page that does not).
    """

    at: datetime
    at_s: float
    series: Mapping[str, Mapping[Labels, Value]]
    started_s: float | None = None
