"""
Moving an application over: what in it talks to a model, rewritten where that is certain.
"""

from __future__ import annotations

from .checklist import CHECKLIST, Item, checklist
from .folder import FileRead, Migration, examine, write

__all__ = ["CHECKLIST", "FileRead", "Item", "Migration", "checklist", "examine", "write"]
