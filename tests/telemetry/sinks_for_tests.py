"""A sink that does what it is told, and remembers what it was sent; and what is known of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tests.helpers import eventually
from workbench.telemetry import Sink, SinkStatus, Telemetry, TelemetryRecord
from workbench.telemetry.sinks.base import RefusedBatchError


class ScriptedSink:
    """
    Accepts everything, except what the script says.

    Args:
        script: What becomes of the calls to come: an error to raise, or an event to wait for.
    """

    def __init__(
        self, *script: Exception | threading.Event, name: str = "scripted", max_batch: int = 100
    ) -> None:
        self.name = name
        self.max_batch = max_batch
        self.script = list(script)
        self.batches: list[list[str]] = []
        self.taken: list[str] = []
        self.breaks_on: set[str] = set()
        self.refuses: set[str] = set()
        self.refuses_all = False
        self.takes_at_most = max_batch
        self.closed = 0

    def send(self, records: Sequence[TelemetryRecord]) -> None:
        self.batches.append([record.id for record in records])
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        if isinstance(step, threading.Event):
            step.wait(10)
        if self.breaks_on & set(self.batches[-1]):
            raise TypeError("it has no form for this")
        if self.refuses_all or self.refuses & set(self.batches[-1]):
            raise RefusedBatchError("It is not understood.")
        if len(records) > self.takes_at_most:
            raise RefusedBatchError("That is too much.", too_large=True)
        self.taken += self.batches[-1]

    def close(self) -> None:
        self.closed += 1

    @property
    def ids(self) -> list[str]:
        """All that it was sent, in order, repetitions included."""
        return [each for batch in self.batches for each in batch]


class These:
    """These sinks, under their own names; *slow* is waited for before they are opened."""

    def __init__(self, *sinks: Sink, slow: threading.Event | None = None) -> None:
        self.sinks = sinks
        self.slow = slow

    def names(self) -> Sequence[str]:
        return [sink.name for sink in self.sinks]

    def open(self) -> Sequence[Sink]:
        if self.slow:
            self.slow.wait(30)
        return self.sinks


def ids(telemetry: Telemetry) -> list[str]:
    """The rows that are in the file."""
    return telemetry.frame()["id"].tolist()


def status(telemetry: Telemetry, name: str = "scripted") -> SinkStatus:
    """How far a sink is, once it is known."""
    found: list[SinkStatus] = []

    def known() -> bool:
        found[:] = [sink for sink in telemetry.stored().sinks if sink.name == name]
        return bool(found)

    assert eventually(known)
    return found[0]
