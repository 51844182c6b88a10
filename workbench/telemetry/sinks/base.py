"""
What every place that records are sent to promises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..record import TelemetryRecord


class Sink(Protocol):
    """
    A place that records are sent to. Used by one thread, whose waiting delays nobody.

    Args:
        name: Stable: the outbox keeps by it how far the sink is.

        max_batch: Records in one call, at most.
    """

    name: str
    max_batch: int

    def send(self, records: Sequence[TelemetryRecord]) -> None:
        """
        Hand records over, and return when all are accepted; twice is as good as once.

        Raises:
            SinkError: Not all were, now or ever.
        """
        ...

    def close(self) -> None:
        """Release what it holds. Idempotent."""
        ...
