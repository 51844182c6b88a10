"""
The search of :mod:`.search` on a real server: a trial is a measurement at a rate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..records import Progress
from .result import Result
from .search import REPEATS, TOLERANCE, Found, Level, Trial, is_saturated, search
from .slo import PRESETS, Slo, read_slo

if TYPE_CHECKING:
    from ..session import Session

START_RPS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """
    What a search on a server found.

    Args:
        results: Of all trials, in their order.
    """

    slo: Slo
    found: Found
    results: tuple[Result, ...]


def capacity(
    session: Session,
    *,
    slo: str | None = None,
    goodput: float | None = None,
    preset: str | None = None,
    start_rps: float = START_RPS,
    repeats: int = REPEATS,
    tolerance: float = TOLERANCE,
    budget_s: float = math.inf,
    on_level: Callable[[Level], None] = lambda _level: None,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
    **load: Any,
) -> Capacity:
    """
    Find the highest request rate at which the session's server keeps to *slo*.

    Args:
        goodput: The share of requests that has to; default: the preset's, 0.99.

        preset: ``chat``, ``rag`` or ``code``; what is said besides goes before it.

        budget_s: No trial begins after so long; the first always does.

        load: As of :meth:`workbench.session.Session.bench`, without a rate.

    Raises:
        WorkbenchError: As ``Session.bench``.
    """
    kind = PRESETS[preset or "chat"]
    limits = read_slo(slo) if slo else kind.slo
    if preset:
        load = {"input_len": kind.input_tokens, "output_len": kind.output_tokens} | load
    results: list[Result] = []
    ends_s = time.monotonic() + budget_s
    seed = load.pop("seed", 0)

    def measure(rate_rps: float, _number: int) -> Trial:
        # Other prompts each time, or the prefix cache would know them.
        (result,) = session.bench(
            slo=as_text(limits),
            request_rate_rps=rate_rps,
            seed=seed + len(results),
            on_progress=on_progress,
            **load,
        )
        if result.interrupted:
            raise KeyboardInterrupt
        results.append(result)
        return trial_of(result)

    found = search(
        measure,
        start_rps=start_rps,
        goodput=kind.goodput if goodput is None else goodput,
        repeats=repeats,
        tolerance=tolerance,
        has_time=lambda: time.monotonic() < ends_s,
        on_level=on_level,
    )
    return Capacity(slo=limits, found=found, results=tuple(results))


def as_text(slo: Slo) -> str:
    """Write limits as they are typed."""
    limits = (("ttft", slo.ttft_s), ("tpot", slo.tpot_s), ("e2el", slo.e2el_s))
    return ",".join(f"{name}={limit!r}s" for name, limit in limits if limit is not None)


def trial_of(result: Result) -> Trial:
    """Take from a measurement at a rate what the search goes by."""
    metrics = result.metrics
    done = [
        (request.start_s, request.start_s + request.e2el_s)
        for request in result.requests
        if request.start_s is not None and request.e2el_s is not None
    ]
    return Trial(
        rate_rps=result.settings.request_rate_rps or 0.0,
        achieved_rps=metrics.request_throughput_rps,
        requests=metrics.sent,
        good=metrics.good or 0,
        saturated=is_saturated([sent for sent, _ in done], [end for _, end in done]),
        ttft_p50_s=metrics.ttft.median if metrics.ttft else None,
        tpot_p50_s=metrics.tpot.median if metrics.tpot else None,
    )
