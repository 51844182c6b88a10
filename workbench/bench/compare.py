"""
Two sides of benchmark results, if they are a match (:mod:`.match`): what is worse. Pure.

A difference is tested against the noise of runs: with two or more on a side by
Welch's interval, with one against several by their spread. One against one
says nothing of that noise; then requests are drawn anew (a bootstrap), which
only knows what varies within a run, and a warning says so.

Worse is a *regression* when the change is beyond the threshold and its
interval leaves out zero. Beyond the threshold without that it is *unsure*:
more runs would tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from .intervals import Interval, bootstrapped, difference
from .match import Differs, differences
from .result import Metrics, Request, Result

THRESHOLD = 0.05


class Test(StrEnum):
    """What a difference was tested by."""

    __test__ = False  # for pytest, which collects what begins so

    WELCH = "Welch, over runs"
    SPREAD = "one run, against the spread of the others"
    BOOTSTRAP = "bootstrap, over requests"
    NONE = "none: one run a side"


class Finding(StrEnum):
    """What a change is."""

    SAME = "within noise"
    BETTER = "better"
    WORSE = "worse, within the threshold"
    REGRESSION = "REGRESSION"
    UNSURE = "unsure"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    One metric on both sides.

    Args:
        before, after: The means of the runs.

        change: Later less earlier as a share of *before*, whose own noise is
            taken for none; the interval's ends are equal to the value where
            nothing could be tested.
    """

    metric: str
    unit: str
    higher_is_better: bool
    before: float | None
    after: float | None
    change: Interval | None
    test: Test
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    All of it.

    Args:
        refused: What makes the sides no match; nothing is compared then, unless
            somebody wants to look all the same.

        told: What differs and may.

        warnings: What makes the test weaker than it looks.
    """

    runs: tuple[int, int]
    threshold: float
    refused: tuple[Differs, ...]
    told: tuple[Differs, ...]
    changes: tuple[Change, ...]
    warnings: tuple[str, ...]

    @property
    def regressions(self) -> tuple[Change, ...]:
        """What got worse beyond the threshold and the noise."""
        return tuple(each for each in self.changes if each.finding is Finding.REGRESSION)

    @property
    def is_unsure(self) -> bool:
        """Whether something may have got worse, and more runs would tell."""
        return any(each.finding is Finding.UNSURE for each in self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """
    A number that is compared.

    Args:
        of_run: From a run's metrics.

        of_request: From one request, where a run's number is their mean.
    """

    name: str
    unit: str
    of_run: Callable[[Metrics], float | None]
    of_request: Callable[[Request], float | None] | None = None
    percent: int | None = None
    higher_is_better: bool = False


def _mean(name: str) -> Callable[[Metrics], float | None]:
    def of(metrics: Metrics) -> float | None:
        found = getattr(metrics, name)
        return None if found is None else float(found.mean.value)

    return of


def _p99(name: str) -> Callable[[Metrics], float | None]:
    def of(metrics: Metrics) -> float | None:
        found = getattr(metrics, name)
        return None if found is None else found.at(99)

    return of


METRICS = (
    Metric(name="TTFT mean", unit="s", of_run=_mean("ttft"), of_request=lambda r: r.ttft_s),
    Metric(
        name="TTFT p99", unit="s", of_run=_p99("ttft"), of_request=lambda r: r.ttft_s, percent=99
    ),
    Metric(name="TPOT mean", unit="s", of_run=_mean("tpot"), of_request=lambda r: r.tpot_s),
    Metric(
        name="TPOT p99", unit="s", of_run=_p99("tpot"), of_request=lambda r: r.tpot_s, percent=99
    ),
    Metric(name="E2EL mean", unit="s", of_run=_mean("e2el"), of_request=lambda r: r.e2el_s),
    Metric(
        name="request throughput",
        unit="req/s",
        of_run=lambda metrics: metrics.request_throughput_rps,
        higher_is_better=True,
    ),
    Metric(
        name="output throughput",
        unit="tok/s",
        of_run=lambda metrics: metrics.output_throughput_tps,
        higher_is_better=True,
    ),
    Metric(
        name="goodput",
        unit="req/s",
        of_run=lambda metrics: metrics.goodput_rps,
        higher_is_better=True,
    ),
)


def compare(
    before: Sequence[Result],
    after: Sequence[Result],
    *,
    threshold: float = THRESHOLD,
    anyway: bool = False,
) -> Comparison:
    """
    Compare two sides, each with the runs of it.

    Args:
        threshold: From which share on a change for the worse matters.

        anyway: Compare although the sides are no match.
    """
    refused, told = differences(before, after)
    looks = anyway or not refused
    return Comparison(
        runs=(len(before), len(after)),
        threshold=threshold,
        refused=refused,
        told=told,
        changes=tuple(_changes(before, after, threshold)) if looks else (),
        warnings=tuple(_warnings(before, after)) if looks else (),
    )


def _changes(
    before: Sequence[Result], after: Sequence[Result], threshold: float
) -> Iterator[Change]:
    for metric in METRICS:
        change = _change(metric, before, after, threshold)
        if change.before is not None or change.after is not None:
            yield change
    yield _failures(before, after)


def _change(
    metric: Metric, before: Sequence[Result], after: Sequence[Result], threshold: float
) -> Change:
    first, second = _values(metric, before), _values(metric, after)
    means = [fmean(values) if values else None for values in (first, second)]
    interval, test = _tested(metric, before, after)
    relative = interval.scaled(1 / means[0]) if interval and means[0] else None
    return Change(
        metric=metric.name,
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        before=means[0],
        after=means[1],
        change=relative,
        test=test,
        finding=_finding(metric, relative, test, threshold),
    )


def _values(metric: Metric, runs: Sequence[Result]) -> list[float]:
    found = [metric.of_run(run.metrics) for run in runs]
    return [value for value in found if value is not None]


def _tested(
    metric: Metric, before: Sequence[Result], after: Sequence[Result]
) -> tuple[Interval | None, Test]:
    first, second = _values(metric, before), _values(metric, after)
    if not first or not second:
        return None, Test.NONE
    if over_runs := difference(first, second):
        alone = min(len(first), len(second)) == 1
        return over_runs, Test.SPREAD if alone else Test.WELCH
    value = second[0] - first[0]
    if metric.of_request and (drawn := _drawn(metric, before[0], after[0])):
        return Interval(value, drawn.low, drawn.high), Test.BOOTSTRAP
    return Interval(value, value, value), Test.NONE


def _drawn(metric: Metric, before: Result, after: Result) -> Interval | None:
    """Draw the requests of both runs anew."""
    import numpy as np

    def statistic(values: object, axis: int) -> object:
        if metric.percent is not None:
            return np.percentile(np.asarray(values), metric.percent, axis=axis)
        return np.mean(np.asarray(values), axis=axis)

    return bootstrapped(_of_requests(metric, before), _of_requests(metric, after), statistic)


def _of_requests(metric: Metric, run: Result) -> list[float]:
    assert metric.of_request is not None
    found = [metric.of_request(request) for request in run.requests if request.ok]
    return [value for value in found if value is not None]


def _finding(metric: Metric, change: Interval | None, test: Test, threshold: float) -> Finding:
    if change is None:
        return Finding.UNKNOWN
    worse = -change.value if metric.higher_is_better else change.value
    tells = test is not Test.NONE and change.tells_from_zero
    if worse > threshold:
        return Finding.REGRESSION if tells else Finding.UNSURE
    if not tells:
        return Finding.SAME
    return Finding.WORSE if worse > 0 else Finding.BETTER


def _failures(before: Sequence[Result], after: Sequence[Result]) -> Change:
    """Compare the share of failures; there more is worse, whatever the threshold."""
    shares = [_error_rate(runs) for runs in (before, after)]
    worse = shares[1] > shares[0]
    return Change(
        metric="failed",
        unit="share",
        higher_is_better=False,
        before=shares[0],
        after=shares[1],
        change=None,
        test=Test.NONE,
        finding=Finding.REGRESSION if worse else Finding.SAME,
    )


def _error_rate(runs: Sequence[Result]) -> float:
    sent = sum(run.metrics.sent for run in runs)
    return sum(run.metrics.failed for run in runs) / sent if sent else 0.0


def _warnings(before: Sequence[Result], after: Sequence[Result]) -> Iterator[str]:
    if len(before) == len(after) == 1:
        yield (
            "One run a side: what varies from run to run is not known. Intervals are of the "
            "requests within the two runs, and too narrow. Measure each side three times."
        )
        if not (before[0].requests and after[0].requests):
            yield "Without --save-detailed there are no requests to draw from: nothing is tested."
    for side, runs in (("A", before), ("B", after)):
        if any(run.interrupted for run in runs):
            yield f"A run of {side} was interrupted."
        if any(run.lag.is_loud for run in runs):
            yield f"In a run of {side} the client's own lag was above 1 % of what it measured."
