"""
What a load was and what came of it, and how far it is while it runs.
"""

from __future__ import annotations

import statistics
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice, pairwise

from .answer import Answer

LOUD_LAG_SHARE = 0.01
"""Above it, what was measured is the client's too, and a report says so."""

SOME_GAPS = 100_000
"""So many tell the median of all, and do not take seconds."""


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

    @property
    def send_late_s(self) -> list[float]:
        """For each request that was sent, how long after it was due."""
        return [each.sent_s - each.due_s for each in self.requests if each.sent_s is not None]

    @property
    def lag_share(self) -> float | None:
        """
        How much of what it measures is the client's own: the greater of two shares.

        Of sending: the mean lateness, of the mean time from sent to done. Of reading,
        with the kernel's times: the share of reads that came later than the median
        gap between chunks, for those may have met two packets of one stream, and only
        the last one's time is known. Without them: the mean lateness, of that gap.
        ``None``: nothing was sent and answered.
        """
        shares = [share for share in (self._sending_share(), self._reading_share()) if share]
        return max(shares, default=0.0 if self.send_late_s else None)

    def _sending_share(self) -> float | None:
        took_s = [
            each.done_s - each.sent_s
            for each in self.requests
            if each.sent_s is not None and each.done_s is not None
        ]
        if not took_s or not sum(took_s):
            return None
        return statistics.fmean(self.send_late_s) / statistics.fmean(took_s)

    def _reading_share(self) -> float | None:
        # Chunks that came in one packet have no gap of their own.
        each_gap = (b - a for sent in self.requests for a, b in pairwise(sent.answer.stamps_s))
        gaps_s = list(islice((gap for gap in each_gap if gap > 0), SOME_GAPS))
        if not gaps_s or not self.read_late_s:
            return None
        gap_s = statistics.median(gaps_s)
        if not self.kernel_stamps:
            return statistics.fmean(self.read_late_s) / gap_s
        return sum(late > gap_s for late in self.read_late_s) / len(self.read_late_s)


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
