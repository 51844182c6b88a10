"""
A picture of what flags were worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from .base import INK, legend, nothing, picture, quiet

if TYPE_CHECKING:
    from ..tune.trial import Judged
    from ..tune.tune import Tuned

CHOSEN, OTHER, NOISE = "#009e73", "#0072b2", "#e69f00"

ROW_INCHES, FRAME_INCHES = 0.32, 1.2


def gains(tuned: Tuned) -> Figure:
    """Draw each gain with its interval, beside the noise of two starts of the same flags."""
    rows = [each for each in tuned.found.judged if each.gain is not None and not each.trial.failure]
    if not rows:
        return nothing("No candidate was measured")
    figure = picture(9, FRAME_INCHES + ROW_INCHES * len(rows))
    axes = figure.subplots()
    quiet(axes)
    for at, each in enumerate(reversed(rows)):
        assert each.gain is not None
        best = tuned.found.evidence is not None and each.trial == tuned.found.evidence.trial
        reach = [[each.gain.value - each.gain.low], [each.gain.high - each.gain.value]]
        colour = CHOSEN if best else OTHER
        axes.errorbar(each.gain.value, at, xerr=reach, fmt="o", color=colour, capsize=3)
    axes.axvline(0, color=INK, linewidth=1)
    if noise := tuned.found.noise:
        label = f"two starts of the same flags: ±{noise:.1%}"
        axes.axvspan(-noise, noise, color=NOISE, alpha=0.25, linewidth=0, label=label)
        legend(figure, axes)
    axes.set_yticks(range(len(rows)), [_name(each) for each in reversed(rows)])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel(f"gain in {tuned.setup.goal}, with its 95 % interval", color=INK)
    figure.suptitle(_finding(tuned), color=INK, x=0.01, ha="left")
    return figure


def _name(each: Judged) -> str:
    name = each.trial.candidate.name if each.trial.candidate else each.trial.role.value
    return f"{name}, once more" if each.trial.role == "once more" else name


def _finding(tuned: Tuned) -> str:
    found = tuned.found
    if found.choice is None or found.evidence is None or found.evidence.gain is None:
        return "Nothing tried is better beyond noise"
    return f"{found.choice.name}: {found.evidence.gain.value:+.1%} {tuned.setup.goal}"
