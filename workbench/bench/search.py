"""
The highest request rate that still meets a service level. Pure: whoever calls measures.

The rate is doubled until a trial misses, then the gap between the highest rate
that met and the lowest that missed is halved until it is narrow. A rate is
judged by the share of its requests that were good. Where Wilson's interval of
it has the wanted share inside, the rate is measured again, and in the end
judged by the share itself and called unsure. A trial under which the queue
grew is judged at once: what it measured is the queue, which grows with the
trial's length, and no higher rate is tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from .intervals import Interval, Z, of_share

GOODPUT = 0.99
REPEATS = 3
TOLERANCE = 0.1
"""The gap at which the search ends, as a share of the rate that met."""

MOST_TRIALS = 30
LOWEST = 1 / 16
"""Of the first rate: nothing is tried below, since a trial lasts as long as requests come."""

GROWTH = 0.1
"""A queue grows if it took in more than this share of the requests that came."""

NOISE = 2.0
"""And more than so many standard deviations of how many come by chance (Poisson's √n)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """
    One measurement at one rate.

    Args:
        rate_rps: As it was offered.

        achieved_rps: Answers a second.

        requests: All that were sent; those that failed are not good.

        good: Those that met every limit.

        saturated: The queue grew all the time; ``None``: too short to tell.
    """

    rate_rps: float
    achieved_rps: float
    requests: int
    good: int
    saturated: bool | None
    ttft_p50_s: float | None = None
    tpot_p50_s: float | None = None

    @property
    def goodput_rps(self) -> float:
        """Good answers a second."""
        return self.achieved_rps * self.good / self.requests if self.requests else 0.0


class Verdict(StrEnum):
    """Whether a rate meets the service level."""

    MET = "met"
    MISSED = "missed"
    SATURATED = "saturated"
    TOO_SHORT = "too short"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """
    All trials at one rate.

    Args:
        share: Of good requests among all, with Wilson's interval.

        sure: Whether the wanted share is outside of the interval, or the queue grew.
    """

    rate_rps: float
    trials: tuple[Trial, ...]
    share: Interval
    verdict: Verdict
    sure: bool

    @property
    def is_met(self) -> bool:
        """Whether the rate meets the level."""
        return self.verdict is Verdict.MET


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    What a search came to.

    Args:
        rate_rps: The highest rate that met; ``None``: none did.

        missed_rps: The lowest that missed; ``None``: none did.

        levels: In the order in which they were tried.

        why: Why it ended there.
    """

    goodput: float
    rate_rps: float | None
    missed_rps: float | None
    levels: tuple[Level, ...]
    why: str

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """The highest rate that surely met, and the lowest that surely missed."""
        met = [level.rate_rps for level in self.levels if level.is_met and level.sure]
        missed = [level.rate_rps for level in self.levels if not level.is_met and level.sure]
        top = max(met, default=None)
        return top, min((rate for rate in missed if top is None or rate > top), default=None)


def requests_to_be_sure(goodput: float) -> int:
    """
    Count the requests, all good, from which a share of *goodput* is sure: 381 for 99 %.

    Wilson's lower end of n of n is n / (n + z²).
    """
    return math.floor(Z * Z * goodput / (1 - goodput)) + 1 if goodput < 1 else 0


Measure = Callable[[float, int], Trial]
"""Measures at a rate, for the n-th time (from 0): another seed each time."""


def search(
    measure: Measure,
    *,
    start_rps: float,
    goodput: float = GOODPUT,
    repeats: int = REPEATS,
    tolerance: float = TOLERANCE,
    most_trials: int = MOST_TRIALS,
    is_over: Callable[[], bool] = lambda: False,
    on_level: Callable[[Level], None] = lambda _level: None,
) -> Found:
    """
    Find the highest rate at which the share of good requests is *goodput* or more.

    An interrupt ends it, with what was found.

    Args:
        start_rps: What to begin with; any guess will do.

        repeats: How often a rate is measured at most.

        is_over: Asked after each trial whether the time for all of it is spent.
    """
    levels: list[Level] = []
    left = most_trials
    while True:
        met, missed = _bounds(levels)
        rate_rps, why = _next(met, missed, start_rps=start_rps, tolerance=tolerance)
        if rate_rps is not None and levels and is_over():
            rate_rps, why = None, "its time is spent"
        if rate_rps is None or left == 0:
            why = why or f"{most_trials} trials are spent"
            return Found(
                goodput=goodput, rate_rps=met, missed_rps=missed, levels=tuple(levels), why=why
            )
        try:
            level = judged(
                measure, rate_rps, goodput=goodput, repeats=min(repeats, left), is_over=is_over
            )
        except KeyboardInterrupt:
            return Found(
                goodput=goodput,
                rate_rps=met,
                missed_rps=missed,
                levels=tuple(levels),
                why="it was interrupted",
            )
        levels.append(level)
        left -= len(level.trials)
        on_level(level)


def judged(
    measure: Measure,
    rate_rps: float,
    *,
    goodput: float,
    repeats: int,
    is_over: Callable[[], bool] = lambda: False,
) -> Level:
    """Measure at one rate until it is clear, or often enough."""
    trials: list[Trial] = []
    while True:
        trials.append(measure(rate_rps, len(trials)))
        level = level_of(trials, goodput=goodput)
        if level.sure or len(trials) >= repeats or is_over():
            return level


def level_of(trials: list[Trial], *, goodput: float) -> Level:
    """Judge a rate by its trials, which count as one."""
    good, requests = sum(trial.good for trial in trials), sum(trial.requests for trial in trials)
    share = of_share(good, requests) or Interval(0.0, 0.0, 1.0)
    saturated = any(trial.saturated for trial in trials)
    # Requests that came in less time than an answer takes are a burst, and no rate.
    short = share.value >= goodput and all(trial.saturated is None for trial in trials)
    met = Verdict.MET if share.value >= goodput else Verdict.MISSED
    return Level(
        rate_rps=trials[0].rate_rps,
        trials=tuple(trials),
        share=share,
        verdict=Verdict.SATURATED if saturated else Verdict.TOO_SHORT if short else met,
        sure=saturated or not (short or share.low <= goodput <= share.high),
    )


def _bounds(levels: list[Level]) -> tuple[float | None, float | None]:
    missed = min((level.rate_rps for level in levels if not level.is_met), default=None)
    met = max(
        (
            level.rate_rps
            for level in levels
            if level.is_met and (missed is None or level.rate_rps < missed)
        ),
        default=None,
    )
    return met, missed


def _next(
    met: float | None, missed: float | None, *, start_rps: float, tolerance: float
) -> tuple[float | None, str]:
    """Say which rate is next; ``None``: none, and why."""
    if missed is None:
        return (start_rps if met is None else met * 2), ""
    if met is None:
        if missed / 2 < LOWEST * start_rps:
            return None, f"even {missed:g} requests a second miss it"
        return missed / 2, ""
    if missed - met <= tolerance * met:
        return None, f"the gap is {(missed - met) / met:.0%} of the rate"
    return (met + missed) / 2, ""


def is_saturated(sent_s: list[float], done_s: list[float]) -> bool | None:
    """
    Tell whether the queue grew from the middle of the sending to its end.

    So many more requests under way then than in the middle were taken in and
    not answered. By chance it varies too, by about the root of how many came.

    Args:
        sent_s, done_s: For each request, on one clock, seconds.

    Returns:
        ``None`` where half the sending is shorter than half of its answers took, so
        that the number under way grows in any case; or fewer than ten requests.
    """
    if len(sent_s) < 10:
        return None
    first_s, last_s = min(sent_s), max(sent_s)
    middle_s = (first_s + last_s) / 2
    early_s = [done - sent for sent, done in zip(sent_s, done_s, strict=True) if sent <= middle_s]
    if median(early_s) > middle_s - first_s:
        return None
    came = sum(1 for sent in sent_s if middle_s < sent <= last_s)
    growth = _under_way(sent_s, done_s, last_s) - _under_way(sent_s, done_s, middle_s)
    return growth > max(GROWTH * came, NOISE * math.sqrt(came))


def _under_way(sent_s: list[float], done_s: list[float], at_s: float) -> int:
    return sum(1 for sent, done in zip(sent_s, done_s, strict=True) if sent <= at_s < done)
