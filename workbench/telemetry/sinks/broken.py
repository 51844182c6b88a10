"""
What stands where a sink could not be opened, and says why whenever it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import SinkError, WorkbenchError
from ..record import TelemetryRecord


class BrokenSink:
    """A sink that a setting asks for and that cannot be there: its records wait in the outbox."""

    max_batch = 1

    def __init__(self, name: str, cause: Exception) -> None:
        self.name = name
        self.cause = cause

    def send(self, records: Sequence[TelemetryRecord]) -> None:
        """Take none, and say what is wrong."""
        message, hint = f"{type(self.cause).__name__}: {self.cause}", None
        if isinstance(self.cause, WorkbenchError):
            message, hint = self.cause.message, self.cause.hint
        raise SinkError(
            message,
            hint=hint,
            sink=self.name,
            permanent=True,
        ) from self.cause

    def close(self) -> None:
        """Do nothing: nothing was opened."""
