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
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from ..errors import SinkError, WorkbenchError
from ..filelock import try_to_hold
from .outbox import Outbox, Progress, last_seq
from .portion import Portion
from .record import TelemetryRecord
from .sinks.base import RefusedBatchError, Sink
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
"""So often a single record is tried that makes a sink raise what it does not promise."""


class Courier:
    """
    Sends what *sink* has not had.

    Args:
        path: The telemetry file.
    """

    def __init__(self, path: Path, sink: Sink) -> None:
        self.path = path
        self.sink = sink
        self.failed = threading.Event()
        self._woken = threading.Event()
        self._hurry = threading.Event()
        self._stopping = threading.Event()
        self._lock: IO[str] | None = None
        self._store: Store | None = None
        self._retry_at_s = 0.0
        self._failures = 0
        self._odd = 0
        self._portion = Portion(sink.max_batch)
        self._judge_at_s: float | None = None
        # What could not be noted yet, because the file could not be written.
        self._unnoted: Progress | None = None
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
        if hurried:
            self._retry_at_s = 0.0
            self._forget()
        try:
            return self._hold() and self._send_some(self._opened())
        except (WorkbenchError, OSError) as error:  # the file, not the sink
            self.last_error = getattr(error, "message", str(error))
            self._pause(LOOK_S)
            self._release()
            return False

    def _hold(self) -> bool:
        if self._store is not None and not self._store.is_current():
            # The state folder was deleted, and the lock file with it.
            self._release()
            self._forget()
        if self._lock is None:
            name = re.sub(r"[^\w.-]", "_", self.sink.name)
            self._lock = try_to_hold(self.path.with_name(f".{self.path.name}.{name}.lock"))
        return self._lock is not None

    def _opened(self) -> Outbox:
        if self._store is None:
            self._store = Store(self.path)
            Outbox(self._store).admit(self.sink.name)
            if self._unnoted and self._unnoted.up_to > last_seq(self._store):
                self._unnoted = None  # it was of another file
        return Outbox(self._store)

    def _release(self) -> None:
        if self._store is not None:
            self._store.close()
        if self._lock is not None:
            self._lock.close()
        self._store = self._lock = None

    def _send_some(self, outbox: Outbox) -> bool:
        self._note(outbox)
        rows = outbox.waiting(self.sink.name, self._portion.size, without=self._portion.suspects)
        if not rows:
            return self._only_suspects(outbox)
        records = [record for _, record in rows]
        try:
            self.sink.send(records)
        except SinkError as error:
            return self._came_to(outbox, rows, error)
        except RefusedBatchError as refusal:
            return self._refused(outbox, records, refusal)
        except Exception as error:  # a mistake in the sink must not stop the others of its batch
            return self._odd_one(outbox, records, error)
        self._done(outbox, Progress(up_to=rows[-1][0], count=len(rows)))
        return True

    def _done(self, outbox: Outbox, progress: Progress) -> None:
        self._failures = self._odd = 0
        self.failed.clear()
        if progress.count:
            blamed = self._portion.taken()
            self._judge_at_s = None
            progress = replace(
                progress,
                num_rejected=progress.num_rejected + len(blamed),
                rejected={**blamed, **progress.rejected},
                said=progress.said or next(iter(blamed.values()), None),
            )
        self._unnoted = progress
        self._note(outbox)

    def _note(self, outbox: Outbox) -> None:
        """Note what is done; if the file is full or locked, before anything else is sent."""
        if self._unnoted:
            outbox.done(self.sink.name, self._unnoted)
            self._unnoted = None

    def _came_to(
        self, outbox: Outbox, rows: Sequence[tuple[int, TelemetryRecord]], error: SinkError
    ) -> bool:
        """Note how many the sink is done with, and wait before the others."""
        if error.done:
            progress = Progress(
                up_to=rows[error.done - 1][0],
                count=error.done - error.num_rejected,
                num_rejected=error.num_rejected,
                rejected=dict.fromkeys(error.rejected, error.message),
                said=error.message,
            )
            self._done(outbox, progress)
        if error.done == len(rows):
            return True
        self._wait_after(outbox, error.message, error.retry_after_s, permanent=error.permanent)
        return False

    def _refused(
        self, outbox: Outbox, records: Sequence[TelemetryRecord], refusal: RefusedBatchError
    ) -> bool:
        """Send fewer, or the others, until it is clear who is to blame."""
        self._odd = 0
        self._portion.refused([record.id for record in records], refusal)
        if not self._portion.none_is_taken:
            return True
        self._wait_after(outbox, self._portion.why(), None, permanent=True)
        self._forget()
        return False

    def _only_suspects(self, outbox: Outbox) -> bool:
        """Whoever waits was refused alone: wait for another record, or somebody's correction."""
        if not self._portion.suspects:
            return False
        if self._judge_at_s is None:
            self._say(outbox, self._portion.why(), PERMANENT_WAIT_S, permanent=True)
            self._judge_at_s = time.monotonic() + PERMANENT_WAIT_S
        elif time.monotonic() > self._judge_at_s:
            self._forget()
            return True
        return False

    def _forget(self) -> None:
        """Have the suspects sent once more."""
        self._portion.forget()
        self._judge_at_s = None

    def _odd_one(
        self, outbox: Outbox, records: Sequence[TelemetryRecord], error: Exception
    ) -> bool:
        """Take it for a refusal, of a single record when it has been tried more than once."""
        said = f"{type(error).__name__}: {error}"
        self._odd = self._odd + 1 if len(records) == 1 else 0
        if 0 < self._odd < MAX_ODD:
            self._wait_after(outbox, said, None, permanent=False)
            return False
        return self._refused(outbox, records, RefusedBatchError(said))

    def _wait_after(
        self, outbox: Outbox, said: str, retry_after_s: float | None, *, permanent: bool
    ) -> None:
        self._failures += 1
        wait_s = backoff_s(self._failures, retry_after_s, permanent=permanent)
        self._pause(wait_s)
        self._say(outbox, said, wait_s, permanent=permanent)

    def _say(self, outbox: Outbox, said: str, wait_s: float, *, permanent: bool) -> None:
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
