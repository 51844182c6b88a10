"""
Turns that build on each other, in a notebook whose cells are run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from .client.messages import as_messages
from .notebook_cell import CellRun, running_cell
from .records import ChatMessage, Content, Generation, SamplingParams, ToolRun

if TYPE_CHECKING:
    from .client import Ask, Client
    from .session import Session

DEFAULT_PARAMS = SamplingParams()


@dataclass(frozen=True, slots=True)
class Turn:
    """What one asking added: the question, the calls of tools in between, the answer."""

    messages: tuple[ChatMessage, ...]
    cell: CellRun | None


class Conversation:
    """
    A conversation that a notebook can be run again in.

    A cell that is run a second time takes its turn back first, and with it all
    that was said after: those turns answered words that no longer stand. Several
    turns of one cell, in a loop, stay. In a script every turn is simply added.
    A turn that fails or is interrupted leaves everything as it was.

    Args:
        asks: Who carries it to the server.

        system: The system prompt, which stays the first message.

        params: How to sample, unless a turn says otherwise.

        where: Tells which cell is running.

    Examples:
        talk = session.conversation(system="You are a terse assistant.")
        talk.say("What is ROCm?").text
        talk.say("And what is HIP?").text
    """

    def __init__(
        self,
        asks: Client | Session,
        *,
        system: str | None = None,
        params: SamplingParams = DEFAULT_PARAMS,
        where: Callable[[], CellRun | None] = running_cell,
    ) -> None:
        self._asks = asks
        self.system = system
        self._params = params
        self._where = where
        self._turns: tuple[Turn, ...] = ()

    @property
    def _front(self) -> tuple[ChatMessage, ...]:
        return () if self.system is None else (ChatMessage("system", self.system),)

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """All that was said, the system prompt first."""
        return _joined(self._front, self._turns)

    def __len__(self) -> int:
        """How many turns it has."""
        return len(self._turns)

    def __repr__(self) -> str:
        return "\n".join(f"{message.role}: {_shown(message)}" for message in self.messages)

    def say(
        self, content: Content, params: SamplingParams | None = None, **ask: Unpack[Ask]
    ) -> Generation:
        """
        Ask the next question and keep the answer.

        Args:
            content: What to say, pictures included.

            ask: As for :meth:`workbench.Session.chat`.
        """
        sent = self.asking(content)
        answer = self._asks.chat(sent, params or self._params, **ask)
        self.keep(sent, (answer.message,))
        return answer

    def run_tools(
        self,
        content: Content,
        functions: Sequence[Callable[..., object]],
        params: SamplingParams | None = None,
        **how: Any,
    ) -> ToolRun:
        """Ask the next question with tools at hand; see :meth:`workbench.Session.run_tools`."""
        sent = self.asking(content)
        run = self._asks.run_tools(sent, functions, params or self._params, **how)
        self.keep(sent, run.messages[len(sent) :])
        return run

    def asking(self, content: Content) -> tuple[ChatMessage, ...]:
        """Return what is to be sent to ask this here; nothing is kept yet."""
        return as_messages((*_joined(self._front, self._standing()), ChatMessage("user", content)))

    def keep(self, sent: Sequence[ChatMessage], answered: Sequence[ChatMessage]) -> None:
        """Keep the turn that :meth:`asking` began and *answered* ended."""
        turn = Turn((sent[-1], *answered), self._where())
        self._turns = (*self._standing(), turn)

    def rewind(self, turns: int = 1) -> None:
        """Take back the last turns."""
        self._turns = self._turns[: max(0, len(self._turns) - turns)]

    def _standing(self) -> tuple[Turn, ...]:
        """Return the turns that stand when the cell that runs now begins."""
        here = self._where()
        for number, turn in enumerate(self._turns):
            if here and turn.cell and turn.cell.cell == here.cell and turn.cell != here:
                return self._turns[:number]
        return self._turns


def _joined(system: tuple[ChatMessage, ...], turns: Sequence[Turn]) -> tuple[ChatMessage, ...]:
    return (*system, *(message for turn in turns for message in turn.messages))


def _shown(message: ChatMessage) -> str:
    calls = [f"{call.name}({call.arguments})" for call in message.tool_calls]
    parts = message.content if isinstance(message.content, tuple) else (message.content or "",)
    return " ".join([*map(str, parts), *calls]).strip()
