"""
What a client and its adapter say to each other.

An adapter turns a :class:`ChatRequest` into events; everything after that
(time-outs, drafts, streams, outcomes) is ours and the same for every adapter.
Events are small on purpose: one is made for every chunk of every stream, and
making it must cost microseconds, or the client measures itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ..records import ChatMessage, SamplingParams, ServedModel, Usage

Tool: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """
    How long to wait in each phase of a request, in seconds; ``None`` is for ever.

    Args:
        connect_s: For a connection to the server.

        first_token_s: From sending to the first token of a stream. Waiting in
            the server's queue and the prefill of a long prompt are inside it.

        stream_s: Between two tokens. Generous, because a server that parses
            tool calls can hold tokens back while it decodes.

        answer_s: From sending to the end of an answer that is not streamed:
            such a server says nothing at all until its last token.
    """

    connect_s: float | None = 5.0
    first_token_s: float | None = 300.0
    stream_s: float | None = 60.0
    answer_s: float | None = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A chat completion to ask for, with the model decided."""

    model: str
    messages: tuple[ChatMessage, ...]
    params: SamplingParams
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """The server accepted the request and named it."""

    request_id: str


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A piece of a tool call; pieces with one ``index`` make one call."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Delta:
    """
    A chunk with something of the answer: text, reasoning or tool calls.

    ``at_s`` is when its bytes were read (monotonic). Chunks that came in one
    read share one stamp.
    """

    at_s: float
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallPart, ...] = ()

    @property
    def has_tokens(self) -> bool:
        """Whether it starts and ends clocks: an id alone is no token."""
        return bool(
            self.text
            or self.reasoning
            or any(part.name or part.arguments for part in self.tool_calls)
        )


@dataclass(frozen=True, slots=True)
class Finished:
    """The model stopped, and why. Usage can still follow."""

    finish_reason: str


@dataclass(frozen=True, slots=True)
class Counted:
    """The server's token counts."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Ended:
    """The server said that nothing more will come (``[DONE]``, or the body's end)."""

    at_s: float


Event: TypeAlias = Opened | Delta | Finished | Counted | Ended


class ChatBackend(Protocol):
    """
    A way to a server that answers chats. Belongs to the event loop it is first used in.

    Every method raises :class:`~workbench.errors.ClientError` and nothing of
    the library underneath. Waiting is limited by the caller, who cancels;
    only ``connect_s`` is the adapter's. Cancelling frees the server's slot.
    """

    def stream(
        self, request: ChatRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Event]]]:
        """Ask for a stream; one batch of events for every read, stamped on arrival."""
        ...

    async def answer(self, request: ChatRequest) -> Sequence[Event]:
        """Ask for the answer in one piece, as the events of a stream that came at once."""
        ...

    async def models(self) -> tuple[ServedModel, ...]:
        """List what the server serves."""
        ...

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        ...
