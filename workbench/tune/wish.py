"""
What somebody wants tuned, and what is measured and tried for it.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bench.capacity import as_text
from ..bench.series import INPUT_LEN
from ..bench.slo import PRESETS, read_slo
from ..errors import ConfigError, ServerStateError
from ..records import ServerState, ServerStatus
from ..servers.base import Recipe
from . import kept
from .candidates import FACTORS, Candidate, Load, Skipped, candidates
from .facts import facts_of, profile_of, words_of
from .kept import Kept, Setup, hash_of
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


def refuse(session: Session) -> None:
    """
    A server that somebody else runs is not started anew from here.

    Raises:
        ServerStateError: It is such a one.
    """
    if session.settings.backend == "remote":
        raise ServerStateError(
            f"The server at {session.server.base_url} is run by somebody else, and cannot be "
            "started anew from here with other flags.",
            hint="Measure it as it is: workbench bench. Or tune one of your own: workbench up "
            "--backend embedded (or compose), then workbench tune",
            server="remote",
            state=ServerState.READY,
        )


def ready(session: Session) -> tuple[Recipe, ServerStatus]:
    """
    Say how the server runs.

    Raises:
        ServerStateError: It does not.
    """
    status, recipe = session.server.status(), session.server.recipe()
    if status.state is not ServerState.READY or recipe is None:
        raise ServerStateError(
            f"There is no server to tune: it is {status.state}.",
            hint="Start it as you would use it: workbench up",
            server=session.server.backend,
            state=status.state,
        )
    return recipe, status


def setup_of(
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


def candidates_of(
    session: Session, wish: Wish, setup: Setup, status: ServerStatus
) -> tuple[tuple[Candidate, ...], tuple[Skipped, ...]]:
    """
    List what to try on the server as it runs, and what is left out.

    Raises:
        ConfigError: There is nothing of a name in ``only``.
    """
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


def starts_s_of(session: Session) -> list[float]:
    """List how long starts of this server took."""
    boots = session.history().earlier()
    return [boot[-1].ended_s for boot in boots if boot and boot[-1].ended_s]


def start_s_of(session: Session) -> float | None:
    """Say how long a start of this server usually takes; ``None``: none was seen."""
    found = starts_s_of(session)
    return statistics.median(found) if found else None
