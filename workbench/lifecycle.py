"""
The life of a session's server: up, restart, down, and how it is now.

Each of them first minds a switch that was killed half-way: it is finished, dropped or told of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from . import chosen
from .boot import BootOutcome, boot
from .records import Progress, ServerStatus
from .serving import remote_model
from .switch import Journal

if TYPE_CHECKING:
    from .session import Session
    from .settings import Settings

# What finishes a switch and what plans are imported where they are needed: `status`
# and `down` have 0.3 s for everything.


def up(session: Session, on_progress: Callable[[Progress], None]) -> ServerStatus:
    """Install what is missing, start it, wait for a token; see ``Session.up``."""
    _settle(session, on_progress)
    session.server.prepare(on_progress)
    return _boot(session, on_progress)


def restart(session: Session, on_progress: Callable[[Progress], None]) -> ServerStatus:
    """Stop it and start it again; see ``Session.restart``."""
    _settle(session, on_progress)
    session.server.prepare(on_progress)
    down(session)
    return _boot(session, on_progress)


def down(session: Session) -> bool:
    """Stop it and every process of it; say whether there was anything to stop."""
    _forget_switch(session)
    session.close_client()
    stopped = session.server.stop()
    chosen.forget_backend(session.settings)
    session.claim(mine=False)
    return stopped


def status(session: Session) -> ServerStatus:
    """Look at it now, and at a switch that goes on or was cut off."""
    seen = session.server.status()
    if not _switch_is_left(session.settings):
        return seen
    from .switch.use import what_is_under_way

    return replace(seen, detail=what_is_under_way(session.settings.state_dir) or seen.detail)


def _boot(session: Session, on_progress: Callable[[Progress], None]) -> ServerStatus:
    history = session.history()
    chosen.remember_backend(session.settings)
    outcome = boot(
        session.server,
        model=remote_model(session.settings),
        history=history,
        on_progress=on_progress,
        timeout_s=session.settings.boot_timeout_s,
    )
    if not outcome.started:
        return replace(outcome.status, detail="it was running already; attached to it")
    session.claim(mine=True)
    _learn_memory(session.settings, outcome)
    return outcome.status


def _learn_memory(settings: Settings, outcome: BootOutcome) -> None:
    from .planning import learn

    learn(settings, outcome)


def _settle(session: Session, on_progress: Callable[[Progress], None]) -> None:
    """Finish a switch that was killed half-way, or go back."""
    if _switch_is_left(session.settings):
        from .switch.use import settle

        settle(session, on_progress)


def _forget_switch(session: Session) -> None:
    """Leave a switch that was killed as it is: nothing is to run any more."""
    if _switch_is_left(session.settings):
        from .switch.use import forget

        forget(session)


def _switch_is_left(settings: Settings) -> bool:
    return Journal(settings.state_dir).is_there()
