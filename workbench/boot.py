"""
From "start it" to "it decoded a token", shown as it happens.

The server begins, its log becomes phases, and ready means that the served
model is listed and one token came. Every boot's times go into
``boots.jsonl``, from which the next one's ETA is learnt; a boot that fails
ends with the line of the log that says why.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from .bootlog import FIRST_TOKEN, LOAD, BootReader, Figures, eta_s
from .errors import (
    BootInterruptedError,
    ServerError,
    ServerStartError,
    ServerTimeoutError,
)
from .failures import diagnose
from .records import BootPhase, Diagnosis, Progress, ServerState, ServerStatus
from .servers.base import Server, decode_one

logger = logging.getLogger(__name__)

OnProgress = Callable[[Progress], None]

STATUS_INTERVAL_S = 0.1
"""How long the log may be silent before the server is asked whether it is up."""

LEARN_FROM = 5
"""The latest boots that an ETA is made of; older ones knew another machine or version."""

LOG_TAIL_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """
    The boots of one project folder, in ``boots.jsonl``.

    Args:
        key: What makes two boots comparable: backend, version, model.
    """

    path: Path
    key: str

    def earlier(self) -> list[tuple[BootPhase, ...]]:
        """Read the latest comparable boots; torn lines of a killed process are passed over."""
        boots = []
        try:
            lines = self.path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        for line in lines:
            try:
                entry = json.loads(line)
                if entry["key"] == self.key:
                    boots.append(tuple(BootPhase(**phase) for phase in entry["phases"]))
            except (ValueError, KeyError, TypeError):
                continue
        return boots[-LEARN_FROM:]

    def add(self, phases: tuple[BootPhase, ...]) -> None:
        """Append one boot that became ready; a disk that is full costs no more than an ETA."""
        entry = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "key": self.key,
            "total_s": round(phases[-1].ended_s or 0.0, 3),
            "phases": [asdict(phase) for phase in phases],
        }
        try:
            with self.path.open("a") as handle:
                handle.write(json.dumps(entry) + "\n")
        except OSError as exc:
            logger.warning("The times of this boot could not be kept: %s", exc)


@dataclass(frozen=True, slots=True)
class BootOutcome:
    """A ready server, and whether this call started it."""

    status: ServerStatus
    started: bool
    figures: Figures = field(default_factory=Figures)
    """What the log said of memory; nothing if this call did not start it."""


def boot(
    server: Server,
    *,
    model: str | None = None,
    history: History,
    on_progress: OnProgress,
    timeout_s: float,
    begin: Callable[[], bool] | None = None,
) -> BootOutcome:
    """
    Start *server*, or join a boot that is under way, and wait until it is ready.

    Args:
        begin: Starts it and says whether it did; ``server.start`` unless another
            has to make room first.

        model: The served model name to decode with; ``None`` takes the first
            that is listed.

        timeout_s: After this long it is given up, and stopped if this call
            started it.

    Raises:
        ServerStartError: It ended before it was ready.

        ServerTimeoutError: It was not ready in time.

        BootInterruptedError: The wait was interrupted, and the boot goes on:
            a container is Docker's, not ours.
    """
    before_s = time.monotonic()
    started = (begin or server.start)()
    if not started and server.status().state is ServerState.READY:
        return BootOutcome(_decoding(server, model), started=False)
    try:
        reader = _watch(server, before_s, history, on_progress, timeout_s)
        status = _decoding(server, model)
    except BaseException as exc:
        if server.outlasts_waiting and not isinstance(exc, ServerError):
            # Whoever waited is gone: Ctrl-C, a signal, a terminal that takes no more lines.
            _leave_starting(server, exc)
        elif started:
            _give_up(server)
        raise
    if started:
        history.add(reader.phases(ended_s=time.monotonic() - before_s))
    return BootOutcome(status, started, reader.figures())


def _leave_starting(server: Server, exc: BaseException) -> None:
    """Say that the boot goes on; a signal keeps its own exit status."""
    left = _no_longer_waited_for(server)
    if isinstance(exc, KeyboardInterrupt):
        raise left from exc
    logger.warning("%s %s", left.message, left.hint)


def _give_up(server: Server) -> None:
    """End a boot that failed; why it did is on its way, and nothing here may take its place."""
    try:
        server.give_up()
    except Exception as exc:
        logger.warning("The %s server could not be ended: %s", server.backend, exc)


def _watch(
    server: Server,
    before_s: float,
    history: History,
    on_progress: OnProgress,
    timeout_s: float,
) -> BootReader:
    """Follow the log until the server is up; return what was read, the last phase open."""
    reader, earlier, lines = BootReader(), history.earlier(), []
    asked_s = 0.0
    for line in server.log(follow=True):
        now_s = time.monotonic() - before_s
        if line:
            lines.append(line)
            reader.feed(line, at_s=now_s)
        phases = reader.phases()
        if not line or phases[-1].name == FIRST_TOKEN:
            on_progress(_progress(server, reader, now_s, earlier))
            if now_s - asked_s >= STATUS_INTERVAL_S or phases[-1].name == FIRST_TOKEN:
                asked_s = now_s
                if server.status().state is ServerState.READY:
                    return reader
        if now_s > timeout_s:
            raise _timed_out(server, now_s, lines)
    raise _ended(server, lines)


def _decoding(server: Server, model: str | None) -> ServerStatus:
    """Return the status of a server that has just decoded a token."""
    status = server.status()
    if not status.models:  # it was ready a moment ago
        raise _ended(server, [*server.log()])
    name = model or status.models[0].name
    answer = decode_one(server.base_url, api_key=server.api_key, model=name)
    if answer.status != 200:
        said = answer.error or f"HTTP {answer.status}: {answer.json}"
        raise ServerStartError(
            f"The {server.backend} server is up, and does not decode: {said}",
            hint="The whole log: workbench logs",
            **_facts(server, ServerState.FAILED, []),
        )
    return status


def _progress(
    server: Server, reader: BootReader, now_s: float, earlier: list[tuple[BootPhase, ...]]
) -> Progress:
    phases = reader.phases()
    if phases[-1].name == LOAD and (fetched := server.downloaded()) and _is_coming(fetched):
        return _download(fetched, phases, now_s)
    left_s = eta_s(phases, now_s=now_s, earlier=earlier)
    return Progress(
        label=phases[-1].name,
        done=now_s,
        total=None if left_s is None else now_s + left_s,
        unit="s",
        eta_s=left_s,
        fraction=reader.fraction,
        phases=phases,
    )


def _is_coming(fetched: Progress) -> bool:
    """Tell a download that goes on from one that is over; the log tells them apart afterwards."""
    return fetched.total is None or fetched.done < fetched.total


def _download(fetched: Progress, phases: tuple[BootPhase, ...], now_s: float) -> Progress:
    """Add when it will be there, at the rate it has had; what lay there before flatters it."""
    waited_s = now_s - phases[-1].began_s
    left = None if fetched.total is None else max(0.0, fetched.total - fetched.done)
    eta = left * waited_s / fetched.done if left is not None and fetched.done else None
    return replace(fetched, eta_s=eta, phases=phases)


def _ended(server: Server, lines: list[str]) -> ServerStartError:
    death = server.death()
    if death is None and (status := server.status()).state is ServerState.STOPPED:
        return _ended_by_somebody(server, status, lines)
    code = death.exit_code if death else None
    found = diagnose(lines, exit_code=code, oom_killed=death is not None and death.oom_killed)
    how = f" (exit status {code})" if code is not None else ""
    return ServerStartError(
        f"The {server.backend} server ended before it was ready{how}.{_why(found)}",
        hint=found.fix if found else "The whole log: workbench logs",
        **_facts(server, ServerState.FAILED, lines),
        exit_code=code,
        diagnosis=found,
    )


def _ended_by_somebody(server: Server, status: ServerStatus, lines: list[str]) -> ServerStartError:
    """Say that it was asked to end: its log has no cause, and a removed container no log."""
    removed = server.outlasts_waiting and status.container is None
    did = "removed the container of" if removed else "stopped"
    again = "Start it again: workbench up"
    return ServerStartError(
        f"Somebody {did} the {server.backend} server before it was ready.",
        hint=again if removed else f"{again} · its log so far: workbench logs",
        **_facts(server, ServerState.STOPPED, lines),
    )


def _timed_out(server: Server, waited_s: float, lines: list[str]) -> ServerError:
    found = diagnose(lines)
    last = lines[-1] if lines else "nothing"
    why = _why(found) if found else f'\nThe last line of its log: "{last}"'
    again = "Give it longer with WORKBENCH_BOOT_TIMEOUT_S, or read: workbench logs"
    return ServerTimeoutError(
        f"The {server.backend} server was not ready after {waited_s:.0f} s.{why}",
        hint=found.fix if found else again,
        **_facts(server, ServerState.STARTING, lines),
        waited_s=waited_s,
        diagnosis=found,
    )


def _why(found: Diagnosis | None) -> str:
    if found is None:
        return ""
    evidence = f'\nThe decisive line of its log: "{found.line}"' if found.line else ""
    return f"\n{found.cause}{evidence}"


def _no_longer_waited_for(server: Server) -> BootInterruptedError:
    return BootInterruptedError(
        f"No longer waited for; the {server.backend} server goes on starting.",
        hint="See how far it is: workbench status · wait again: workbench up · "
        "end it: workbench down",
        **_facts(server, ServerState.STARTING, []),
    )


def _facts(server: Server, state: ServerState, lines: list[str]) -> dict[str, object]:
    tail = tuple(lines[-LOG_TAIL_LINES:])
    return {"server": server.backend, "state": state, "log_tail": tail}
