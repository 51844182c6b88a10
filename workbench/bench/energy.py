"""
What a measurement took of electricity, and what that costs. Pure.

Watts are declared, or were measured while it ran (:mod:`.power`); which ones
they are, a card's or a whole machine's at the wall, changes the answer several
times over, so the source stands beside each number. An idle card takes power
too: the fewer requests share it, the more one token costs.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from ..errors import ConfigError

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class Price:
    """Of a kilowatt-hour."""

    per_kwh: float
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """
    What a run took.

    Args:
        watts: On average while it ran.

        source: Whose watts, and who says so.

        tokens: That the server wrote; ``None``: not counted.
    """

    watts: float
    source: str
    duration_s: float
    tokens: int | None
    price: Price | None = None

    @property
    def joules(self) -> float:
        """All of it."""
        return self.watts * self.duration_s

    @property
    def joules_per_token(self) -> float | None:
        """For an output token, with the reading of its prompt."""
        return self.joules / self.tokens if self.tokens else None

    @property
    def wh_per_1000(self) -> float | None:
        """Watt-hours for 1,000 output tokens."""
        each = self.joules_per_token
        return None if each is None else each * 1000 / 3600

    @property
    def cost_per_1000(self) -> float | None:
        """The electricity's price for 1,000 output tokens."""
        each = self.joules_per_token
        if each is None or self.price is None:
            return None
        return each * 1000 / JOULES_PER_KWH * self.price.per_kwh


def read_price(text: str) -> Price:
    """
    Read ``0.30EUR``, ``0.30 EUR`` or a number alone.

    Raises:
        ConfigError: It is neither.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([^\d\s]{0,4})\s*", text)
    if not found:
        raise ConfigError(
            f"{text!r} is no price of a kilowatt-hour.",
            hint="For example: --price 0.30EUR",
            key="price",
            source=text,
        )
    return Price(float(found[1]), found[2])


def mean_watts(samples: list[tuple[float, float]], began_s: float, ended_s: float) -> float | None:
    """
    Average samples of (time, watts) from *began_s* to *ended_s*, by trapezia.

    Outside of the samples the nearest one holds. ``None`` of none.
    """
    if not samples or ended_s <= began_s:
        return None
    ordered = sorted(samples)
    inside = [(at_s, watts) for at_s, watts in ordered if began_s < at_s < ended_s]
    ends = [(at_s, _at(ordered, at_s)) for at_s in (began_s, ended_s)]
    line = [ends[0], *inside, ends[1]]
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(line))
    return area / (ended_s - began_s)


def _at(ordered: list[tuple[float, float]], at_s: float) -> float:
    before = [sample for sample in ordered if sample[0] <= at_s]
    after = [sample for sample in ordered if sample[0] >= at_s]
    if not before or not after:
        return (before or after)[-1 if before else 0][1]
    (low_s, low), (high_s, high) = before[-1], after[0]
    return low if high_s == low_s else low + (high - low) * (at_s - low_s) / (high_s - low_s)
