"""
What a tune would try, without trying it: ``workbench tune --dry-run``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .candidates import Candidate, Skipped
from .kept import Setup
from .lab import check_answered
from .wish import (
    UNKNOWN_START_S,
    Wish,
    candidates_of,
    ready,
    refuse,
    setup_of,
    start_s_of,
)

if TYPE_CHECKING:
    from ..session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class TunePlan:
    """
    What a tune would try.

    Args:
        start_s: How long a start took before; ``None``: none was seen.

        run_s: How long a run would take.

        fits: How many of the candidates fit into the budget.
    """

    setup: Setup
    candidates: tuple[Candidate, ...]
    skipped: tuple[Skipped, ...]
    budget_s: float
    start_s: float | None
    run_s: float
    fits: int


def plan_tune(session: Session, wish: Wish) -> TunePlan:
    """
    Say what :func:`.tune.tune` would try, and how long it would take; nothing is restarted.

    One round of requests is sent to the server, from which a run's time is worked out.

    Raises:
        WorkbenchError: As :func:`.tune.tune`.
    """
    refuse(session)
    before, status = ready(session)
    setup, _, _ = setup_of(session, wish, before, status)
    tried, skipped = candidates_of(session, wish, setup, status)
    began_s = time.monotonic()
    (round_of_it,) = session.bench(
        concurrency=setup.concurrency, num_prompts=setup.concurrency,
        seed=setup.seed - 1, **{**setup.load, "warmup": 0},
    )  # fmt: skip
    check_answered(round_of_it)
    run_s = (time.monotonic() - began_s) * (1 + setup.num_prompts / setup.concurrency)
    start_s = start_s_of(session)
    trial_s = (start_s or UNKNOWN_START_S) + setup.repeats * run_s
    # As Search counts: the first is there, the chosen one's second start and the way back follow.
    fits = int((wish.budget_s - setup.repeats * run_s) // trial_s) - 2
    return TunePlan(
        setup=setup,
        candidates=tried,
        skipped=skipped,
        budget_s=wish.budget_s,
        start_s=start_s,
        run_s=run_s,
        fits=max(0, min(fits, len(tried))),
    )
