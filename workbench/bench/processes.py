"""
The same load by several processes, where there are cores: each sends its share, as one.

A process is a Python that runs this module, and not one of ``multiprocessing``: a
fork of a notebook's kernel has its threads' locks, and a spawned one runs the
user's script again. Parent and child say what there is to say as pickles on a pipe:

======================  ==================================================
parent                  child
======================  ==================================================
the share
                        ``None``, when its connections stand
when to begin
                        :class:`.Progress`, a few times a second
                        :class:`.Load`, or the exception that ended it
======================  ==================================================
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any, TypeAlias, cast

from ..errors import WorkbenchError
from .arrivals import Times
from .http1 import Target
from .load import Interrupted, Load, OnProgress, Progress, Sent
from .loop import CHECK_S, Loop

Pipe: TypeAlias = "connection.Connection[Any, Any]"

STREAMS_PER_PROCESS = 250
"""Of a hundred tokens a second each: about a quarter of a core for the kernel's part, and ours."""

BEGIN_S = 0.05
"""From the last one's word that it is connected until all begin: they must have heard of it."""


def run(
    target: Target,
    requests: Sequence[bytes],
    due_s: Times,
    *,
    processes: int | None = None,
    concurrency: int | None = None,
    stop_s: float | None = None,
    patience_s: float = 600.0,
    on_progress: OnProgress | None = None,
) -> Load:
    """
    Do what :class:`.Loop` does, by so many processes at once.

    Request *n* is the (n mod *processes*)th one's, and the concurrency is shared out
    evenly. So in a closed loop one may be through before another: at the very end
    less is under way than in one process.

    Args:
        processes: ``None``: what :func:`suited` says. One: no other process is started.

    Raises:
        WorkbenchError: What :class:`.Loop` raises, or a process died.

        Interrupted: By the user; it has what there was until then.
    """
    most = min(concurrency or len(requests), len(requests)) or 1
    count = min(processes or suited(most), most)
    given: dict[str, Any] = {"stop_s": stop_s, "patience_s": patience_s}
    if count == 1:
        loop = Loop(
            target, requests, due_s, concurrency=concurrency, on_progress=on_progress, **given
        )
        return loop.run()
    shares = [
        _Share(
            target,
            tuple(requests[number::count]),
            due_s[number::count],
            {"concurrency": _part(concurrency, number, count), **given},
        )
        for number in range(count)
    ]
    return merged([_renumbered(each, n, count) for n, each in enumerate(_all(shares, on_progress))])


