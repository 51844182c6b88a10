"""
The couriers of one process, a thread for each sink, so that a dead one delays nobody.
"""

from __future__ import annotations

import atexit
import threading
import time
from pathlib import Path

from ..errors import WorkbenchError
from .courier import Courier
from .destinations import Destinations
from .outbox import Outbox, SinkStatus, last_seq
from .store import Store

GOODBYE_S = 2.0
"""How long the end of a process waits for sinks that are well."""

POLL_S = 0.02


class Dispatcher:
    """
    Sends the rows of the file at *path* to the sinks of *destinations*.

    They are opened by a thread: what they need may take seconds to import.
    """

    def __init__(self, path: Path, destinations: Destinations) -> None:
        self.path = path
        self.last_error: WorkbenchError | None = None
        self.couriers: tuple[Courier, ...] = ()
        self._destinations = destinations
        self._opened = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        atexit.register(self.close)

    def start(self) -> None:
        """Open the sinks and begin to send, once."""
        with self._starting:
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(
                    target=self._open, name="workbench-telemetry-sinks", daemon=True
                )
                self._thread.start()

    def wake(self) -> None:
        """Say that there are new rows."""
        for courier in self.couriers:
            courier.wake()

    def deliver(self, timeout_s: float, *, from_start: bool = False) -> bool:
        """
        Send everything that waits now, and wait for it.

        Args:
            from_start: Send all rows that are in the file, also those from before
                a sink was turned on and those it has had.

        Returns:
            Whether every sink has had everything: false when one failed or refused a
            record, or time ran out.

        Raises:
            WorkbenchError: The sinks could not be opened.
        """
        until_s = time.monotonic() + timeout_s
        self.start()
        if not self._opened.wait(timeout_s):
            return False
        if self.last_error:
            raise self.last_error
        if not self.couriers:
            return True
        with Store(self.path) as store:
            outbox = Outbox(store)
            for courier in self.couriers:
                outbox.admit(courier.sink.name)
                if from_start:
                    outbox.rewind(courier.sink.name)
            before = self._rejected(outbox)
            for courier in self.couriers:
                courier.hurry()
            delivered = self._wait(outbox, last_seq(store), until_s)
            return delivered and self._rejected(outbox) == before

    def stop(self) -> None:
        """End the threads after what waits, without waiting for them."""
        self._stopping = True
        for courier in self.couriers:
            courier.finish()

    def close(self, timeout_s: float = GOODBYE_S) -> None:
        """Send what waits to the sinks that are well, and end. Closing twice is fine."""
        atexit.unregister(self.close)
        until_s = time.monotonic() + timeout_s
        if self._thread is not None:
            self._opened.wait(timeout_s)
        self.stop()
        for courier in self.couriers:
            courier.join(max(0.0, until_s - time.monotonic()))

    def _open(self) -> None:
        try:
            sinks = self._destinations.open()
            self.couriers = tuple(Courier(self.path, sink) for sink in sinks)
            for courier in self.couriers:
                courier.start()
        except WorkbenchError as error:
            self.last_error = error
        except Exception as error:  # a sink's own; whoever asks for the status reads it
            self.last_error = WorkbenchError(f"{type(error).__name__}: {error}")
        finally:
            self._opened.set()
            if self._stopping:
                self.stop()

    def _wait(self, outbox: Outbox, up_to: int, until_s: float) -> bool:
        while True:
            failed = {courier.sink.name for courier in self.couriers if courier.failed.is_set()}
            behind = {
                status.name
                for status in self._statuses(outbox)
                if status.waiting and status.cursor < up_to
            }
            if not behind:
                return True
            if behind <= failed or time.monotonic() > until_s:
                return False
            time.sleep(POLL_S)

    def _rejected(self, outbox: Outbox) -> int:
        return sum(status.rejected for status in self._statuses(outbox))

    def _statuses(self, outbox: Outbox) -> list[SinkStatus]:
        names = {courier.sink.name for courier in self.couriers}
        return [status for status in outbox.statuses() if status.name in names]
