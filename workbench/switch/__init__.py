"""
From one model to another without changing an application, and back if it fails.
"""

from .dry_run import dry_run
from .gate import Gate
from .journal import Journal
from .use import forget, settle, use, what_is_under_way

__all__ = ["Gate", "Journal", "dry_run", "forget", "settle", "use", "what_is_under_way"]
