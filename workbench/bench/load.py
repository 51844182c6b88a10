"""
What a load was and what came of it, and how far it is while it runs.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from .answer import Answer


@dataclass(slots=True)
class Sent:
    """
    One request and what came of it.

    Args:
        due_s: When it was to be sent; in a closed loop, when there was room for it.

        sent_s: When its first byte went to the kernel; ``None``: it never did.
    """

    number: int
    due_s: float
    sent_s: float | None = None
    done_s: float | None = None
    answer: Answer = field(default_factory=Answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """
    The machines of a cluster that sent a load.

    Args:
        processes: On all of them.

        clock_error_s: How far times of different machines may be apart that are the same
            here; what is within a request is of one machine's clock.

        lost: Those that went away while they sent, or of which a process did.
    """

    names: tuple[str, ...]
    processes: int
    clock_error_s: float
    lost: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Load:
    """
    What the loop found.

    Args:
        read_late_s: For each read, how long the bytes had been there. Without the
            kernel's times: how long they may have been there, at most.

        kernel_stamps: Whether the times are the kernel's.

        workers: ``None``: this machine.
    """

    requests: list[Sent]
    started_s: float
    ended_s: float
    read_late_s: array[float]
    kernel_stamps: bool
    workers: Workers | None = None


class Interrupted(KeyboardInterrupt):
    """
    Somebody stopped a load.

    Attributes:
        load: What there was until then; answers under way have an error.
    """

    def __init__(self, load: Load) -> None:
        super().__init__()
        self.load = load

    def __reduce__(self) -> tuple[type[Interrupted], tuple[Load]]:
        # An exception goes to another process as its arguments, and a traceback would show them.
        return Interrupted, (self.load,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    How far a load is.

    Args:
        failed: Of those that are done.

        tokens: Chunks with content; of answers that are done, what the server counted.
    """

    elapsed_s: float
    sent: int
    done: int
    failed: int
    tokens: int


OnProgress = Callable[[Progress], None]
