"""
What stands between a caller and the disk: a queue and one background thread.

The caller's part is one ``put``. Everything that can be slow or can fail is
done in the thread: hashing, opening, writing. While the file is locked or the
disk broken the thread keeps what it has, up to a bound, and tries again;
writing a row twice is harmless.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeAlias

from ..errors import StoreError, WorkbenchError
from .outbox import Outbox
from .record import TelemetryRecord
from .store import Store

# How long rows are gathered into one transaction.
GATHER_S = 0.01
# How long a file that failed is left alone, unless somebody waits for it.
RETRY_S = 1.0
MAX_BATCH = 1_000

Maker: TypeAlias = Callable[[], TelemetryRecord]
OnWritten: TypeAlias = Callable[[int], object]
SinkNames: TypeAlias = Callable[[], Sequence[str]]


def nobody(_rows: int) -> None:
    """Tell nobody that rows were written."""


def no_sinks() -> Sequence[str]:
    """Name none."""
    return ()


class _Marker:
    """A place in the queue: reached when everything before it was written, or failed to be."""

    def __init__(self, *, stop: bool = False) -> None:
        self.stop = stop
        self.reached = threading.Event()
        self.written = False


class Writer:
    """
    Writes records to the store at *path*, in order, from a thread of its own.

    Args:
        path: The telemetry file. Opened at the first record, not before.

        max_queued: How many may wait before further ones are dropped.

        on_written: Called by the thread after every transaction, with how many rows
            were new.

        sink_names: Who is due the rows; asked by the thread when it opens the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_queued: int,
        on_written: OnWritten = nobody,
        sink_names: SinkNames = no_sinks,
    ) -> None:
        self.path = path
        self.max_queued = max_queued
        self.written = 0
        self.dropped = 0
        self.last_error: str | None = None
        # SimpleQueue, because its put is reentrant: the garbage collector may close
        # an abandoned stream, and so record it, while this very thread is in put.
        self._queue: SimpleQueue[Maker | _Marker] = SimpleQueue()
        self._hurry = threading.Event()
        self._counting = threading.RLock()
        self._closed = False
        self._unmade: deque[Maker] = deque()
        self._unwritten: list[TelemetryRecord] = []
        self._retry_at_s = 0.0
        self._on_written = on_written
        self._sink_names = sink_names
        self._unknown_sinks: Sequence[str] = ()  # to the file that is open
        self._store: Store | None = None
        self._thread = threading.Thread(target=self._run, name="workbench-telemetry", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def queued(self) -> int:
        """How many wait to be written."""
        return self._queue.qsize() + self._waiting

    def put(self, make: Maker) -> None:
        """Queue one record, to be made by the thread; or drop it when too many wait."""
        if self._closed or self._queue.qsize() >= self.max_queued:
            why = "telemetry is closed" if self._closed else f"{self.max_queued} already wait"
            self._drop(1, f"An outcome was dropped: {why}.")
        else:
            self._queue.put(make)

    def flush(self, timeout_s: float) -> bool:
        """
        Wait until everything queued so far is in the file, or counted as dropped.

        Returns:
            Whether it is: false when time ran out or the file can't be written.
        """
        if not self._thread.is_alive():
            return not self.queued
        marker = _Marker()
        self._queue.put(marker)
        self._hurry.set()
        return marker.reached.wait(timeout_s) and marker.written

    def stop(self) -> None:
        """End the thread after what is queued, without waiting for it."""
        self._closed = True
        self._queue.put(_Marker(stop=True))

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is queued and end the thread. Closing twice is fine."""
        if not self._closed:
            self.stop()
        self._hurry.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    @property
    def _waiting(self) -> int:
        return len(self._unmade) + len(self._unwritten)

    def _run(self) -> None:
        stop = False
        while not stop:
            markers = self._gather()
            stop = any(marker.stop for marker in markers)
            written = self._settle(at_once=bool(markers))
            for marker in markers:
                marker.written = written
                marker.reached.set()
        self._drop(self._waiting)
        self._unmade.clear()
        self._unwritten.clear()
        self._close_store()
        atexit.unregister(self.close)

    def _gather(self) -> list[_Marker]:
        try:
            items = [self._queue.get(timeout=RETRY_S if self._waiting else None)]
        except Empty:
            return []
        self._hurry.wait(GATHER_S)
        # Cleared before the queue is emptied: a marker is queued before its hurry is set.
        self._hurry.clear()
        while len(items) < MAX_BATCH:
            try:
                items.append(self._queue.get_nowait())
            except Empty:
                break
        for item in items:
            if not isinstance(item, _Marker):
                self._keep(item)
        return [item for item in items if isinstance(item, _Marker)]

    def _keep(self, make: Maker) -> None:
        if self._waiting < self.max_queued:
            self._unmade.append(make)
        else:
            self._drop(1)

    def _settle(self, *, at_once: bool) -> bool:
        """Bring what waits into the file; say whether nothing waits any more."""
        if not at_once and time.monotonic() < self._retry_at_s:
            return False
        try:
            self._make_records()
            if self._unwritten:
                self._append(self._unwritten)
                self._unwritten = []
        except Exception as error:  # whatever is wrong with the disk, the caller never sees it
            self.last_error = _described(error)
            self._retry_at_s = time.monotonic() + RETRY_S
            self._close_store()
            return False
        return True

    def _make_records(self) -> None:
        while self._unmade:
            try:
                self._unwritten.append(self._unmade[0]())
            except StoreError:  # the key's file, which may be well again later
                raise
            except Exception as error:  # one odd outcome must not end the recording of all
                self._drop(1, _described(error))
            self._unmade.popleft()

    def _append(self, records: list[TelemetryRecord]) -> None:
        store = self._opened()
        try:
            new = Outbox(store).append(records, self._unknown_sinks)
        except ValueError as error:
            if len(records) == 1:
                self._drop(1, _described(error))
                return
            for record in records:  # so that one that can't be stored costs no other
                self._append([record])
        else:
            self._unknown_sinks = ()
            self.written += new
            self._tell(new)

    def _tell(self, new: int) -> None:
        try:
            self._on_written(new)
        except RuntimeError as error:  # no thread can be started while the interpreter ends
            self.last_error = _described(error)

    def _opened(self) -> Store:
        # Not by truth: a store has a length, and an empty one is false.
        if self._store is not None and not self._store.is_current():
            self._close_store()
        if self._store is None:
            self._store = Store(self.path)
            self._store.leave_checkpoints()
            self._unknown_sinks = self._sink_names()
        return self._store

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None

    def _drop(self, count: int, why: str | None = None) -> None:
        with self._counting:
            self.dropped += count
        self.last_error = why or self.last_error


def _described(error: Exception) -> str:
    # A string and not the exception, whose traceback would keep prompts in memory.
    message = error.message if isinstance(error, WorkbenchError) else str(error)
    return f"{type(error).__name__}: {message}"
