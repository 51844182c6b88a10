"""
What is done to the file now and then, by a thread that ends when it is done.

Bringing the log into the file waits for the disk; deleting and packing take a
while. The writer must not: what it holds is lost if the process is killed.
"""

from __future__ import annotations

import threading
from pathlib import Path

from ..errors import WorkbenchError
from .retention import Retention, expire
from .segments import seal_next
from .store import Store

EVERY_ROWS = 2_000
"""About four MB of log, which is where SQLite would bring it into the file by itself."""

PAUSE_S = 0.02
"""Between two pieces of work, in which others write, and a notebook's own threads run."""


class Keeper:
    """Looks after the file at *path* when the writer says that rows were written."""

    def __init__(self, path: Path, retention: Retention) -> None:
        self.path = path
        self.retention = retention
        self.last_error: str | None = None
        self._due_in = 0  # at once: an earlier process may have been killed before its turn
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def written(self, rows: int) -> None:
        """Count rows, and start a turn when it is time and none is under way."""
        self._due_in -= rows
        if self._due_in > 0 or self._stopping.is_set() or (self._thread and self._is_at_work()):
            return
        self._due_in = EVERY_ROWS
        self._thread = threading.Thread(
            target=self.run, name="workbench-telemetry-keeper", daemon=True
        )
        self._thread.start()

    def run(self) -> None:
        """Bring the log into the file, pack what can be, delete what is beyond the limits."""
        try:
            with Store(self.path) as store:
                store.checkpoint()
                expire(store, self.retention, pause=self._pause)
                while not self._stopping.is_set() and seal_next(store):
                    self._pause()
        except _StoppedError:
            pass
        except WorkbenchError as error:  # the next turn finds the same work
            self.last_error = error.message

    def stop(self) -> None:
        """End a turn at its next pause; closing the last connection does the rest."""
        self._stopping.set()

    def close(self, timeout_s: float = 1.0) -> None:
        """End a turn and wait for it, so that nothing holds the file."""
        self.stop()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _is_at_work(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _pause(self) -> None:
        if self._stopping.wait(PAUSE_S):
            raise _StoppedError


class _StoppedError(Exception):
    """The process is about to end."""
