"""
The refactor checklist, asked of an application: what is done, and what is to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..legacy import Place
from ..legacy.places import State

CHECKLIST: Mapping[int, str] = {
    1: "the model's client stands behind a small adapter",
    2: "no old bindings, and no HTTP by hand",
    3: "streams are passed on as they come",
    4: "sampling parameters are said, by their new names",
    5: "system prompts and tools are in messages and tools",
    6: "time-outs and retries",
    7: "a record of each request: prompt hash, params, tokens, latency, status",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """
    One point of the checklist.

    Args:
        state: ``–`` where nothing in the application concerns it.

        left: Places that are not moved yet.

        moved: Places that are.
    """

    number: int
    title: str
    state: Literal["done", "to do", "–"]
    left: int
    moved: int


def checklist(places: Iterable[Place]) -> tuple[Item, ...]:
    """Go through the points."""
    listed = list(places)
    return tuple(_item(number, listed) for number in CHECKLIST)


def _item(number: int, places: Iterable[Place]) -> Item:
    concerned = [place.state for place in places if number in place.items]
    moved = concerned.count(State.MOVED)
    left = len(concerned) - moved
    state: Literal["done", "to do", "–"] = "to do" if left else "done" if moved else "–"
    return Item(number=number, title=CHECKLIST[number], state=state, left=left, moved=moved)
