"""
How a comparison looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from .. import units
from ..display import View
from .base import wrapped

if TYPE_CHECKING:
    from ..bench.compare import Change, Comparison
    from ..bench.match import Differs


def compare_view(found: Comparison) -> View:
    """Show what changed; what refuses a comparison comes first."""
    refuses = bool(found.refused) and not found.changes
    columns = ("metric", "A", "B", "change", "95 % interval", "tested by", "finding")
    return View(
        title=_title(found, refuses=refuses),
        columns=columns if found.changes else (),
        numeric=frozenset(columns[1:5]),
        rows=tuple(map(_row, found.changes)),
        note="\n".join(_notes(found, refuses=refuses)) or None,
        data=asdict(found) | {"regressions": [each.metric for each in found.regressions]},
        ok=not refuses and not found.regressions,
        unsure=found.is_unsure,
    )


def _title(found: Comparison, *, refuses: bool) -> str:
    if refuses:
        return "A and B cannot be compared: they were not asked the same, or not on the same."
    if found.regressions:
        names = ", ".join(each.metric for each in found.regressions)
        return f"REGRESSION beyond {found.threshold:.0%}: {names}"
    if found.is_unsure:
        return f"Something may be worse by more than {found.threshold:.0%}: more runs would tell."
    return f"No regression beyond {found.threshold:.0%}."


def _row(change: Change) -> tuple[str, ...]:
    interval = change.change
    known = interval is not None and interval.low != interval.high
    return (
        change.metric,
        _value(change.before, change.unit),
        _value(change.after, change.unit),
        f"{interval.value:+.1%}" if interval else units.UNKNOWN,
        f"{interval.low:+.1%} to {interval.high:+.1%}" if interval and known else units.UNKNOWN,
        change.test,
        change.finding,
    )


def _value(value: float | None, unit: str) -> str:
    if unit == "s":
        return units.seconds(value)
    if unit == "share":
        return units.UNKNOWN if value is None else f"{value:.1%}"
    return units.rate(value, unit)


def _notes(found: Comparison, *, refuses: bool) -> Iterator[str]:
    for differs in found.refused:
        yield _difference(differs, "DIFFERS")
    if refuses:
        yield "To look all the same: --anyway"
        return
    yield from found.warnings
    for differs in found.told:
        yield _difference(differs, "differs")
    yield (
        f"A: {units.count(found.runs[0], 'run')}, B: {units.count(found.runs[1], 'run')}. A "
        "regression is worse by more than the threshold, with an interval that leaves out zero."
    )


def _difference(differs: Differs, how: str) -> str:
    line = f"{differs.name} {how}: {' | '.join(differs.values)}"
    return line if len(line) <= 100 else wrapped(line)
