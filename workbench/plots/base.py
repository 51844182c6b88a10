"""
What all pictures share: a page-coloured background, one ink, and showing themselves.

Their colours read on a light and on a dark page: the background is left to the
page, and lines and letters are a grey that both show.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from .. import units

INK = "#8a8a8a"
"""Contrast 3.4 on white and 5.0 on JupyterLab's dark #111111."""

PIXELS_PER_INCH = 144
"""Twice what a page has, so that letters are sharp on today's screens."""


class Picture(Figure):
    """
    A figure that a notebook shows when a cell returns it.

    Figures made with pyplot are shown by it, and kept open by it; one that is
    made without has no form but its address.
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=PIXELS_PER_INCH)
        width, height = self.get_size_inches() * self.dpi
        return buffer.getvalue(), {"width": round(width), "height": round(height)}


def picture(width: float, height: float) -> Picture:
    """Make an empty picture, inches."""
    made = Picture(figsize=(width, height), layout="constrained")
    made.patch.set_alpha(0)
    return made


def quiet(axes: Axes) -> None:
    """Leave out what carries no number, and let the rest be read on any page."""
    axes.patch.set_alpha(0)
    axes.tick_params(colors=INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(INK)


def framed(*, rows: int, height: float) -> tuple[Picture, tuple[Axes, ...]]:
    """Make a picture of *rows* panels with a light grid, one below the other."""
    made = picture(9, height)
    panels = tuple(made.subplots(rows, squeeze=False)[:, 0])
    for axes in panels:
        quiet(axes)
        axes.tick_params(which="both", length=0)
        axes.grid(axis="both", color=INK, alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
    return made, panels


def nothing(finding: str) -> Picture:
    """Say that there is nothing to draw, without axes that measure nothing."""
    made, (axes,) = framed(rows=1, height=0.6)
    axes.set_axis_off()
    axes.set_title(finding, color=INK, loc="left")
    return made


def time_axis(axis: Any) -> None:
    """
    Write durations as the tables do, 1, 2 and 5 of each decade: 50.0 ms, 1.00 s.

    Within one decade more of them, or the few there were would look evenly spaced.
    """
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 10 * low else (1, 1.5, 2, 3, 5, 7)))
    axis.set_major_formatter(lambda value, _: units.seconds(value) if value > 0 else "")
    axis.set_minor_formatter(NullFormatter())


def legend(figure: Figure, axes: Axes) -> None:
    """Put a legend below, if there is something to say."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=4, frameon=False, labelcolor=INK
        )
