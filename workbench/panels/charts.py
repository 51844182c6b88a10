"""
Small charts over time, as SVG that takes its colours from the theme. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from . import html

WIDTH, HEIGHT = 300.0, 64.0

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and what it is called beside its latest value; alone it needs no name."""

    label: str
    values: Sequence[float | None]


def lines(
    title: str,
    at_s: Sequence[float],
    drawn: Sequence[Line],
    *,
    write: Callable[[float | None], str],
    span_s: float,
) -> str:
    """
    Draw one or two lines that end now, from zero; the title has the latest values.

    Args:
        write: Writes a value, with its unit.

        span_s: How long ago the left edge is.
    """
    highest = max((it for line in drawn for it in line.values if it is not None), default=0.0)
    runs = [_runs(at_s, line.values, highest, span_s) for line in drawn]
    area = "".join(f'<path class="wb-area" d="{_closed(run)}"/>' for run in runs[0])
    paths = "".join(
        f'<path{" class=wb-second" if number else ""} d="{"".join(map(_path, each))}"/>'
        for number, each in enumerate(runs)
    )
    told = ", ".join(f"{line.label} {write(line.values[-1])}".strip() for line in drawn)
    values = "".join(_value(number, line, write) for number, line in enumerate(drawn))
    shown = f"top {write(highest)}" if highest else ""
    return (
        f'<figure class="wb-chart"><figcaption><span>{html.text(title)}</span>'
        f"<span>{values}</span></figcaption>"
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none" role="img"'
        f' aria-label="{html.text(title)} {html.text(told)}">{area}{paths}</svg>'
        f'<div class="wb-axis"><span>−{span_s / 60:g} min</span><span>{html.text(shown)}</span>'
        "<span>now</span></div></figure>"
    )


def _value(number: int, line: Line, write: Callable[[float | None], str]) -> str:
    """Write a line's name, as it is drawn, and its latest value."""
    look = "wb-key wb-second" if number else "wb-key"
    key = f'<i class="{look}"></i>{html.text(line.label)} ' if line.label else ""
    return f'<span class="wb-value">{key}<b>{html.text(write(line.values[-1]))}</b></span>'


def _runs(
    at_s: Sequence[float], values: Sequence[float | None], highest: float, span_s: float
) -> list[list[Point]]:
    """Place the points; where nothing is known the line is interrupted."""

    def placed(moment: float, value: float) -> Point:
        x = WIDTH * (1 - (at_s[-1] - moment) / span_s)
        return x, HEIGHT - 2 - (HEIGHT - 6) * (value / highest if highest else 0.0)

    known = groupby(zip(at_s, values, strict=True), key=lambda it: it[1] is not None)
    return [
        [placed(moment, value) for moment, value in run if value is not None]
        for is_known, run in known
        if is_known
    ]


def _path(run: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run)


def _closed(run: Sequence[Point]) -> str:
    """Go along a run and back on the ground, for what is below the line."""
    return f"{_path(run)}L{run[-1][0]:.1f} {HEIGHT:g}L{run[0][0]:.1f} {HEIGHT:g}Z"
