"""
A conversation that can be told otherwise: its turns as a tree, of which one path is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ..records import ChatMessage, Generation, ToolStep
from .markdown import Growing


class TurnState(StrEnum):
    """Where a turn is."""

    COMING = "coming"
    WHOLE = "whole"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(eq=False)
class Turn:
    """
    A question, and what was answered.

    Args:
        text: The answer so far.

        growing: Its HTML, as long as it comes.

        reasoning: What a model thought before it, so far.

        messages: What the answer adds to the conversation, calls and results of tools included.

        others: The turns that are beside this one: the same question again, or another.
    """

    question: str
    parent: Turn | None
    others: list[Turn] = field(default_factory=list)
    state: TurnState = TurnState.COMING
    text: str = ""
    growing: Growing = field(default_factory=Growing)
    reasoning: str = ""
    steps: list[ToolStep] = field(default_factory=list)
    messages: tuple[ChatMessage, ...] = ()
    generation: Generation | None = None
    error: tuple[str, str | None] | None = None
    following: list[Turn] = field(default_factory=list)
    chosen: int = 0

    @property
    def number(self) -> int:
        """Which of the turns beside each other it is, from 0."""
        return self.others.index(self)


class Branches:
    """The turns of a conversation, with the one that is shown where it was told in two ways."""

    def __init__(self) -> None:
        self._first: list[Turn] = []
        self._chosen_first = 0

    @property
    def path(self) -> list[Turn]:
        """The turns that are shown, in order."""
        path, beside, chosen = [], self._first, self._chosen_first
        while beside:
            turn = beside[chosen]
            path.append(turn)
            beside, chosen = turn.following, turn.chosen
        return path

    def add(self, question: str, *, after: Turn | None) -> Turn:
        """Ask after a turn, or first of all; what was said there already stays beside it."""
        beside = self._first if after is None else after.following
        turn = Turn(question, after, beside)
        beside.append(turn)
        self.choose(turn, len(beside) - 1)
        return turn

    def choose(self, turn: Turn, number: int) -> None:
        """Show another of the turns that are beside *turn*."""
        number %= len(turn.others)
        if turn.parent is None:
            self._chosen_first = number
        else:
            turn.parent.chosen = number

    @staticmethod
    def messages_before(turn: Turn) -> tuple[ChatMessage, ...]:
        """Return what was said before a turn; a question that got no answer was not said."""
        said: tuple[ChatMessage, ...] = ()
        above = turn.parent
        while above is not None:
            if above.messages:
                said = (ChatMessage("user", above.question), *above.messages, *said)
            above = above.parent
        return said
