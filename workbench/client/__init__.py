"""
Talk to a server that speaks OpenAI's chat API: :class:`Client`.

Importing this is cheap; the OpenAI SDK is imported with the first request.
"""

from __future__ import annotations

from .base import Timeouts
from .client import Client
from .stream import AsyncStream, Stream

__all__ = ["AsyncStream", "Client", "Stream", "Timeouts"]
