"""
Two sides of benchmark results: whether they can be compared, and what is worse. Pure.

What must be equal is what decides what was asked: model, workload, seed, load,
prefix cache, card. What may differ is what one compares: server, version,
flags, image, driver. Unknown is not different, and is told.

A difference is tested against the noise of runs: with two or more on a side by
Welch's interval, with one against several by their spread. One against one
says nothing of that noise; then requests are drawn anew (a bootstrap), which
only knows what varies within a run, and a warning says so.

Worse is a *regression* when the change is beyond the threshold and its
interval leaves out zero. Beyond the threshold without that it is *unsure*:
more runs would tell.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from statistics import fmean

from ..errors import ConfigError
from . import vllm_json
from .intervals import Interval, bootstrapped, difference
from .result import Metrics, Request, Result

THRESHOLD = 0.05

TOKENS_APART = 0.01
"""Input tokens a request may differ by this share; templates of two versions do."""


@dataclass(frozen=True, slots=True)
class Differs:
    """A fact that is not the same on all runs; *values* as they were found."""

    name: str
    values: tuple[str, ...]


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


def read_runs(paths: Sequence[Path]) -> tuple[Result, ...]:
    """
    Read the runs of one side; a folder stands for the JSON files in it, a pattern for what fits.

    Raises:
        ConfigError: A file is no result, or there is none.
    """
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise ConfigError(
            f"There is no result in {', '.join(map(str, paths))}.",
            hint="Measure one: workbench bench --save FOLDER",
            key="result",
        )
    return tuple(map(vllm_json.read, files))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.json"))
    if path.exists() or not set("*?[") & set(path.name):
        return [path]
    return sorted(path.parent.glob(path.name))


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


# --- Are they a match? ---


def differences(
    before: Sequence[Result], after: Sequence[Result]
) -> tuple[tuple[Differs, ...], tuple[Differs, ...]]:
    """List what differs and must not, and what may."""
    runs = [*before, *after]
    must = [_must_match(run) for run in runs]
    may = [_may_differ(run) for run in runs]
    refused = [found for name in must[0] if (found := _differs(name, must))]
    refused += [found for name in ("seed", "prompts") if (found := _others(name, before, after))]
    if not any(differs.name == "prompts" for differs in refused):
        refused += _other_lengths(before, after)
    return tuple(refused), tuple(found for name in may[0] if (found := _differs(name, may)))


def _others(name: str, before: Sequence[Result], after: Sequence[Result]) -> Differs | None:
    """
    Find what one side was asked and the other was not.

    Each run of a side may have its own seed: that is how runs are repeated.
    """
    sides = [
        {value for run in runs if (value := _asked(run)[name]) is not None}
        for runs in (before, after)
    ]
    if not all(sides) or sides[0] <= sides[1] or sides[1] <= sides[0]:
        return None
    return Differs(name, tuple(", ".join(sorted(side)) for side in sides))


def _asked(run: Result) -> dict[str, str | None]:
    mark = run.fingerprint
    return {"seed": str(mark.seed) if mark.base_url else None, "prompts": mark.workload_hash}


def _must_match(run: Result) -> dict[str, object]:
    settings, mark = run.settings, run.fingerprint
    ours = bool(mark.base_url)
    return {
        "model": mark.model,
        "revision": mark.model_revision,
        "concurrency": settings.concurrency or "no limit",
        "request rate": settings.request_rate_rps or "none",
        "burstiness": settings.burstiness,
        "ramp": dict(settings.ramp) if settings.ramp else "none",
        "requests": settings.num_prompts,
        "duration": settings.duration_s or "no limit",
        # Of a file of vLLM's own these are not known.
        "workload": dict(mark.workload) or None,
        "request body": dict(settings.body) if ours else None,
        "prefix caching": mark.prefix_caching,
        "card": mark.card,
        "limits of goodput": str(run.metrics.slo) if run.metrics.slo else None,
    }


def _may_differ(run: Result) -> dict[str, object]:
    mark = run.fingerprint
    return {
        "server": mark.server,
        "version": mark.server_version,
        "backend": mark.backend,
        "flags": dict(mark.flags) if mark.flags else None,
        "image": mark.image_digest,
        "driver": mark.driver,
        "max model len": mark.max_model_len,
    }


def _differs(name: str, runs: Sequence[dict[str, object]]) -> Differs | None:
    known = [_text(run[name]) for run in runs if run[name] is not None]
    values = tuple(dict.fromkeys(known))
    return Differs(name, values) if len(values) > 1 else None


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str) if isinstance(value, dict) else str(value)


def _other_lengths(before: Sequence[Result], after: Sequence[Result]) -> list[Differs]:
    """
    Find sides whose prompts are of other lengths, where nothing else says that they are others.

    Runs of one side may differ: each seed draws its own words.
    """
    lengths = [each for each in map(_input_length, (before, after)) if each is not None]
    if not lengths or max(lengths) <= min(lengths) * (1 + TOKENS_APART):
        return []
    return [Differs("input tokens a request", tuple(f"{each:.1f}" for each in lengths))]


def _input_length(runs: Sequence[Result]) -> float | None:
    """Work out the tokens of a request, over all runs of a side that counted them."""
    counted = [run.metrics for run in runs if run.metrics.input_tokens and run.metrics.completed]
    requests = sum(metrics.completed for metrics in counted)
    return sum(metrics.input_tokens or 0 for metrics in counted) / requests if requests else None


# --- What changed? ---


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
