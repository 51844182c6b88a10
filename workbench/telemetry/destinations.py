"""
Where rows are sent to: the names of sinks at once, the sinks when a thread has time for it.

A name is known from the settings alone. What a sink needs may take seconds to
import, and a process may end before that; its rows must be due to the sink all
the same, so the writer notes the name beside the first of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..settings import Settings
    from .sinks.base import Sink


class Destinations(Protocol):
    """Both methods are called by threads, and may be called often."""

    def names(self) -> Sequence[str]:
        """Name the sinks that ``open`` will return."""
        ...

    def open(self) -> Sequence[Sink]:
        """Open the sinks."""
        ...


class Configured:
    """Those that the settings turn on; nothing is imported before it is needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def names(self) -> Sequence[str]:
        """Name them."""
        from .sinks import names_of

        return names_of(self._settings)

    def open(self) -> Sequence[Sink]:
        """Open them."""
        from .sinks import open_sinks

        return open_sinks(self._settings)
