"""
Where records are sent to: a file for each.
"""

from __future__ import annotations

from ...settings import Settings
from .base import Sink

__all__ = ["Sink", "open_sinks"]


def open_sinks(_settings: Settings) -> list[Sink]:
    """Open the sinks that the settings turn on."""
    return []
