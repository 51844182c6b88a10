"""
What is typed after an option, and is neither a number nor a choice.
"""

from __future__ import annotations

import re
from typing import Any

import click

UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """A time with its unit: ``90s``, ``20m``, ``1.5h``; a number alone is minutes."""

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it, into seconds."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|)", str(value).strip())
        if not found or not float(found[1]):
            self.fail(f"{value!r} is no time: 90s, 20m, 1.5h.", param, ctx)
        return float(found[1]) * UNITS_S[found[2] or "m"]
