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
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from ..records import ChatMessage, OutputFormat, SamplingParams, TokenLogprob, Usage
from .trace import Trace

Json: TypeAlias = Mapping[str, object]
Tool: TypeAlias = Json

ToolChoice: TypeAlias = str
"""``none``, ``auto``, ``required``, or the name of the one tool to call."""


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
class Retries:
    """
    When a request that got no answer is sent again.

    Only what was not delivered is: a refused or lost connection, a server that
    hung up before its first token, and the statuses 408, 409, 429 and 5xx. Never
    a time-out of the answer itself, which would double the load of a server that
    is too busy already.

    Args:
        times: How often at most. 0 for measuring.

        first_wait_s: Before the second attempt; doubled for each further one, up
            to *longest_wait_s*, and then shortened at random by up to a half, so
            that clients that failed together do not come back together.

        budget_s: All waiting together. A server that asks for more by its
            ``Retry-After`` is taken at its word: the error comes at once.
    """

    times: int = 2
    first_wait_s: float = 0.5
    longest_wait_s: float = 8.0
    budget_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """
    An answer to ask for, with the model decided.

    Args:
        raw: Send the one message's text as a prompt, without a chat template
            (``/v1/completions``).

        vllm_version: Of the server, where the request needs to know; see
            :func:`~workbench.client.wire.needs_version`.

        trace: Told to the server, so that its spans join.

        tags: For telemetry; not sent.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    params: SamplingParams
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    output: OutputFormat | None = None
    raw: bool = False
    vllm_version: str | None = None
    trace: Trace | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opened:
    """The server accepted the request and named it; and said which model answers."""

    request_id: str
    model: str | None = None


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
    read share one stamp. ``choice`` counts the answers when ``n`` is above 1.
    """

    at_s: float
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallPart, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    choice: int = 0

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
    choice: int = 0


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

    async def fetch(self, path: str, body: Mapping[str, object] | None = None) -> Json:
        """
        Ask anything else: GET, or POST with a *body*, and read the JSON object.

        Args:
            path: Below the base URL; one that begins with ``/`` is below the
                server's root, where vLLM has what OpenAI's API does not know.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        ...
