"""
Turns that build on each other, in a notebook whose cells are run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from .client.messages import as_messages
from .client.tools import told
from .notebook_cell import CellRun, running_cell
from .records import ChatMessage, Content, Generation, SamplingParams, ToolCall, ToolRun

if TYPE_CHECKING:
    from .client import Ask, Client
    from .session import Session

DEFAULT_PARAMS = SamplingParams()


@dataclass(frozen=True, slots=True)
class Turn:
    """What one asking added: the question or results, the calls of tools in between, the answer."""

    messages: tuple[ChatMessage, ...]
    cell: CellRun | None


class Conversation:
    """
    A conversation that a notebook can be run again in.

    A cell that is run a second time takes its turn back first, and with it all
    that was said after: those turns answered words that no longer stand. Several
    turns of one cell, in a loop, stay. In a script every turn is simply added.
    A turn that fails or is interrupted leaves everything as it was.

    An answer that asks for tools waits for their results (:meth:`tell`): until
    then nothing else can be said, as the API wants it.

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

            ask: As for :meth:`workbench.Session.chat`. With ``tools`` the answer
                may be calls, which are yours to run.

        Raises:
            ValueError: The last answer waits for the results of its calls.
        """
        return self._ask(self.asking(content), 1, params, ask)

    def tell(
        self, *results: object, params: SamplingParams | None = None, **ask: Unpack[Ask]
    ) -> Generation:
        """
        Tell what the calls of the last answer came to, and keep what is answered.

        Args:
            results: One for each call, in their order; what is no text becomes JSON.

            ask: As for :meth:`say`; ``tools`` again, if more calls are welcome.

        Raises:
            ValueError: There are not as many calls.

        Examples:
            answer = talk.say("What is the weather in Rome?", tools=[get_weather])
            talk.tell("27 °C and clear").text
        """
        before = self._standing()
        calls = _open_calls(before)
        if not calls:
            raise ValueError("the last answer calls no tool, so there is nothing to tell")
        if len(results) != len(calls):
            raise ValueError(
                f"the last answer calls {_named(calls)}: "
                f"that is {len(calls)} results to tell, not {len(results)}"
            )
        answers = [
            ChatMessage("tool", told(result), tool_call_id=call.id)
            for call, result in zip(calls, results, strict=True)
        ]
        return self._ask((*_joined(self._front, before), *answers), len(answers), params, ask)

    def _ask(
        self, sent: tuple[ChatMessage, ...], new: int, params: SamplingParams | None, ask: Ask
    ) -> Generation:
        """Send it all, and keep its *new* last messages with the answer as a turn."""
        answer = self._asks.chat(sent, params or self._params, **ask)
        self._keep((*sent[-new:], answer.message))
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
        """
        Return what is to be sent to ask this here; nothing is kept yet.

        Raises:
            ValueError: The last answer waits for the results of its calls.
        """
        before = self._standing()
        if calls := _open_calls(before):
            raise ValueError(
                f"the last answer waits for what {_named(calls)} came to: "
                "tell(…) it, or rewind() the turn"
            )
        return as_messages((*_joined(self._front, before), ChatMessage("user", content)))

    def keep(self, sent: Sequence[ChatMessage], answered: Sequence[ChatMessage]) -> None:
        """Keep the turn that :meth:`asking` began and *answered* ended."""
        self._keep((sent[-1], *answered))

    def _keep(self, messages: tuple[ChatMessage, ...]) -> None:
        self._turns = (*self._standing(), Turn(messages, self._where()))

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


def _open_calls(turns: Sequence[Turn]) -> tuple[ToolCall, ...]:
    """Return the calls that the last message asks for: nobody has answered them yet."""
    return turns[-1].messages[-1].tool_calls if turns else ()


def _named(calls: Sequence[ToolCall]) -> str:
    return ", ".join(call.name for call in calls)


def _shown(message: ChatMessage) -> str:
    calls = [f"{call.name}({call.arguments})" for call in message.tool_calls]
    parts = message.content if isinstance(message.content, tuple) else (message.content or "",)
    return " ".join([*map(str, parts), *calls]).strip()
