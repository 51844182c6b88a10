"""
How a switch looks: what was done, and what would be done.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from .. import units
from ..display import View
from ..errors import SwitchError
from ..records import (
    Quicker,
    SwitchPlan,
    SwitchReport,
)

if TYPE_CHECKING:
    pass

from .base import wrapped


def switch_view(report: SwitchReport, error: SwitchError | None = None) -> View:
    """Show the steps of a switch, and what serves now."""
    before = report.before or "nothing"
    took = units.seconds(report.duration_s)
    title = f"{before} → {report.model}: {'switched' if report.switched else 'failed'}, {took}"
    if not report.steps:
        title = f"{report.model} runs already."
    if report.unavailable_s is not None:
        title += f", of which nothing served for {units.seconds(report.unavailable_s)}"
    return View(
        title=title,
        columns=("step", "verdict", "time", "seen") if report.steps else (),
        numeric=frozenset({"time"}),
        rows=tuple(
            (step.name, step.verdict.upper(), units.seconds(step.duration_s), step.seen)
            for step in report.steps
        ),
        note=str(error) if error else "\n".join(map(_quicker_line, report.quicker)) or None,
        data=asdict(report) | {"error": error.message if error else None},
        ok=report.switched,
    )


def switch_plan_view(plan: SwitchPlan) -> View:
    """Show what a switch would do, the command last: it is the longest."""
    would_run = [wrapped(f"would run: {plan.command}")] if plan.command else []
    return View(
        title=f"{plan.before or 'nothing'} → {plan.model}: what would be done",
        rows=plan.steps,
        note="\n".join([*map(_quicker_line, plan.quicker), *would_run]),
        data=asdict(plan) | {"steps": [{"name": name, "what": what} for name, what in plan.steps]},
    )


def _quicker_line(way: Quicker) -> str:
    return f"{way.name}: {'' if way.offered else 'needs '}{way.says}"