def suited(streams: int) -> int:
    """Say how many processes so many streams want here: half of the cores at most."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(-(-streams // STREAMS_PER_PROCESS), cores // 2))


def merged(loads: Sequence[Load]) -> Load:
    """Lay together what several loops found, whose clock is the same and numbers differ."""
    late_s: array[float] = array("d")
    for each in loads:
        late_s.extend(each.read_late_s)
    return Load(
        requests=sorted((sent for each in loads for sent in each.requests), key=_number),
        started_s=min(each.started_s for each in loads),
        ended_s=max(each.ended_s for each in loads),
        read_late_s=late_s,
        kernel_stamps=all(each.kernel_stamps for each in loads),
    )


def _number(sent: Sent) -> int:
    return sent.number


def _part(whole: int | None, number: int, count: int) -> int | None:
    return None if whole is None else whole // count + (number < whole % count)


def _renumbered(load: Load, number: int, count: int) -> Load:
    for sent in load.requests:
        sent.number = sent.number * count + number
    return load


# --- The parent ---


@dataclass(frozen=True, slots=True)
class _Share:
    target: Target
    requests: tuple[bytes, ...]
    due_s: Times
    options: dict[str, Any]


@dataclass(slots=True, eq=False)
class _Child:
    """One process, and what it has said last."""

    process: subprocess.Popen[bytes]
    pipe: Pipe
    connected: bool = False
    progress: Progress = field(
        default_factory=lambda: Progress(elapsed_s=0, sent=0, done=0, failed=0, tokens=0)
    )
    load: Load | None = None

    def hear(self) -> None:
        """Take its next word; raise what it raised."""
        try:
            said = self.pipe.recv()
        except EOFError:
            raise WorkbenchError(
                f"A process of the load generator ended early (code {self.process.wait()}).",
                hint="Was it killed for its memory?",
            ) from None
        match said:
            case Progress():
                self.progress = said
            case Load():
                self.load = said
            case BaseException():
                raise said
            case _:
                self.connected = True


def _all(shares: Sequence[_Share], on_progress: OnProgress | None) -> list[Load]:
    with _children(shares) as children:
        try:
            _hear(children, lambda child: child.connected)
            begin_s = time.monotonic() + BEGIN_S
            for child in children:
                child.pipe.send(begin_s)
            _hear(children, lambda child: child.load is not None, on_progress)
        except KeyboardInterrupt as exc:
            loads = _stopped(children)
            raise (Interrupted(merged(loads)) if loads else exc) from None
        return [child.load for child in children if child.load]


def _hear(
    children: Sequence[_Child],
    enough: Callable[[_Child], bool],
    on_progress: OnProgress | None = None,
) -> None:
    """Listen until *enough* is true of each."""
    told_s = time.monotonic()
    while waited_for := {child.pipe: child for child in children if not enough(child)}:
        for pipe in connection.wait(list(waited_for)):
            waited_for[cast("Pipe", pipe)].hear()
        if on_progress and time.monotonic() - told_s >= CHECK_S:
            told_s = time.monotonic()
            on_progress(_sum([child.progress for child in children]))


def _sum(each: Sequence[Progress]) -> Progress:
    return Progress(
        elapsed_s=max(one.elapsed_s for one in each),
        sent=sum(one.sent for one in each),
        done=sum(one.done for one in each),
        failed=sum(one.failed for one in each),
        tokens=sum(one.tokens for one in each),
    )


def _stopped(children: Sequence[_Child]) -> list[Load]:
    """Pass the interruption on, and take what each has until then."""
    for child in children:
        child.process.send_signal(signal.SIGINT)
    for child in children:
        with suppress(WorkbenchError):  # it had not begun, or is dead: nothing to take
            while child.load is None:
                try:
                    child.hear()
                except Interrupted as exc:
                    child.load = exc.load
    return [
        _renumbered(child.load, number, len(children))
        for number, child in enumerate(children)
        if child.load
    ]


@contextmanager
def _children(shares: Sequence[_Share]) -> Iterator[list[_Child]]:
    """Start them, and leave none behind."""
    children: list[_Child] = []
    try:
        children += [_started() for _ in shares]
        for child, share in zip(children, shares, strict=True):
            child.pipe.send(share)
        yield children
    finally:
        for child in children:
            child.pipe.close()
            child.process.kill()
            child.process.wait()


def _started() -> _Child:
    ours, theirs = connection.Pipe()
    code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import child; child()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        # The terminal's Ctrl-C is the parent's to pass on.
        start_new_session=True,
    )
    theirs.close()
    return _Child(process, ours)


# --- The child ---


def child() -> None:
    """Do the share that the parent sends; the pipe's number is the first argument."""
    pipe: Pipe = connection.Connection(int(sys.argv[1]))
    try:
        pipe.send(_done(pipe.recv(), pipe))
    except (WorkbenchError, Interrupted) as exc:
        pipe.send(exc)


def _done(share: _Share, pipe: Pipe) -> Load:
    def begin_s() -> float:
        pipe.send(None)
        at_s: float = pipe.recv()
        time.sleep(max(0.0, at_s - time.monotonic()))
        return at_s

    return Loop(
        share.target,
        share.requests,
        share.due_s,
        on_progress=pipe.send,
        on_connected=begin_s,
        **share.options,
    ).run()
