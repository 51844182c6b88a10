"""
Numbers as people read them: ``182 ms``, ``15.3 GiB``, ``41.2 tok/s``. Pure.

Binary prefixes (GiB) for memory and files, decimal nowhere: a card's "24 GB"
is 23.94 GiB to the driver, and mixing them hides the difference. Unknown is
an en dash.
"""

from __future__ import annotations

UNKNOWN = "–"


def seconds(value: float | None) -> str:
    """
    Write a duration with three significant figures: µs, ms, s, then minutes.

    Examples:
        0.000031 → ``31 µs`` · 0.0423 → ``42.3 ms`` · 3.21 → ``3.21 s`` · 75 → ``1 min 15 s``
    """
    if value is None:
        return UNKNOWN
    if value < 0.9995e-3:
        return f"{_three(value * 1e6)} µs"
    if value < 0.9995:
        return f"{_three(value * 1e3)} ms"
    if value < 59.95:
        return f"{_three(value)} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def size(value: int | None) -> str:
    """
    Write bytes in the largest binary unit that leaves at least 1.

    Examples:
        512 → ``512 B`` · 2_900_000 → ``2.77 MiB`` · 25_707_937_792 → ``23.9 GiB``
    """
    if value is None:
        return UNKNOWN
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{value} B" if unit == "B" else f"{_three(amount)} {unit}"


def rate(value: float | None, unit: str = "tok/s") -> str:
    """Write a rate with three significant figures and its unit."""
    return UNKNOWN if value is None else f"{_three(value)} {unit}"


def count(value: int | None, noun: str = "") -> str:
    """Write a count with thousands separators; *noun* gets its plural s."""
    if value is None:
        return UNKNOWN
    if not noun:
        return f"{value:,}"
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def _three(value: float) -> str:
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
