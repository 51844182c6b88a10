"""
``workbench tune``: what it needs of a session, and the way back.

It is a switch that always goes back: it holds the switch's journal, so that requests of this
folder's clients wait, and so that the next ``workbench up`` brings back what ran if this one is
killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..records import Progress
from ..servers.base import Recipe
from ..switch.drain import drain
from ..switch.journal import Journal, Stage, Underway, now
from ..switch.use import DRAIN_TIMEOUT_S, served_name, settle
from .candidates import Skipped
from .keep import how_to_keep
from .kept import Kept, Setup
from .lab import Lab
from .search import Found, Search
from .trial import Trial, goal_named
from .wish import (
    UNKNOWN_START_S,
    Wish,
    candidates_of,
    ready,
    refuse,
    setup_of,
    start_s_of,
    starts_s_of,
)

if TYPE_CHECKING:
    from ..session import Session

LABEL = "other flags (workbench tune)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """
    What a tune came to.

    Args:
        keep: How to keep what is recommended, in lines; none if nothing is.

        interrupted: Somebody ended it; the flags from before run again.

        folder: Where its runs are.
    """

    setup: Setup
    found: Found
    skipped: tuple[Skipped, ...]
    keep: tuple[str, ...]
    interrupted: bool
    took_s: float
    budget_s: float
    folder: Path


def tune(
    session: Session,
    wish: Wish,
    *,
    on_progress: Callable[[Progress], None],
    on_trial: Callable[[Trial], None] = lambda _trial: None,
) -> Tuned:
    """
    Try flags on the session's server, and leave it as it was.

    Raises:
        ServerStateError: Nothing runs, it is somebody else's, or a switch is under way.

        ServerError: The flags from before did not start again; the next ``workbench up`` tries it.

        ConfigError: A wish that cannot be met.
    """
    refuse(session)
    settle(session, on_progress)
    began_s = time.monotonic()
    journal = Journal(session.settings.state_dir)
    with journal.held():
        before, status = ready(session)
        setup, folder, earlier = setup_of(session, wish, before, status)
        tried, skipped = candidates_of(session, wish, setup, status)
        lab = Lab(
            session,
            setup,
            Kept(folder),
            before,
            budget_s=wish.budget_s,
            earlier_s=starts_s_of(session),
            shift=setup.repeats * (1 + sum(1 for each in earlier if each.is_baseline)),
            on_progress=on_progress,
        )
        search = Search(
            lab, goal_named(setup.goal, has_slo=setup.slo is not None), tried,
            earlier=earlier, start_s=start_s_of(session) or UNKNOWN_START_S,
            on_trial=_keeping(Kept(folder), setup, skipped, on_trial),
        )  # fmt: skip
        with _way_back(session, journal, before, lab):
            drain(session.server, within_s=DRAIN_TIMEOUT_S, on_progress=on_progress)
            interrupted = _searched(search, lab)
    found = search.found()
    return Tuned(
        setup=setup,
        found=found,
        skipped=skipped,
        keep=how_to_keep(found.choice, before, setup.model, session.settings)
        if found.choice
        else (),
        interrupted=interrupted,
        took_s=time.monotonic() - began_s,
        budget_s=wish.budget_s,
        folder=folder,
    )


def _searched(search: Search, lab: Lab) -> bool:
    """Try everything, go back, and measure what is there again; say whether it was cut short."""
    try:
        search.run()
    except KeyboardInterrupt:
        search.why = "it was interrupted"
        lab.back()
        return True
    lab.back()
    try:
        if any(each.candidate and not each.resumed for each in search.trials):
            search.after()
    except KeyboardInterrupt:
        search.why = "it was interrupted"
        return True
    return False


@contextmanager
def _way_back(session: Session, journal: Journal, before: Recipe, lab: Lab) -> Iterator[None]:
    """Say in the journal what is done, and leave the server as it was, whatever happens."""
    mine = session.is_mine
    journal.begin(
        Underway(
            model=LABEL,
            arguments={"backend": session.settings.backend},
            before=before,
            name=served_name(session),
            stage=Stage.DRAIN,
            at=now(),
        )
    )
    try:
        try:
            yield
        finally:
            lab.back()
    except BaseException:
        if not lab.touched:
            journal.end()
        raise
    else:
        journal.end()
    finally:
        session.claim(mine=mine)


def _keeping(
    folder: Kept,
    setup: Setup,
    skipped: Sequence[Skipped],
    on_trial: Callable[[Trial], None],
) -> Callable[[Search], None]:
    def kept_now(search: Search) -> None:
        left = [each.name for each in search.left_out]
        told = {each.name: each.why for each in skipped}
        folder.keep(setup, search.trials, not_tried=told, left_out=left)
        on_trial(search.trials[-1])

    return kept_now
