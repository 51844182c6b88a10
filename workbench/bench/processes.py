"""
The same load by several processes, where there are cores: each sends its share, as one.

A process is a Python that runs this module, and not one of ``multiprocessing``: a
fork of a notebook's kernel has its threads' locks, and a spawned one runs the
user's script again. What parent and child say (:mod:`.crew`) are pickles on a pipe.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any, TypeAlias

from ..errors import WorkbenchError
from .arrivals import Times
from .crew import Word, lead
from .http1 import Target
from .load import Interrupted, Load, OnProgress
from .loop import CHECK_S, Loop
from .split import Share, split

Pipe: TypeAlias = "connection.Connection[Any, Any]"

STREAMS_PER_PROCESS = 250
"""Of a hundred tokens a second each: about a quarter of a core for the kernel's part, and ours."""

BEGIN_S = 0.05


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

    Args:
        processes: ``None``: what :func:`suited` says. One: no other process is started.

    Raises:
        WorkbenchError: What :class:`.Loop` raises, or all processes died.

        Interrupted: By the user; it has what there was until then.
    """
    whole = Share(
        target=target,
        requests=requests,
        due_s=due_s,
        concurrency=concurrency,
        stop_s=stop_s,
        patience_s=patience_s,
    )
    cores = len(os.sched_getaffinity(0))
    count = min(processes or suited(whole.streams, cores), whole.streams)
    if count == 1:
        return _loop(whole, on_progress=on_progress).run()
    shares = split(whole, count)
    with Processes() as crew:
        crew.start(shares)
        return lead(crew, shares, on_progress)


def suited(streams: int, cores: int) -> int:
    """Say how many processes so many streams want: half of the cores at most."""
    return max(1, min(-(-streams // STREAMS_PER_PROCESS), cores // 2))


def _loop(share: Share, **told: Any) -> Loop:
    return Loop(
        share.target,
        share.requests,
        share.due_s,
        concurrency=share.concurrency,
        stop_s=share.stop_s,
        patience_s=share.patience_s,
        **told,
    )


# --- The parent ---


@dataclass(frozen=True, slots=True, eq=False)
class _Child:
    process: subprocess.Popen[bytes]
    pipe: Pipe

    def word(self) -> Word:
        """Return what it says next, or how it died."""
        try:
            said: Word = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            return WorkbenchError(
                f"A process of the load generator ended early (code {self.process.wait()}).",
                hint="Was it killed for its memory?",
            )
        return said


class Processes:
    """A crew on this machine; a context that leaves none behind."""

    begins_in_s = BEGIN_S

    def __init__(self) -> None:
        self._children: list[_Child] = []
        self._speak: dict[Pipe, int] = {}

    def start(self, shares: Sequence[Share]) -> None:
        """Start one for each share."""
        self._children += [_started() for _ in shares]
        self._speak = {child.pipe: number for number, child in enumerate(self._children)}
        for child, share in zip(self._children, shares, strict=True):
            _tell(child, share)

    def heard(self) -> list[tuple[int, Word]]:
        """Wait for words a quarter of a second at most; return them, with who said each."""
        words: list[tuple[int, Word]] = []
        for pipe in connection.wait(list(self._speak), CHECK_S):
            number = self._speak[pipe]  # type: ignore[index]
            word = self._children[number].word()
            words.append((number, word))
            if isinstance(word, (Load, BaseException)):
                del self._speak[pipe]  # type: ignore[arg-type]
        return words

    def begin(self, at_s: float) -> None:
        """Tell all when to begin."""
        for child in self._children:
            _tell(child, at_s)

    def stop(self) -> None:
        """Have all stop; an interrupt is what their loops stop by."""
        for child in self._children:
            child.process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End those that are still there."""
        for child in self._children:
            child.pipe.close()
            child.process.kill()
            child.process.wait()

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _tell(child: _Child, what: object) -> None:
    try:
        child.pipe.send(what)
    except BrokenPipeError:
        pass  # it died, and its next word says so


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
    # A child of who ignores or blocks it does too, and threads of Ray's processes block it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    pipe: Pipe = connection.Connection(int(sys.argv[1]))
    try:
        pipe.send(_done(pipe.recv(), pipe))
    except (WorkbenchError, Interrupted) as exc:
        pipe.send(exc)


def _done(share: Share, pipe: Pipe) -> Load:
    def begin_s() -> float:
        pipe.send(None)
        at_s: float = pipe.recv()
        time.sleep(max(0.0, at_s - time.monotonic()))
        return at_s

    return _loop(share, on_progress=pipe.send, on_connected=begin_s).run()
