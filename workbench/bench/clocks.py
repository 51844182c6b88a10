"""
How far another machine's clock is from this one's, and how far that is from the truth. Pure.

It is asked for its time: its answer was given somewhere between the asking and the hearing. In
the middle, with an error of half the round trip, whichever way took longer. The shortest of
several round trips has the smallest error.

Source: F. Cristian, Probabilistic clock synchronization, Distributed Computing 3 (1989)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """
    The other clock minus this one.

    Args:
        error_s: The truth is no further from it than this.
    """

    offset_s: float
    error_s: float


def measured(
    ask: Callable[[], float], *, rounds: int = ROUNDS, now: Callable[[], float] = time.monotonic
) -> Offset:
    """
    Measure it by so many round trips.

    Args:
        ask: Returns the other clock's time.
    """
    return min((_once(ask, now) for _ in range(rounds)), key=lambda each: each.error_s)


def _once(ask: Callable[[], float], now: Callable[[], float]) -> Offset:
    asked_s = now()
    told_s = ask()
    heard_s = now()
    return Offset(offset_s=told_s - (asked_s + heard_s) / 2, error_s=(heard_s - asked_s) / 2)


def between(before: Offset, after: Offset) -> Offset:
    """
    Take one for all that was between the two.

    Clocks drift: the middle is wrong by half of what they drifted, and the measuring.
    """
    middle_s = (before.offset_s + after.offset_s) / 2
    reach_s = max(abs(each.offset_s - middle_s) + each.error_s for each in (before, after))
    return Offset(offset_s=middle_s, error_s=reach_s)
