"""
``workbench tune``: what it needs of a session, and the way back.

It is a switch that always goes back: it holds the switch's journal, so that requests of this
folder's clients wait, and so that the next ``workbench up`` brings back what ran if this one is
killed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bench.capacity import as_text
from ..bench.series import INPUT_LEN
from ..bench.slo import PRESETS, read_slo
from ..errors import ConfigError, ServerStateError
from ..records import Progress, ServerState, ServerStatus
from ..servers.base import Recipe
from ..switch.drain import drain
from ..switch.journal import Journal, Stage, Underway, now
from ..switch.use import DRAIN_TIMEOUT_S, served_name, settle
from . import kept
from .candidates import FACTORS, Candidate, Load, Skipped, candidates
from .facts import facts_of, profile_of, words_of
from .keep import how_to_keep
from .kept import Kept, Setup, hash_of
from .lab import Lab
from .search import Found, Search
from .trial import Trial, goal_named

if TYPE_CHECKING:
    from ..session import Session

BUDGET_S = 20 * 60.0
CONCURRENCY = 8
REPEATS = 3
ROUNDS = 4
"""So many requests follow one another on each connection, unless their number is said."""

FEWEST = 20

UNKNOWN_START_S = 60.0
"""A guess of a start, where none of this server was seen."""

LABEL = "other flags (workbench tune)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """
    What somebody wants tuned.

    Args:
        goal: A name of ``trial.GOALS``; ``None``: goodput with limits, else throughput.

        preset: ``chat``, ``rag`` or ``code``: lengths and limits; what is said goes before it.

        tries: Flags to try besides, each text a candidate.

        only: Which factors of ``candidates.FACTORS``; ``None``: all.

        load: What else ``Session.bench`` takes: lengths, prompts, a shared prefix …

        resume: The folder of a tune that was cut off.
    """

    goal: str | None = None
    budget_s: float = BUDGET_S
    concurrency: int = CONCURRENCY
    num_prompts: int | None = None
    repeats: int = REPEATS
    slo: str | None = None
    preset: str | None = None
    tries: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    seed: int | None = None
    resume: Path | None = None
    load: dict[str, Any] = field(default_factory=dict)


def wish_of(**said: Any) -> Wish:
    """Make a wish of what is said: what is no field of it is the load's."""
    own = {name: said.pop(name) for name in list(said) if name in Wish.__dataclass_fields__}
    return Wish(**own, load=said)


