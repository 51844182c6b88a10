"""
A load swept over concurrencies, and where its knee is. Pure.

The knee is where *power*, throughput divided by latency, is greatest: below it
one more request at a time brings more answers than it costs in waiting, above
it costs more. In a closed loop the mean latency is concurrency divided by
throughput (Little), so power is throughput² / concurrency, and one curve is
enough. No threshold is in it that somebody has to choose.

Source: L. Kleinrock, Power and deterministic rules of thumb for probabilistic
problems in computer communications, ICC 1979
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from .intervals import Interval, of_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """
    What was measured at one concurrency.

    Args:
        request_rps: Answers a second of each run.

        output_tps: Output tokens a second of each run.

        failed: Requests without an answer, in all runs.
    """

    concurrency: int
    request_rps: tuple[float, ...]
    output_tps: tuple[float, ...]
    ttft_s: tuple[float, ...] = ()
    tpot_s: tuple[float, ...] = ()
    failed: int = 0

    @property
    def throughput(self) -> float:
        """Output tokens a second, the runs' mean."""
        return fmean(self.output_tps)

    @property
    def interval(self) -> Interval | None:
        """The same with its interval; ``None`` of one run."""
        return of_mean(self.output_tps)

    @property
    def power(self) -> float:
        """Throughput² / concurrency."""
        return self.throughput**2 / self.concurrency


@dataclass(frozen=True, slots=True, kw_only=True)
class Knee:
    """
    Where the curve bends.

    Args:
        concurrency: The one of those measured with the greatest power.

        between: Its neighbours: the knee is between them. An end that is
            ``None`` was not passed, and the knee may be beyond.

        of_peak: Its throughput as a share of the greatest that was measured.
    """

    concurrency: int
    between: tuple[int | None, int | None]
    of_peak: float

    @property
    def is_reached(self) -> bool:
        """Whether a higher concurrency was measured, with less power."""
        return self.between[1] is not None


def knee(points: Sequence[Point]) -> Knee | None:
    """Find the knee; ``None`` below three points, which show no bend."""
    ordered = sorted(points, key=lambda point: point.concurrency)
    if len(ordered) < 3:
        return None
    at = max(range(len(ordered)), key=lambda index: ordered[index].power)
    below = ordered[at - 1].concurrency if at else None
    above = ordered[at + 1].concurrency if at + 1 < len(ordered) else None
    peak = max(point.throughput for point in ordered)
    return Knee(
        concurrency=ordered[at].concurrency,
        between=(below, above),
        of_peak=ordered[at].throughput / peak,
    )


def sweep(
    measure: Callable[[int, int], Point],
    concurrencies: Sequence[int],
    *,
    repeats: int = 1,
    on_point: Callable[[Point], None] = lambda _point: None,
) -> tuple[Point, ...]:
    """
    Measure at each concurrency, from the lowest up, *repeats* times.

    Args:
        measure: At a concurrency, for the n-th time (from 0).

        on_point: Called with each point when all its runs are done.
    """
    points = []
    for concurrency in sorted(set(concurrencies)):
        point = merged([measure(concurrency, number) for number in range(repeats)])
        points.append(point)
        on_point(point)
    return tuple(points)


def merged(runs: Sequence[Point]) -> Point:
    """Take several runs at one concurrency as one point."""
    return Point(
        concurrency=runs[0].concurrency,
        request_rps=tuple(value for run in runs for value in run.request_rps),
        output_tps=tuple(value for run in runs for value in run.output_tps),
        ttft_s=tuple(value for run in runs for value in run.ttft_s),
        tpot_s=tuple(value for run in runs for value in run.tpot_s),
        failed=sum(run.failed for run in runs),
    )
