"""
``workbench use NAME``: what a switch needs of a session, and what is left to do after a kill.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import chosen, settings
from ..catalogue import find_entry
from ..errors import ServerStateError
from ..planning import learn
from ..records import Progress, ServerState, SwitchReport, Verdict
from ..servers import base
from ..servers.base import Recipe, Server
from .beforehand import before_it_is_touched
from .journal import Journal, Stage, Underway, now
from .probed import probed
from .procedure import Means, Switch
from .quicker import quicker, use_adapter
from .steps import Seen

if TYPE_CHECKING:
    from ..session import Session

DRAIN_TIMEOUT_S = 30.0

LONG_S = 60.0
"""When nothing served for longer, vLLM's own quicker ways are told of."""

OF_THE_MODEL = ("model", "max_model_len", "gpu_memory_utilization", "served_model_name")
"""Settings that were given for the model before, and say nothing of the next one."""


def use(
    session: Session,
    model: str,
    *,
    drain_timeout_s: float = DRAIN_TIMEOUT_S,
    force: bool = False,
    on_progress: Callable[[Progress], None],
    **arguments: Any,
) -> SwitchReport:
    """
    Switch *session*'s server to another model, or back to the one before.

    Args:
        model: A name of the catalogue, a folder below ``models/``, or a name of the hub.

        force: Try it although the plan says that it does not fit.

        arguments: Settings to serve it with.

    Raises:
        SwitchError: It does not fit, and nothing was touched; or it failed, and the model
            before serves again, unless it says otherwise.

        ConfigError: There is no such model; nothing was touched.

        ServerStateError: The server is somebody else's, or somebody else is switching it.
    """
    refuse_if_remote(session)
    settle(session, on_progress)
    entry = find_entry(model, models_dir=session.settings.models_dir)
    if entry and entry.adapter_of:
        return use_adapter(session, entry, lambda name: _check(session.server, name))
    target = session.like_this(without=OF_THE_MODEL, model=model, **arguments)
    steps = before_it_is_touched(session, target, model, force=force, on_progress=on_progress)
    target.server.prepare(on_progress)
    with Journal(target.settings.state_dir).held():
        # Another switch may have ended meanwhile: what it left is what this one begins with.
        before = target.server.recipe()
        name = served_name(session) if before else None
        mine = session.is_mine or before is None
        underway = _underway(target, model, before, name)
        switch = Switch(_means(target, model, on_progress), underway, steps)
        try:
            if before and target.server.is_as_asked():
                report = switch.keep()
            else:
                report = switch.run(drain_timeout_s=drain_timeout_s)
        except BaseException:
            session.take_over(target)
            session.claim(mine=mine and before is not None)
            raise
    session.become(target, mine=mine)
    return _with_hints(report, session, before=name)


def _underway(target: Session, model: str, before: Recipe | None, name: str | None) -> Underway:
    told = settings.without_secrets(target.arguments)
    return Underway(
        model=model,
        # The next command may be typed where another backend is meant.
        arguments=told | {"backend": target.settings.backend},
        before=before,
        name=name,
        stage=Stage.DRAIN,
        at=now(),
    )


def _with_hints(report: SwitchReport, session: Session, *, before: str | None) -> SwitchReport:
    """Add what is worse than with the model before, and what would have been quicker."""
    server, now = session.server, served_name(session)
    worse = probed(session.settings.state_dir, base_url=server.base_url, before=before, after=now)
    long = (report.unavailable_s or 0) > LONG_S
    return replace(
        report,
        steps=(*report.steps, worse) if worse else report.steps,
        quicker=quicker(server, runs=True) if long else (),
    )


def settle(session: Session, on_progress: Callable[[Progress], None]) -> SwitchReport | None:
    """
    Finish a switch that was killed, or go back; nothing if there is none.

    A new server that lives is waited for, checked and kept; else the old one comes back.

    Raises:
        SwitchError: Neither could be done.

        ServerStateError: A switch is under way in another process.
    """
    journal = Journal(session.settings.state_dir)
    if going_on := journal.going_on():
        raise _under_way(session, going_on)
    with journal.held():
        # Read only now: who held it until a moment ago may have settled it.
        cut_off = journal.read()
        if cut_off is None:
            return None
        if cut_off.stage is Stage.DRAIN:
            journal.end()  # the old one was not touched yet
            return None
        return _settled(session, cut_off, on_progress)


