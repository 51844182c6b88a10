"""
Comments that are left for a person, written and read back. Python's, TypeScript's and the shell's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from textwrap import wrap

from .places import Place, State

WIDTH = 84
WORD = "migrate: "
_GOES_ON = "  "


def comment_lines(text: str, sign: str = "#") -> list[str]:
    """Write a comment as lines; those after the first are set in."""
    first, *rest = wrap(WORD + text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return [f"{sign} {first}", *(f"{sign} {_GOES_ON}{line}" for line in rest)]


def comments_in(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Read the comments back: the number of each one's first line, from 1, and its text."""
    place = 0
    while place < len(lines):
        begun = _BEGINS.match(lines[place])
        place += 1
        if begun:
            number, parts = place, [begun["text"].strip()]
            while place < len(lines) and (more := _MORE.match(lines[place])):
                parts.append(more["text"].strip())
                place += 1
            yield number, " ".join(parts)


def comments_above(lines: Sequence[str], number: int) -> set[str]:
    """Read the comments that stand directly above line *number*."""
    first = number - 1
    while first > 0 and lines[first - 1].lstrip().startswith(("#", "//")):
        first -= 1
    return {text for _line, text in comments_in(lines[first : number - 1])}


def left_to_decide(
    lines: Sequence[str],
    places: Iterable[Place],
    concerns: Callable[[str], tuple[int, ...]] = lambda _text: (),
) -> list[Place]:
    """
    Find the comments that nobody has decided about, of places that are no more.

    Args:
        places: Those that are found in the code; what they ask is theirs.

        concerns: Which points of the checklist a comment is about.
    """
    own = {text for place in places for text in place.decide}
    return [
        Place(
            line=number,
            what="left to decide",
            seen=below(lines, number),
            state=State.DECIDE,
            decide=(text,),
            items=concerns(text),
        )
        for number, text in comments_in(lines)
        if text not in own
    ]


def below(lines: Sequence[str], number: int) -> str:
    """Return the first line of code below the comment on line *number*."""
    rest = (line.strip() for line in lines[number:])
    return next((line for line in rest if line and not line.startswith(("#", "//"))), "")


_BEGINS = re.compile(rf"\s*(?:#|//) {WORD}(?P<text>.*)")
_MORE = re.compile(rf"\s*(?:#|//) {_GOES_ON}(?P<text>\S.*)")
