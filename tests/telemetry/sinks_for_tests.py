"""A sink that does what it is told, and remembers what it was sent."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from workbench.telemetry import TelemetryRecord


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
        self.refuses: set[str] = set()
        self.closed = 0

    def send(self, records: Sequence[TelemetryRecord]) -> None:
        self.batches.append([record.id for record in records])
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        if isinstance(step, threading.Event):
            step.wait(10)
        if self.refuses & set(self.batches[-1]):
            raise TypeError("it has no form for this")

    def close(self) -> None:
        self.closed += 1

    @property
    def ids(self) -> list[str]:
        """All that it was sent, in order, repetitions included."""
        return [each for batch in self.batches for each in batch]
