"""
Small charts over time, as SVG that takes its colours from the theme. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import html

WIDTH, HEIGHT = 300.0, 64.0


def lines(
    title: str,
    value: str,
    at_s: Sequence[float],
    series: Sequence[Sequence[float | None]],
    *,
    top: Callable[[float], str],
    span_s: float,
) -> str:
    """
    Draw one or two lines that end now, from zero; the title has the latest value.

    Args:
        top: Writes the highest value, with its unit.

        span_s: How long ago the left edge is.
    """
    highest = max((it for line in series for it in line if it is not None), default=0.0)
    paths = "".join(
        f'<path{" class=wb-second" if number else ""} d="{_path(at_s, line, highest, span_s)}"/>'
        for number, line in enumerate(series)
    )
    shown = f"top {top(highest)}" if highest else ""
    return (
        f'<figure class="wb-chart"><figcaption><span>{html.text(title)}</span>'
        f"<b>{html.text(value)}</b></figcaption>"
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none" role="img"'
        f' aria-label="{html.text(title)} {html.text(value)}">{paths}</svg>'
        f'<div class="wb-axis"><span>−{span_s / 60:g} min</span><span>{html.text(shown)}</span>'
        "<span>now</span></div></figure>"
    )


def _path(
    at_s: Sequence[float], values: Sequence[float | None], highest: float, span_s: float
) -> str:
    """Write a line; where nothing is known it is interrupted."""
    parts, move = [], True
    for moment, value in zip(at_s, values, strict=True):
        if value is None:
            move = True
            continue
        x = WIDTH * (1 - (at_s[-1] - moment) / span_s)
        y = HEIGHT - 2 - (HEIGHT - 6) * (value / highest if highest else 0.0)
        parts.append(f"{'M' if move else 'L'}{x:.1f} {y:.1f}")
        move = False
    return "".join(parts)
