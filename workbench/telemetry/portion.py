"""
How many records a sink is sent at once, and who is to blame when it refuses some. Pure.

A batch that is refused for what is in it is sent in halves. A record that is refused
alone is set apart, and judged when one behind it is taken: then it was the record.
Where none is, it is the address, and nothing is given up for its sake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .sinks.base import RefusedBatchError

GIVE_UP_AFTER = 10
"""So many refused alone, and none taken: it is not the records."""

GIVE_UP_AFTER_LARGE = 100
"""For those that were too large: long prompts come in a row."""

STEPS_TO_GROW = 8
"""An address that has once found a batch too large is tried with twice as many so seldom."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A record that was refused alone, as the address said."""

    why: str
    too_large: bool


class Portion:
    """
    What to send to one sink next.

    Args:
        most: Records in one call, at most.

    Attributes:
        size: Records in the next call, at most.

        suspects: By id; they are not sent again until they are judged or forgotten.
    """

    def __init__(self, most: int) -> None:
        self.size = most
        self.suspects: dict[str, Suspect] = {}
        self._most = most
        self._step = 1
        self._taken = 0

    def taken(self) -> dict[str, str]:
        """Hear that some were taken; return those refused before, which are to blame, and why."""
        self._taken += 1
        if self._taken >= self._step:
            self._taken = 0
            self.size = min(self._most, self.size * 2)
        blamed = {each: suspect.why for each, suspect in self.suspects.items()}
        self.suspects = {}
        return blamed

    def refused(self, ids: Sequence[str], refusal: RefusedBatchError) -> None:
        """Hear that a batch was refused: send fewer, or set the one aside that was alone."""
        self._taken = 0
        if len(ids) > 1:
            self.size = len(ids) // 2
            self._step = STEPS_TO_GROW if refusal.too_large else 1
        else:
            self.size = 1
            self.suspects[ids[0]] = Suspect(refusal.why, refusal.too_large)

    @property
    def none_is_taken(self) -> bool:
        """Whether so many were refused that it must be the address."""
        others = sum(not suspect.too_large for suspect in self.suspects.values())
        return others >= GIVE_UP_AFTER or len(self.suspects) >= GIVE_UP_AFTER_LARGE

    def why(self) -> str:
        """Say what the address said of the first suspect."""
        first = next(iter(self.suspects.values())).why
        return f"{first} It took none of {len(self.suspects)} records that were sent alone."

    def forget(self) -> None:
        """Have the suspects sent once more."""
        self.suspects = {}
