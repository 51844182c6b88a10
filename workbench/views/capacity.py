"""
How a search for the highest rate looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from statistics import fmean
from typing import TYPE_CHECKING

from .. import units
from ..display import View

if TYPE_CHECKING:
    from ..bench.capacity import Capacity
    from ..bench.search import Level

COLUMNS = ("offered", "answered", "good", "95 % interval", "TTFT p50", "TPOT p50", "trials", "")


def capacity_view(found: Capacity) -> View:
    """Show each rate that was tried, by its height, and the answer above."""
    levels = sorted(found.found.levels, key=lambda level: level.rate_rps)
    return View(
        title=_title(found),
        columns=COLUMNS if levels else (),
        numeric=frozenset(COLUMNS[:-1]),
        rows=tuple(map(_row, levels)),
        note="\n".join(_notes(found)),
        data=asdict(found.found) | {"slo": asdict(found.slo)},
        ok=found.found.rate_rps is not None,
    )


def level_line(level: Level) -> str:
    """Say of a rate what came of it, in a line, as soon as it is known."""
    share = f"{level.share.value:.1%} good"
    sure = "" if level.sure else ", unsure"
    return f"{level.rate_rps:g} req/s: {share} of {_requests(level)}, {level.verdict}{sure}"


def _title(found: Capacity) -> str:
    wanted = f"{found.found.goodput:.0%} of requests with {found.slo}"
    rate = found.found.rate_rps
    if rate is None:
        return f"No rate was found at which {wanted}."
    low, high = found.found.interval
    surely = f"surely met at {_rate(low)}, surely missed at {_rate(high)}"
    return f"{units.rate(rate, 'req/s')} is the highest rate with {wanted} ({surely})."


def _rate(value: float | None) -> str:
    return units.UNKNOWN if value is None else f"{value:g}"


def _row(level: Level) -> tuple[str, ...]:
    return (
        units.rate(level.rate_rps, "req/s"),
        units.rate(fmean(trial.achieved_rps for trial in level.trials), "req/s"),
        f"{level.share.value:.1%}",
        f"{level.share.low:.1%} to {level.share.high:.1%}",
        units.seconds(level.trials[-1].ttft_p50_s),
        units.seconds(level.trials[-1].tpot_p50_s),
        str(len(level.trials)),
        level.verdict if level.sure else f"{level.verdict}, unsure",
    )


def _requests(level: Level) -> int:
    return sum(trial.requests for trial in level.trials)


def _notes(found: Capacity) -> Iterator[str]:
    from ..bench.search import requests_to_be_sure

    yield f"Ended because {found.found.why}."
    if any(not level.sure for level in found.found.levels):
        needed = requests_to_be_sure(found.found.goodput)
        yield (
            f"unsure: so few requests do not tell. {needed} good ones of {needed} would show "
            f"{found.found.goodput:.0%}: a larger --num-prompts."
        )
    if any(level.verdict == "saturated" for level in found.found.levels):
        yield "saturated: the queue grew as long as requests came; latencies there are its length."
    if any(level.verdict == "too short" for level in found.found.levels):
        yield (
            "too short: half of its requests came in less time than an answer took, so nobody "
            "knows whether the server keeps up. It counts as not met: a larger --num-prompts."
        )