@dataclass(frozen=True, slots=True, kw_only=True)
class TunePlan:
    """
    What a tune would try.

    Args:
        start_s: How long a start took before; ``None``: none was seen.

        run_s: How long a run would take; ``None``: it was not tried.

        fits: How many of the candidates fit into the budget; ``None``: unknown.
    """

    setup: Setup
    candidates: tuple[Candidate, ...]
    skipped: tuple[Skipped, ...]
    budget_s: float
    start_s: float | None
    run_s: float | None
    fits: int | None


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
    _refuse(session)
    settle(session, on_progress)
    began_s = time.monotonic()
    journal = Journal(session.settings.state_dir)
    with journal.held():
        before, status = _ready(session)
        setup, folder, earlier = _setup(session, wish, before, status)
        tried, skipped = _candidates(session, wish, setup, status)
        lab = Lab(
            session,
            setup,
            Kept(folder),
            before,
            budget_s=wish.budget_s,
            earlier_s=_starts_s(session),
            shift=setup.repeats * (1 + sum(1 for each in earlier if each.is_baseline)),
            on_progress=on_progress,
        )
        search = Search(
            lab, goal_named(setup.goal, has_slo=setup.slo is not None), tried,
            earlier=earlier, start_s=_start_s(session) or UNKNOWN_START_S,
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


def plan_tune(session: Session, wish: Wish) -> TunePlan:
    """
    Say what :func:`tune` would try, and how long it would take; nothing is restarted.

    One round of requests is sent to the server, from which a run's time is worked out.

    Raises:
        WorkbenchError: As :func:`tune`.
    """
    _refuse(session)
    before, status = _ready(session)
    setup, _, _ = _setup(session, wish, before, status)
    tried, skipped = _candidates(session, wish, setup, status)
    began_s = time.monotonic()
    session.bench(
        concurrency=setup.concurrency, num_prompts=setup.concurrency,
        seed=setup.seed - 1, **{**setup.load, "warmup": 0},
    )  # fmt: skip
    run_s = (time.monotonic() - began_s) * (1 + setup.num_prompts / setup.concurrency)
    start_s = _start_s(session)
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


def _refuse(session: Session) -> None:
    if session.settings.backend == "remote":
        raise ServerStateError(
            f"The server at {session.server.base_url} is run by somebody else, and cannot be "
            "started anew from here with other flags.",
            hint="Measure it as it is: workbench bench. Or tune one of your own: workbench up "
            "--backend embedded (or compose), then workbench tune",
            server="remote",
            state=ServerState.READY,
        )


def _ready(session: Session) -> tuple[Recipe, ServerStatus]:
    status, recipe = session.server.status(), session.server.recipe()
    if status.state is not ServerState.READY or recipe is None:
        raise ServerStateError(
            f"There is no server to tune: it is {status.state}.",
            hint="Start it as you would use it: workbench up",
            server=session.server.backend,
            state=status.state,
        )
    return recipe, status


def _setup(
    session: Session, wish: Wish, before: Recipe, status: ServerStatus
) -> tuple[Setup, Path, tuple[Trial, ...]]:
    """Say what is measured, where it is kept, and what of it is there already."""
    preset = PRESETS[wish.preset] if wish.preset else None
    slo = read_slo(wish.slo) if wish.slo else preset.slo if preset else None
    load = dict(wish.load)
    if preset:
        lengths = {"input_len": preset.input_tokens, "output_len": preset.output_tokens}
        load = lengths | load
    model = status.models[0].name
    setup = Setup(
        model=model,
        version=status.version,
        recipe=hash_of(before),
        goal=goal_named(wish.goal, has_slo=slo is not None).name,
        slo=as_text(slo) if slo else None,
        concurrency=wish.concurrency,
        num_prompts=wish.num_prompts or max(FEWEST, ROUNDS * wish.concurrency),
        repeats=wish.repeats,
        # What ran already may know the prompts that were asked of it before.
        seed=time.time_ns() // 1_000_000_000 % 1_000_000_000 if wish.seed is None else wish.seed,
        load=load,
    )
    results = session.settings.home / "results" / "tune"
    if wish.resume is None:
        return setup, kept.folder_for(results, model), ()
    return _resumed(setup, wish.resume)


def _resumed(setup: Setup, folder: Path) -> tuple[Setup, Path, tuple[Trial, ...]]:
    """
    Go on with a tune that was cut off, if it is of the same.

    Raises:
        ConfigError: It is of something else.
    """
    told, earlier = Kept(folder).read()
    mine = setup.as_json() | {"seed": told.get("seed")}
    differing = [name for name, value in mine.items() if told.get(name) != value]
    if differing:
        what = "; ".join(f"{each}: {told.get(each)}, and now {mine[each]}" for each in differing)
        raise ConfigError(
            f"The tune in {folder} measured something else: {what}.",
            hint="Go on with the same options and the same server, or begin anew without --resume.",
            key="resume",
        )
    fields = {name: getattr(setup, name) for name in Setup.__dataclass_fields__}
    return Setup(**fields | {"seed": told["seed"]}), folder, earlier


def _candidates(
    session: Session, wish: Wish, setup: Setup, status: ServerStatus
) -> tuple[tuple[Candidate, ...], tuple[Skipped, ...]]:
    if unknown := [name for name in wish.only or () if name not in FACTORS]:
        raise ConfigError(
            f"There is nothing called {', '.join(unknown)} to try.",
            hint=f"What there is: {', '.join(FACTORS)}; other flags: --try '--flag value'",
            key="only",
        )
    words = words_of(session.server)
    own = setup.load.get("prompts") is not None
    shared = setup.load.get("shared_prefix", 0) > 0 or setup.load.get("turns", 1) > 1
    load = Load(
        concurrency=setup.concurrency,
        input_len=None if own else setup.load.get("input_len", INPUT_LEN),
        shares_prefix=own or shared,
    )
    return candidates(
        facts_of(session.server, status, words),
        load,
        profile_of(session, setup.model),
        own=wish.tries,
        only=wish.only,
    )


def _starts_s(session: Session) -> list[float]:
    """List how long starts of this server took."""
    boots = session.history().earlier()
    return [boot[-1].ended_s for boot in boots if boot and boot[-1].ended_s]


def _start_s(session: Session) -> float | None:
    found = _starts_s(session)
    return statistics.median(found) if found else None
