"""
What all pictures share: a page-coloured background, one ink, and showing themselves.

Their colours read on a light and on a dark page: the background is left to the
page, and lines and letters are a grey that both show.
"""

from __future__ import annotations

from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
