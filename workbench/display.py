"""
A table in three forms: text for terminals and logs, HTML for notebooks, data for programs.

All escaping happens here. ``_repr_mimebundle_`` is IPython's protocol, so a
notebook shows a view without this module knowing IPython.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

GAP = "  "

STYLE = (
    "font-variant-numeric:tabular-nums;border-collapse:collapse;"
    "color:var(--jp-ui-font-color1,inherit)"
)


# Colours go; of the rest that a terminal obeys, or cannot write, a mark stays.
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def for_terminal(text: str) -> str:
    """
    Return text from outside so that a terminal only writes it.

    It obeys escape sequences, whoever sent them: a model, a server, a proxy.
    """
    return _COMMANDS.sub("\N{REPLACEMENT CHARACTER}", _COLOURS.sub("", text).replace("\r\n", "\n"))


@dataclass(frozen=True, kw_only=True)
class View:
    """
    Something to show: rows under columns, with a line above and a line below.

    Args:
        rows: Cells as text, one per column. Without columns the first cell of
            a row is its name.

        numeric: The columns to align at the right.

        data: The same for programs: what ``--json`` prints.

        ok: Whether what was checked holds; the shell's exit status is 1 if not.

        unsure: Something could not be told, and the rest holds; the exit status is 4.
    """

    title: str | None = None
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    note: str | None = None
    numeric: frozenset[str] = frozenset()
    data: Any = None
    ok: bool = True
    unsure: bool = False

    def __str__(self) -> str:
        """Lay it out for a fixed-width font."""
        table = ([self.columns] if self.columns else []) + list(self.rows)
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [self._line(cells, widths) for cells in table]
        return for_terminal("\n".join(part for part in (self.title, *lines, self.note) if part))

    def __repr__(self) -> str:
        return str(self)

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        padded = [
            cell.rjust(width) if self._is_numeric(index) else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return GAP.join(padded).rstrip()

    def _is_numeric(self, index: int) -> bool:
        return bool(self.columns) and self.columns[index] in self.numeric

    def _repr_mimebundle_(self, **_ignored: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.html()}

    def html(self) -> str:
        """Write it as an HTML table that takes its colours from JupyterLab's theme."""
        parts = []
        if self.title:
            parts.append(f"<div>{escape(self.title)}</div>")
        if self.rows or self.columns:
            head = self._html_row(self.columns, "th") if self.columns else ""
            body = "".join(self._html_row(row, "td") for row in self.rows)
            parts.append(f"<table style='{STYLE}'>{head}{body}</table>")
        if self.note:
            # A note may have lines of its own, such as a failed cell's.
            style = "opacity:.75;white-space:pre-wrap"
            parts.append(f"<div style='{style}'>{escape(self.note)}</div>")
        return "".join(parts)

    def _html_row(self, cells: Sequence[str], tag: str) -> str:
        written = "".join(
            f"<{tag} style='text-align:{'right' if self._is_numeric(index) else 'left'}'>"
            f"{escape(cell)}</{tag}>"
            for index, cell in enumerate(cells)
        )
        return f"<tr>{written}</tr>"


@dataclass(frozen=True)
class Json:
    """Data to print for a program; *ok* and *unsure* as in :class:`View`."""

    data: Any
    ok: bool = True
    unsure: bool = False

    def __str__(self) -> str:
        return json.dumps(self.data, indent=2, default=str)

    __repr__ = __str__