def _settled(
    session: Session, cut_off: Underway, on_progress: Callable[[Progress], None]
) -> SwitchReport:
    target = session.like_this(without=(*OF_THE_MODEL, "backend"), **cut_off.arguments)
    switch = Switch(_means(target, cut_off.model, on_progress), cut_off)
    lives = target.server.recipe()
    if lives and lives != cut_off.before and cut_off.stage is Stage.REPLACE:
        report = switch.finish()
        session.become(target, mine=True)
        return report
    return switch.go_back()


def forget(session: Session) -> None:
    """
    Drop what a switch that was killed has left to do.

    Raises:
        ServerStateError: A switch is under way in another process.
    """
    journal = Journal(session.settings.state_dir)
    if going_on := journal.going_on():
        raise _under_way(session, going_on)
    journal.end()


def what_is_under_way(state_dir: Path) -> str | None:
    """Say in a sentence that a switch goes on, or was killed and what the next command does."""
    journal = Journal(state_dir)
    if going_on := journal.going_on():
        return f"a switch {_between(going_on)} is under way since {going_on.at:%H:%M:%S} UTC"
    if cut_off := journal.cut_off():
        return f"a switch {_between(cut_off)} was cut off; `workbench up` finishes it, or goes back"
    return None


def _between(underway: Underway) -> str:
    return f"from {underway.name or 'nothing'} to {underway.model}"


def refuse_if_remote(session: Session) -> None:
    """A server that somebody else runs is not switched from here."""
    if session.settings.backend == "remote":
        raise ServerStateError(
            f"The server at {session.server.base_url} is run by somebody else, and is not "
            "switched from here.",
            hint="Start one of your own: workbench use MODEL --backend embedded (or compose)",
            server="remote",
            state=ServerState.READY,
        )


def _means(target: Session, model: str, on_progress: Callable[[Progress], None]) -> Means:
    return Means(
        server=target.server,
        journal=Journal(target.settings.state_dir),
        history=target.history(),
        boot_timeout_s=target.settings.boot_timeout_s,
        check=lambda: _check(target.server),
        learn=lambda outcome: learn(target.settings, outcome),
        commit=lambda: _commit(target, model),
        on_progress=on_progress,
    )


def _commit(target: Session, model: str) -> Seen:
    """Have later commands mean the model, and say so if something says otherwise."""
    try:
        chosen.remember_backend(target.settings)
        chosen.remember_model(target.settings, model)
    except OSError as exc:  # the model serves; a disk that is full does not undo that
        return Verdict.WARN, f"this could not be noted for later commands: {exc}"
    given = {key: value for key, value in target.arguments.items() if key not in OF_THE_MODEL}
    later = settings.load(**given)
    if later.model == model:
        return Verdict.PASS, f"{model} is what `workbench up` starts from now on"
    return Verdict.WARN, (
        f"{later.origins['model']} says {later.model}, and later commands go by that: unset it"
    )


def _check(server: Server, name: str | None = None) -> Seen:
    """Have the new server answer a chat, as the workbench's own question and nobody's request."""
    model = name or server.status().models[0].name
    answer = base.answer_a_word(server.base_url, api_key=server.api_key, model=model)
    if answer.status == HTTPStatus.BAD_REQUEST:
        # A model without a chat template completes texts, and may be what is wanted.
        return Verdict.WARN, f"it does not chat: {_text(answer.json, 'error', 'message')}"
    if answer.status != HTTPStatus.OK:
        raise ServerStateError(
            f"It decodes, and does not answer a chat: {answer.error or answer.status}.",
            hint="Why: workbench logs",
            server=server.backend,
            state=ServerState.FAILED,
        )
    return Verdict.PASS, f"“Hello” → “{_text(answer.json, 'choices', 0, 'message', 'content')}”"


def _text(json: object, *path: str | int) -> str:
    """Follow *path* into an answer, as far as it goes, and write what is there on a line."""
    found: Any = json
    for key in path:
        try:
            found = found[key]
        except (KeyError, IndexError, TypeError):
            break
    return " ".join(str(found).split())


def served_name(session: Session) -> str:
    """Say what runs by the name that it answers to."""
    models = session.server.status().models
    return models[0].name if models else "the server before"


def _under_way(session: Session, going_on: Underway) -> ServerStateError:
    return ServerStateError(
        f"A switch {_between(going_on)} is under way, since {going_on.at:%H:%M:%S} UTC.",
        hint="Wait for it, or stop it where it was typed (Ctrl-C goes back).",
        server=session.settings.backend,
        state=ServerState.STARTING,
    )
