"""
Pictures. matplotlib is imported with this package, and by nothing else.
"""

from .memory import memory

__all__ = ["memory"]
