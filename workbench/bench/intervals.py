"""
How sure a number is: intervals for means, for shares, and for differences. Pure.

An interval says in which values the true one lies in 95 of 100 such
measurements, if they do not depend on each other. Runs of a benchmark come
near that; the requests of one run do not, since they wait for each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev, variance

CONFIDENCE = 0.95

Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
"""1.96: so many standard deviations reach to a normal distribution's 95 %."""

RESAMPLES = 2000
"""Of a bootstrap: the ends of a 95 % interval then vary by about a twentieth of its width."""

DRAWN_AT_ONCE = 1_000_000

_STEPS = 400
"""Of Simpson's rule. The quantiles below agree with tables to six figures at half as many."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A number, and in which values it lies with 95 % confidence."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> Interval:
        """Multiply by a number that is known exactly."""
        ends = sorted((self.low * factor, self.high * factor))
        return Interval(self.value * factor, *ends)

    @property
    def tells_from_zero(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


def of_mean(values: Sequence[float]) -> Interval | None:
    """Give the mean with Student's interval; ``None`` below two values."""
    if len(values) < 2:
        return None
    mean = fmean(values)
    reach = _t(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - reach, mean + reach)


def of_share(hits: int, count: int) -> Interval | None:
    """
    Give a share with Wilson's interval, which also holds near 0 and 1; ``None`` of nothing.

    Source: E. B. Wilson, Probable inference …, JASA 22 (1927), pages 209-212
    """
    if count == 0:
        return None
    share, wide = hits / count, 1 + Z * Z / count
    middle = (share + Z * Z / (2 * count)) / wide
    reach = Z * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count)) / wide
    return Interval(share, max(0.0, middle - reach), min(1.0, middle + reach))


def difference(before: Sequence[float], after: Sequence[float]) -> Interval | None:
    """
    Give the difference of two means, later less earlier.

    Two values or more on both sides: Welch's, which lets the spreads differ.
    One on one side: the spread of the other is taken for both. One on each:
    ``None``, since nothing says how much such values vary.

    Source: B. L. Welch, Biometrika 34 (1947), pages 28-35
    """
    if not before or not after or len(before) + len(after) < 3:
        return None
    value = fmean(after) - fmean(before)
    if min(len(before), len(after)) == 1:
        many = max(before, after, key=len)
        reach = _t(len(many) - 1) * stdev(many) * math.sqrt(1 + 1 / len(many))
    else:
        reach = _welch_reach(variance(before), len(before), variance(after), len(after))
    return Interval(value, value - reach, value + reach)


def _welch_reach(spread_a: float, count_a: int, spread_b: float, count_b: int) -> float:
    of_a, of_b = spread_a / count_a, spread_b / count_b
    both = of_a + of_b
    if both == 0:
        return 0.0
    degrees = both**2 / (of_a**2 / (count_a - 1) + of_b**2 / (count_b - 1))
    return _t(degrees) * math.sqrt(both)


def bootstrapped(
    before: Sequence[float],
    after: Sequence[float],
    statistic: Callable[..., object],
    *,
    seed: int = 0,
) -> Interval | None:
    """
    Give the difference of a statistic of two samples, by drawing from each with replacement.

    Args:
        statistic: numpy's, which takes ``axis``: ``numpy.mean``, ``numpy.median`` …

    Source: B. Efron, R. Tibshirani, An introduction to the bootstrap (1993), section 13.3
    """
    import numpy as np

    if min(len(before), len(after)) < 2:
        return None
    chance = np.random.default_rng(seed)

    def drawn(values: Sequence[float]) -> object:
        kept = np.asarray(values, dtype=float)
        # Not all at once: that would take 8 bytes × draws × values.
        rows = max(1, min(RESAMPLES, DRAWN_AT_ONCE // len(kept)))
        parts = [
            statistic(chance.choice(kept, (min(rows, RESAMPLES - at), len(kept))), axis=-1)
            for at in range(0, RESAMPLES, rows)
        ]
        return np.concatenate([np.asarray(part) for part in parts])

    differences = np.asarray(drawn(after)) - np.asarray(drawn(before))
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(differences, [outside, 1 - outside])
    ends = [np.asarray(statistic(np.asarray(each), axis=-1)) for each in (after, before)]
    return Interval(float(ends[0] - ends[1]), float(low), float(high))


def _t(degrees: float) -> float:
    """Find Student's quantile: so many standard errors reach to the interval's end."""
    low, high = 0.0, 1.0
    while _within(high, degrees) < CONFIDENCE:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if _within(middle, degrees) < CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _within(reach: float, degrees: float) -> float:
    """
    Integrate Student's density from -reach to reach.

    With x = √ν tan θ it is a power of the cosine, which Simpson's rule takes well.
    """
    end = math.atan(reach / math.sqrt(degrees))
    width = end / _STEPS

    def at(step: int) -> float:
        return math.pow(math.cos(step * width), degrees - 1)

    inner = sum((4 if step % 2 else 2) * at(step) for step in range(1, _STEPS))
    integral = (at(0) + inner + at(_STEPS)) * width / 3
    log_factor = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
    return 2 * math.exp(log_factor) / math.sqrt(math.pi) * integral
