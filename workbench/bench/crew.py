"""
Several processes that send a load as one, wherever they run.

Each member of a crew sends a share and says what there is to say in words that are
the same on a pipe (:mod:`.processes`) and over a cluster (:mod:`.ray_workers`):

======================  ==================================================
the lead                a member
======================  ==================================================
its share
                        ``None``, when its connections stand
when to begin
                        :class:`.Progress`, a few times a second
                        :class:`.Load`, or the exception that ended it
======================  ==================================================

Who fails before the beginning ends it all: nothing was measured. Who is lost after
it has a share of errors, and what the others found is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from ..errors import WorkbenchError
from .load import Interrupted, Load, OnProgress, Progress
from .loop import CHECK_S
from .split import Share, merged, nothing, summed, unanswered

Word: TypeAlias = Progress | Load | Interrupted | WorkbenchError | None


class Crew(Protocol):
    """Who sends, as the lead sees them: by their numbers, and on the lead's clock."""

    begins_in_s: float
    """From the last one's word that it is connected until all begin: they must have heard of it."""

    def heard(self) -> list[tuple[int, Word]]:
        """Wait for words a quarter of a second at most; return them, with who said each."""
        ...

    def begin(self, at_s: float) -> None:
        """Tell all when to begin."""
        ...

    def stop(self) -> None:
        """Have all stop, and say what they have until then."""
        ...


@dataclass(slots=True, eq=False)
class Member:
    """What one has said last."""

    share: Share
    connected: bool = False
    progress: Progress = field(
        default_factory=lambda: Progress(elapsed_s=0, sent=0, done=0, failed=0, tokens=0)
    )
    load: Load | None = None
    failed: WorkbenchError | None = None

    def take(self, word: Word) -> None:
        """Take its next word."""
        match word:
            case None:
                self.connected = True
            case Progress():
                self.progress = word
            case Load():
                self.load = word
            case Interrupted():
                self.load = word.load
            case WorkbenchError():
                self.failed = word

    @property
    def has_ended(self) -> bool:
        """Whether it will say no more."""
        return self.load is not None or self.failed is not None

    def found(self, began_s: float) -> Load:
        """Return what its share came to."""
        if self.load is not None:
            return self.load
        sent = None if self.share.stop_s is None else self.progress.sent
        why = self.failed.message if self.failed else ""
        return unanswered(self.share, why, began_s=began_s, sent=sent)


def lead(crew: Crew, shares: Sequence[Share], on_progress: OnProgress | None = None) -> Load:
    """
    Have all begin at one moment, and lay together what they found.

    Raises:
        WorkbenchError: One failed before the beginning, or all after it.

        Interrupted: By the user; it has what there was until then.
    """
    members = [Member(share) for share in shares]
    began_s: float | None = None
    try:
        _hear(crew, members, lambda member: member.connected or member.has_ended)
        _raise_what_failed(members, any)
        began_s = time.monotonic() + crew.begins_in_s
        crew.begin(began_s)
        _hear(crew, members, lambda member: member.has_ended, on_progress)
    except KeyboardInterrupt:
        crew.stop()
        _hear(crew, members, lambda member: member.has_ended)
        raise Interrupted(_together(members, began_s)) from None
    _raise_what_failed(members, all)
    return _together(members, began_s)


def _hear(
    crew: Crew,
    members: Sequence[Member],
    enough: Callable[[Member], bool],
    on_progress: OnProgress | None = None,
) -> None:
    """Listen until *enough* is true of each."""
    told_s = time.monotonic()
    while not all(map(enough, members)):
        for number, word in crew.heard():
            members[number].take(word)
        if on_progress and time.monotonic() - told_s >= CHECK_S:
            told_s = time.monotonic()
            on_progress(summed([member.progress for member in members]))


def _raise_what_failed(members: Sequence[Member], how_many: Callable[[list[bool]], bool]) -> None:
    if how_many([member.failed is not None for member in members]):
        raise next(member.failed for member in members if member.failed)


def _together(members: Sequence[Member], began_s: float | None) -> Load:
    if began_s is None:
        return nothing()
    return merged([member.found(began_s) for member in members])
