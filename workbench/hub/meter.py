"""
How far a fetch is, and how long the rest may take. No I/O but the clock it is given.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from ..records import Progress

WINDOW_S = 20.0
"""The rate is that of the last so many seconds: a network changes its mind."""

INTERVAL_S = 0.1


class Meter:
    """
    Counts bytes, and tells.

    Args:
        total_bytes: Of all files, those that are here already too.

        on_progress: Called at most ten times a second, and whenever a file begins.
    """

    def __init__(
        self,
        total_bytes: int,
        on_progress: Callable[[Progress], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total_bytes = total_bytes
        self.done_bytes = 0
        self.come_bytes = 0
        self._tell, self._clock = on_progress, clock
        self._label, self._file_bytes, self._file_done = "", 0, 0
        self._seen: deque[tuple[float, int]] = deque()
        self._told_s = float("-inf")

    def begin(self, label: str, file_bytes: int) -> None:
        """Begin with a file."""
        self._label, self._file_bytes, self._file_done = label, file_bytes, 0
        self._told(self._clock())

    def here(self, count: int) -> None:
        """Count bytes of this file that were here before, or take back some that must come anew."""
        self._file_done += count
        self.done_bytes += count

    def come(self, count: int) -> None:
        """Count bytes that came from the hub."""
        now_s = self._clock()
        self.here(count)
        self.come_bytes += count
        self._seen.append((now_s, self.come_bytes))
        while now_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        if now_s - self._told_s >= INTERVAL_S:
            self._told(now_s)

    def say(self, label: str) -> None:
        """Say something else than a file's name: why nothing moves."""
        self._tell(self._progress(label))

    @property
    def eta_s(self) -> float | None:
        """Seconds to the end at the rate of late; ``None`` as long as there is none."""
        if not self._seen:
            return None
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        if last_s - first_s < 1:
            return None
        return (self.total_bytes - self.done_bytes) * (last_s - first_s) / max(last - first, 1)

    def _told(self, now_s: float) -> None:
        self._told_s = now_s
        self._tell(self._progress(self._label))

    def _progress(self, label: str) -> Progress:
        return Progress(
            label=label,
            done=self.done_bytes,
            total=self.total_bytes,
            unit="bytes",
            eta_s=self.eta_s,
            fraction=self._file_done / self._file_bytes if self._file_bytes else None,
        )
