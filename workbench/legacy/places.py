"""
Places in an application that talk to a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MARK = "# migrate: "
"""Begins a comment that is left for a person. Whoever has decided deletes it."""

ADAPTER = "llm_client"
"""The module that applications have afterwards."""


class State(StrEnum):
    """
    What is to be done about a place.

    ``write``: its new form is certain. ``decide``: a person has to. ``moved``:
    it is done, and counts for the checklist only.
    """

    WRITE = "write"
    DECIDE = "decide"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    One place.

    Args:
        line: Counted from 1; in a notebook, of the cell.

        cell: In a notebook, the cell's number from 1.

        what: What it is.

        seen: Its code.

        becomes: Its code afterwards; ``None`` where that is not certain.

        changes: What it means from now on, where that differs.

        decide: What a person has to think about.

        items: Of the checklist, which it concerns.
    """

    line: int
    what: str
    seen: str
    state: State
    becomes: str | None = None
    changes: tuple[str, ...] = ()
    decide: tuple[str, ...] = ()
    items: tuple[int, ...] = ()
    cell: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    What was found in a text, and the text afterwards.

    Args:
        adapters: Files that the new text imports.
    """

    places: tuple[Place, ...] = ()
    text: str
    adapters: tuple[str, ...] = ()
