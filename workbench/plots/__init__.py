"""
Pictures. matplotlib is imported with this package, and by nothing else.
"""

from .bench import against_load, curve, itl, timeline
from .memory import memory
from .telemetry import errors, latency, tokens, ttft
from .tune import gains

__all__ = [
    "against_load",
    "curve",
    "errors",
    "gains",
    "itl",
    "latency",
    "memory",
    "timeline",
    "tokens",
    "ttft",
]
