"""
Where a load that was measured at several concurrencies has its knee. Pure.

The knee is where *power*, throughput divided by latency, is greatest: below it
one more request at a time brings more answers than it costs in waiting, above
it costs more. In a closed loop the mean latency is concurrency divided by
throughput (Little), so power is throughput² / concurrency, and one curve is
enough. No threshold is in it that somebody has to choose.

Source: L. Kleinrock, Power and deterministic rules of thumb for probabilistic
problems in computer communications, ICC 1979
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .result import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What was measured at one concurrency: output tokens a second."""

    concurrency: int
    throughput: float

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


def points(results: Sequence[Result]) -> tuple[Point, ...]:
    """Take the closed loops among results, those that have a throughput, as points."""
    return tuple(
        Point(
            concurrency=result.settings.concurrency or result.settings.num_prompts,
            throughput=result.metrics.output_throughput_tps,
        )
        for result in results
        if not result.settings.is_open and result.metrics.output_throughput_tps
    )
