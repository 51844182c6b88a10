"""
From one model to another without changing an application, and back if it fails.

Only what every client asks before a request is imported here; a switch itself is ``use``, and
brings the planner, the catalogue and more.
"""

from .gate import Gate
from .journal import Journal

__all__ = ["Gate", "Journal"]
