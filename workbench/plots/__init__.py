"""
Pictures. matplotlib is imported with this package, and by nothing else.
"""

from .memory import memory
from .telemetry import errors, latency, tokens, ttft

__all__ = ["errors", "latency", "memory", "tokens", "ttft"]
