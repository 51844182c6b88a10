"""
What every place that records are sent to promises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..record import TelemetryRecord


class RefusedBatchError(Exception):
    """
    A batch was refused for what is in it, or for its size; a smaller one may be taken.

    Args:
        why: What the address said, as a sentence.

        too_large: Its size is what is wrong.
    """

    def __init__(self, why: str, *, too_large: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.too_large = too_large


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
            RefusedBatchError: None was taken, and fewer at once may be.
            SinkError: Not all were, now or ever; it says how many are done with.
        """
        ...

    def close(self) -> None:
        """Release what it holds. Idempotent."""
        ...
