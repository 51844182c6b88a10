"""
The thread that sends rows to one sink: at least once, in order, in batches.

One process at a time does it, the one that holds the sink's lock file; the
kernel gives the lock to another when it ends, however it ends. What a sink was
sent is noted after it has accepted, so a process that is killed in between has
it sent again: a record's id is how a sink knows it.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from ..errors import SinkError, WorkbenchError
from ..filelock import try_to_hold
from .outbox import Outbox
from .record import TelemetryRecord
from .sinks.base import Sink
from .store import Store

GATHER_S = 0.2
"""How long rows are gathered into one call."""

LOOK_S = 1.0
"""How often rows of other processes, and a lock that they let go, are looked for."""

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
PERMANENT_WAIT_S = 600.0
LONGEST_RETRY_AFTER_S = 3_600.0
MAX_ODD = 3
"""How often a single record may make a sink raise something else than ``SinkError``."""


class Courier:
    """
    Sends what *sink* has not had.

    Args:
        path: The telemetry file.

        after_seq: Where a sink that was never turned on before begins.
    """

    def __init__(self, path: Path, sink: Sink, *, after_seq: int) -> None:
        self.path = path
        self.sink = sink
        self.failed = threading.Event()
        self._after_seq = after_seq
        self._woken = threading.Event()
        self._hurry = threading.Event()
        self._stopping = threading.Event()
        self._lock: IO[str] | None = None
        self._store: Store | None = None
        self._retry_at_s = 0.0
        self._failures = 0
        self._odd = 0
        self._limit = sink.max_batch
        # Accepted, and not noted yet because the file could not be written.
        self._unnoted: tuple[int, int] | None = None
        self.last_error: str | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"workbench-telemetry-{sink.name}", daemon=True
        )

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something new."""
        self._woken.set()

    def hurry(self) -> None:
        """Send now, also while it would wait after a failure."""
        self.failed.clear()
        self._hurry.set()
        self._woken.set()

    def finish(self) -> None:
        """Send what waits, unless the sink fails, and end."""
        self._stopping.set()
        self._woken.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the end."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    @property
    def holds(self) -> bool:
        """Whether it is this process that sends."""
        return self._lock is not None

    def _run(self) -> None:
        try:
            while True:
                stopping = self._stopping.is_set()  # before the round, which may be the last
                more = self._round()
                if more:
                    continue
                if stopping:
                    break
                self._rest()
        finally:
            self._release()
            self._close_sink()

    def _rest(self) -> None:
        if self._retry_at_s > time.monotonic():
            # New rows change nothing for a sink that fails; only being asked or the end does.
            self._woken.clear()
            self._wait_for_hurry()
        elif self._woken.wait(LOOK_S) and not self._hurry.is_set():
            self._stopping.wait(GATHER_S)
        self._woken.clear()

    def _wait_for_hurry(self) -> None:
        while (left_s := self._retry_at_s - time.monotonic()) > 0:
            if self._hurry.is_set() or self._stopping.is_set():
                return
            self._woken.wait(left_s)
            self._woken.clear()

    def _round(self) -> bool:
        """Do what can be done now; say whether to go on at once."""
        hurried = self._hurry.is_set()
        if not hurried and time.monotonic() < self._retry_at_s:
            return False
        self._hurry.clear()
        try:
            return self._hold() and self._send_some(self._opened())
        except (WorkbenchError, OSError) as error:  # the file, not the sink
            self.last_error = getattr(error, "message", str(error))
            self._pause(LOOK_S)
            self._release()
            return False

    def _hold(self) -> bool:
        if self._store is not None and not self._store.is_current():
            self._release()  # the state folder was deleted, and the lock file with it
        if self._lock is None:
            name = re.sub(r"[^\w.-]", "_", self.sink.name)
            self._lock = try_to_hold(self.path.with_name(f".{self.path.name}.{name}.lock"))
        return self._lock is not None

    def _opened(self) -> Outbox:
        if self._store is None:
            self._store = Store(self.path)
            Outbox(self._store).admit(self.sink.name, self._after_seq)
        return Outbox(self._store)

    def _release(self) -> None:
        if self._store is not None:
            self._store.close()
        if self._lock is not None:
            self._lock.close()
        self._store = self._lock = None

    def _send_some(self, outbox: Outbox) -> bool:
        self._note(outbox)
        rows = outbox.waiting(self.sink.name, self._limit)
        if not rows:
            return False
        records = [record for _, record in rows]
        try:
            self.sink.send(records)
        except SinkError as error:
            return self._refused(outbox, records, error)
        except Exception as error:  # a mistake in the sink must not stop the others of its batch
            return self._odd_one(outbox, records, error)
        self._failures = self._odd = 0
        self._limit = min(self.sink.max_batch, self._limit * 2)
        self._unnoted = (rows[-1][0], len(rows))
        self._note(outbox)
        return True

    def _note(self, outbox: Outbox) -> None:
        """Note what was accepted; if the file is full or locked, before anything else is sent."""
        if self._unnoted:
            up_to, count = self._unnoted
            outbox.accepted(self.sink.name, up_to=up_to, count=count)
            self._unnoted = None

    def _refused(
        self, outbox: Outbox, records: Sequence[TelemetryRecord], error: SinkError
    ) -> bool:
        rejected = [record for record in records if record.id in error.rejected]
        if rejected:
            outbox.set_aside(self.sink.name, rejected, error.message)
            if error.retry_after_s is None and not error.permanent:
                return True  # the others may be accepted now
        self._wait_after(outbox, error.message, error.retry_after_s, permanent=error.permanent)
        return False

    def _odd_one(
        self, outbox: Outbox, records: Sequence[TelemetryRecord], error: Exception
    ) -> bool:
        """Send smaller and smaller batches, until the record that it is about is found."""
        said = f"{type(error).__name__}: {error}"
        self._limit = max(1, len(records) // 2)
        self._odd = self._odd + 1 if len(records) == 1 else 0
        if self._odd >= MAX_ODD:
            self._odd = 0
            outbox.set_aside(self.sink.name, records, said)
            return True
        if len(records) > 1:
            return True
        self._wait_after(outbox, said, None, permanent=False)
        return False

    def _wait_after(
        self, outbox: Outbox, said: str, retry_after_s: float | None, *, permanent: bool
    ) -> None:
        self._failures += 1
        wait_s = backoff_s(self._failures, retry_after_s, permanent=permanent)
        self._pause(wait_s)
        self.failed.set()
        retry_at = datetime.now(UTC) + timedelta(seconds=wait_s)
        outbox.failed(self.sink.name, said, retry_at=retry_at, permanent=permanent)

    def _pause(self, wait_s: float) -> None:
        self._retry_at_s = time.monotonic() + wait_s

    def _close_sink(self) -> None:
        try:
            self.sink.close()
        except Exception as error:  # nobody is there any more to be told
            self.last_error = f"{type(error).__name__}: {error}"


def backoff_s(failures: int, retry_after_s: float | None = None, *, permanent: bool) -> float:
    """
    Return how long to wait after so many failures in a row.

    Doubled each time, up to a minute, and shortened at random by up to a half. A
    sink that says when to come is taken at its word, for up to an hour.
    """
    if retry_after_s is not None:
        return min(max(0.0, retry_after_s), LONGEST_RETRY_AFTER_S)
    if permanent:
        return PERMANENT_WAIT_S
    full_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 1, 30))
    return full_s * random.uniform(0.5, 1.0)
