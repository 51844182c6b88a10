"""
What was tried, and what came of it. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from ..bench.compare import METRICS, Change, Metric, compare
from ..bench.compare import Finding as Verdicts
from ..bench.intervals import Interval, difference
from ..bench.result import Result
from ..errors import ConfigError
from .candidates import Candidate
from .quality import Quality, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """
    What is to become better.

    Args:
        metric: Its name in ``bench.compare.METRICS``.
    """

    name: str
    metric: str

    def of(self, run: Result) -> float | None:
        """Take the number from a run."""
        return self._is.of_run(run.metrics)

    @property
    def unit(self) -> str:
        """Of the number."""
        return self._is.unit

    @property
    def higher_is_better(self) -> bool:
        """Of a rate; a time is better if it is shorter."""
        return self._is.higher_is_better

    @property
    def _is(self) -> Metric:
        return next(each for each in METRICS if each.name == self.metric)


GOALS = {
    goal.name: goal
    for goal in (
        Goal(name="throughput", metric="output throughput"),
        Goal(name="goodput", metric="goodput"),
        Goal(name="ttft", metric="TTFT mean"),
        Goal(name="tpot", metric="TPOT mean"),
        Goal(name="e2el", metric="E2EL mean"),
    )
}


def goal_named(name: str | None, *, has_slo: bool) -> Goal:
    """
    Find a goal; without a name: what is good by the limits if there are any, else throughput.

    Raises:
        ConfigError: Goodput without limits.
    """
    name = name or ("goodput" if has_slo else "throughput")
    if name not in GOALS or (name == "goodput" and not has_slo):
        raise ConfigError(
            f"{name!r} is no goal here: {', '.join(GOALS)}.",
            hint="Goodput needs limits: --slo ttft=200ms,tpot=50ms, or --preset chat.",
            key="goal",
        )
    return GOALS[name]


class Role(StrEnum):
    """Why something is measured."""

    BEFORE = "as it runs"
    CANDIDATE = "candidate"
    TOGETHER = "together"
    AGAIN = "once more"
    AFTER = "as before, started anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    Why a candidate could not be measured.

    Args:
        cause: In a sentence.

        line: Of the log, that decided it.
    """

    cause: str
    line: str | None = None
    fix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """
    One start, and what was measured on it.

    Args:
        candidate: ``None``: the flags from before.

        runs: One after the other, each with other prompts.

        files: Where they are kept, beside the tune's own file.

        quality: Beside the answers of the server as it ran; ``None`` of that one itself, and
            of what was given up early.

        boot_s: ``None``: it ran already.

        given_up: It was so clearly worse that it was not measured to the end.
    """

    role: Role
    candidate: Candidate | None = None
    runs: tuple[Result, ...] = ()
    files: tuple[str, ...] = ()
    quality: Quality | None = None
    boot_s: float | None = None
    took_s: float = 0.0
    given_up: bool = False
    failure: Failure | None = None
    resumed: bool = False

    @property
    def is_baseline(self) -> bool:
        """Whether it is of the flags from before."""
        return self.candidate is None


class Finding(StrEnum):
    """What a candidate is."""

    BASELINE = "as before"
    BETTER = "better"
    SAME = "within noise"
    WORSE = "worse"
    REFUSED = "does not start"
    FAILING = "requests fail"
    SPOILT = "answers are worse"
    UNTOLD = "answers changed, and nothing says how good they are"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """
    A trial beside the flags from before.

    Args:
        value: The goal's number, the runs' mean.

        gain: How much better it is, as a share, with its interval; what is below zero is worse.
    """

    trial: Trial
    finding: Finding
    value: float | None
    gain: Interval | None


def value_of(trial: Trial, goal: Goal) -> float | None:
    """Return the mean of the goal's number over a trial's runs."""
    known = [value for run in trial.runs if (value := goal.of(run)) is not None]
    return fmean(known) if known else None


def noise(baselines: Sequence[Trial], goal: Goal) -> float | None:
    """
    Say by how much two starts of the same flags differ, as a share of their mean.

    ``None``: only one was measured.
    """
    known = [value for trial in baselines if (value := value_of(trial, goal)) is not None]
    return (max(known) - min(known)) / fmean(known) if len(known) > 1 and fmean(known) else None


def gain_of(before: Sequence[Result], after: Sequence[Result], goal: Goal) -> Interval | None:
    """Say how much better the goal's number became, as a share, by Welch's interval over runs."""
    first, second = (
        [value for run in runs if (value := goal.of(run)) is not None] for runs in (before, after)
    )
    found = difference(first, second)
    if found is None or not fmean(first):
        return None
    return found.scaled((1 if goal.higher_is_better else -1) / fmean(first))


def judge(trial: Trial, baselines: Sequence[Trial], goal: Goal) -> Judged:
    """
    Judge a trial by the runs of the flags from before.

    Better is what is beyond two kinds of noise: between runs, by Welch's interval; and between
    starts, by how much the same flags differed from one start to the next.
    """
    before = [run for each in baselines for run in each.runs]
    gain = None if trial.is_baseline else gain_of(before, trial.runs, goal)
    return Judged(
        trial=trial,
        finding=_finding(trial, before, gain, noise(baselines, goal) or 0.0),
        value=value_of(trial, goal),
        gain=gain,
    )


def costs_of(trial: Trial, baselines: Sequence[Trial], goal: Goal) -> tuple[Change, ...]:
    """
    List what else got worse: surely, and perhaps.

    Perhaps is by more than a twentieth, and within what runs differ by: so few of them do not tell.
    """
    before = [run for each in baselines for run in each.runs]
    found = compare(before, trial.runs, anyway=True).changes
    bad = (Verdicts.REGRESSION, Verdicts.UNSURE, Verdicts.WORSE)
    return tuple(each for each in found if each.finding in bad and each.metric != goal.metric)


def _finding(
    trial: Trial, before: Sequence[Result], gain: Interval | None, between_starts: float
) -> Finding:
    if trial.is_baseline:
        return Finding.BASELINE
    if trial.failure:
        return Finding.REFUSED if trial.boot_s is None else Finding.FAILING
    if _error_rate(trial.runs) > _error_rate(before):
        return Finding.FAILING
    if trial.quality and not trial.quality.is_kept:
        spoilt = trial.quality.verdict is Verdict.WORSE
        return Finding.SPOILT if spoilt else Finding.UNTOLD
    if gain is None or abs(gain.value) <= between_starts or not gain.tells_from_zero:
        return Finding.SAME
    return Finding.BETTER if gain.value > 0 else Finding.WORSE


def _error_rate(runs: Sequence[Result]) -> float:
    sent = sum(run.metrics.sent for run in runs)
    return sum(run.metrics.failed for run in runs) / sent if sent else 0.0
