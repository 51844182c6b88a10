"""
Where a card's memory goes, by a plan.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..vram import Plan
from .base import INK, picture, quiet

GIB = 2**30

# Okabe and Ito's palette, which people with any colour vision tell apart.
# https://jfly.uni-koeln.de/color/
COLOURS = {
    "weights": "#0072b2",
    "overhead": "#e69f00",
    "KV cache": "#009e73",
    "free": "#8a8a8a40",
}

NARROWEST_LABEL = 0.06
"""A part of less than this share of the widest bar has its number left out."""


def memory(plans: Sequence[Plan]) -> Figure:
    """
    Draw where a card's memory goes: a bar for each plan, its parts in GiB.

    The grey line is the budget, which is gpu_memory_utilization of the card.
    """
    figure = picture(9, 1.6 + 0.7 * len(plans))
    axes = figure.subplots()
    for row, plan in enumerate(plans):
        _bar(axes, row, plan, widest=max(each.total_bytes for each in plans) / GIB)
    axes.set_yticks(range(len(plans)), [_label(plan) for plan in plans])
    axes.invert_yaxis()
    axes.set_xlabel("GiB of the card", color=INK)
    axes.set_title(_finding(plans), color=INK, loc="left")
    quiet(axes)
    _legend(figure)
    return figure


def _parts(plan: Plan) -> dict[str, float]:
    sizes = (plan.weights_bytes, plan.overhead_bytes, plan.kv_cache_bytes, plan.left_bytes)
    return {part: size / GIB for part, size in zip(COLOURS, sizes, strict=True)}


def _bar(axes: Axes, row: int, plan: Plan, *, widest: float) -> None:
    begin = 0.0
    for part, size in _parts(plan).items():
        axes.barh(row, size, left=begin, height=0.6, color=COLOURS[part], edgecolor="none")
        if size > NARROWEST_LABEL * widest:
            ink = "white" if part != "free" else INK
            axes.text(begin + size / 2, row, f"{size:.1f}", color=ink, ha="center", va="center")
        begin += size
    budget = plan.budget_bytes / GIB
    axes.plot([budget, budget], [row - 0.38, row + 0.38], color=INK, linewidth=2)


def _label(plan: Plan) -> str:
    return f"{plan.model.rsplit('/', 1)[-1]}\n{plan.gpu}"


def _finding(plans: Sequence[Plan]) -> str:
    """Say in a line what the picture shows."""
    if len(plans) == 1:
        plan = plans[0]
        name = plan.model.rsplit("/", 1)[-1]
        if not plan.max_model_len:
            return f"{name} does not fit: nothing is left for the KV cache"
        return f"{name}: {plan.kv_cache_tokens:,} tokens of KV cache on {plan.gpu}"
    best = max(plans, key=lambda plan: plan.kv_cache_tokens)
    fitting = sum(plan.fits for plan in plans)
    name = best.model.rsplit("/", 1)[-1]
    return (
        f"{fitting} of {len(plans)} fit; {name} leaves the most KV cache: "
        f"{best.kv_cache_tokens:,} tokens"
    )


def _legend(figure: Figure) -> None:
    shown = [Patch(color=colour, label=part) for part, colour in COLOURS.items()]
    budget = Line2D([], [], color=INK, linewidth=2, label="budget")
    figure.legend(
        handles=[*shown, budget],
        loc="outside lower center",
        ncols=5,
        frameon=False,
        labelcolor=INK,
    )
