"""
Talk to a server that speaks OpenAI's chat API: :class:`Client`.

Importing this is cheap; the OpenAI SDK is imported with the first request.
"""

from __future__ import annotations

from .ask import Ask
from .base import Retries, Timeouts
from .batch import Row, amap
from .client import Client
from .messages import Messages
from .pictures import read_image
from .stream import AsyncStream, Stream
from .tools import tool_schema

__all__ = [
    "Ask",
    "AsyncStream",
    "Client",
    "Messages",
    "Retries",
    "Row",
    "Stream",
    "Timeouts",
    "amap",
    "read_image",
    "tool_schema",
]
