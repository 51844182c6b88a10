"""
What applications were written for before, and what becomes of it: text in, places and new text out.

Nothing here reads or writes a file of an application, and nothing talks to a server.
"""

from __future__ import annotations

from .places import MARK, Place, Reading
from .read import READERS, is_read, read
from .shared import shared_models

__all__ = ["MARK", "READERS", "Place", "Reading", "is_read", "read", "shared_models"]
