"""
The support matrix: which row applies to a machine, or which one is nearest. Pure, but for its file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from .image import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    A combination that somebody has said something about.

    Args:
        rocm: From the first on, up to and without the second.

        adrenalin: The oldest driver in Windows.

        image: ``None`` where there is none: then the row says what does not work.
    """

    name: str
    stack: str
    rocm: tuple[Version, Version]
    status: str
    source: str
    date: date
    adrenalin: Version | None = None
    ubuntu: tuple[str, ...] = ()
    cards: tuple[str, ...] = ()
    image: str | None = None
    vllm: str | None = None

    def has(self, rocm: Version) -> bool:
        """Whether a ROCm is of this row."""
        return self.rocm[0] <= rocm < self.rocm[1]


@cache
def matrix() -> tuple[Row, ...]:
    """Read the table."""
    text = (files("workbench.doctor") / "support_matrix.toml").read_text(encoding="utf-8")
    return tuple(map(_row, tomllib.loads(text)["row"]))


def applying(stack: str, rocm: Version) -> Row | None:
    """Find the row of a machine."""
    return next((row for row in matrix() if row.stack == stack and row.has(rocm)), None)


def nearest(stack: str, rocm: Version) -> Row | None:
    """Find the row with an image whose ROCm is nearest, of the same stack."""
    rows = [row for row in matrix() if row.stack == stack and row.image]
    return min(rows, key=lambda row: _distance(row.rocm[0], rocm), default=None)


def _distance(one: Version, other: Version) -> int:
    """Compare majors before minors before patches."""
    padded = [(*version, 0, 0, 0)[:3] for version in (one, other)]
    (a, b, c), (d, e, f) = padded
    return abs((a - d) * 10_000 + (b - e) * 100 + (c - f))


def _row(table: Mapping[str, Any]) -> Row:
    low, high = map(_version, table["rocm"])
    oldest = table.get("adrenalin")
    listed = {name: tuple(table.get(name, ())) for name in ("ubuntu", "cards")}
    return Row(
        **{
            **table,
            **listed,
            "rocm": (low, high),
            "adrenalin": _version(oldest) if oldest else None,
        }
    )


def _version(text: str) -> Version:
    return tuple(map(int, text.split(".")))
