"""
What views share: paths as they can be typed here, and text that is broken at its spaces.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def wrapped(text: str) -> str:
    """Break a text at its spaces only: an option cut at its hyphens cannot be copied."""
    return fill(
        text,
        96,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def near(path: Path) -> str:
    """Write a path as short as it can be typed from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
