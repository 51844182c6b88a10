"""
What views share: paths as they can be typed here, text broken at its spaces, differences.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from .. import units


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


def signed(value_s: float | None) -> str:
    """Write a difference too: the client's clock may stop before the server's."""
    if value_s is not None and value_s < 0:
        return f"−{units.seconds(-value_s)}"
    return units.seconds(value_s)
