"""
What passes between a caller and a model.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """
    A function the model asks its caller to run.

    ``arguments`` is the JSON text exactly as the model wrote it: it can be
    wrong, and whoever runs the tool wants to see how.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """
    One turn of a conversation.

    Args:
        role: Who speaks: ``system``, ``user``, ``assistant`` or ``tool``.

        content: The text; ``None`` for an assistant turn of tool calls only.

        tool_calls: What an assistant turn asks to run.

        tool_call_id: For a tool turn, the call that it answers.
    """

    role: Role
    content: str | None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """
    How the next token is chosen and when to stop. Unset means: the server's default.

    The names are vLLM's own. Note that vLLM takes a model's
    ``generation_config.json`` as default unless it was started with
    ``--generation-config vllm``.

    Args:
        temperature: 0 is greedy: always the likeliest token.

        top_p: Sample among the likeliest tokens that together hold this share.

        top_k: Sample among this many likeliest tokens; -1 for all.

        min_p: Drop tokens less likely than this share of the likeliest.

        max_tokens: Stop after this many output tokens.

        seed: Makes sampling repeatable on the same server and batch.

        stop: Strings that end the answer and are left out of it.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None

    def given(self) -> dict[str, Any]:
        """Return only what was set, by name."""
        return {
            item.name: value
            for item in fields(self)
            if (value := getattr(self, item.name)) is not None
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one request, as the server counted them."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """
    When the parts of one request happened, at the client.

    Args:
        started_at: UTC wall clock of the send, for joining with other logs only.

        sent_s: Monotonic clock just before the request is handed to the network.

        chunks_s: Monotonic arrival of every chunk that carried text, reasoning
            or tool-call text. A chunk is not a token: a server may put several
            tokens into one. Empty for an answer that was not streamed.

        done_s: Monotonic clock when the answer was complete or broke off.
    """

    started_at: datetime
    sent_s: float
    chunks_s: tuple[float, ...] = ()
    done_s: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Generation:
    """
    One answer of a model, with how it came.

    ``str(generation)`` is the text. TTFT, TPOT and E2E latency are derived
    from ``timings`` by the definitions in :mod:`workbench.metrics`; each is
    ``None`` where it cannot be known (no stream: no TTFT; no usage: no TPOT).

    Args:
        finish_reason: ``stop``, ``length``, ``tool_calls`` as on the wire, or
            ``None`` when the answer broke off.

        request_id: The server's id of this request, as its log shows it.
    """

    text: str
    model: str
    messages: tuple[ChatMessage, ...]
    params: SamplingParams
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    timings: Timings
    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_latency_s: float | None = None
    request_id: str | None = None
    base_url: str | None = None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        tokens = self.usage.output_tokens if self.usage else None
        return (
            f"Generation({self.text!r}, model={self.model!r}, output_tokens={tokens}, "
            f"finish_reason={self.finish_reason!r}, ttft_s={self.ttft_s})"
        )

    @property
    def message(self) -> ChatMessage:
        """The answer as the next turn of the conversation."""
        return ChatMessage("assistant", self.text or None, tool_calls=self.tool_calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    A request that failed, as telemetry sees it.

    ``partial`` is what had arrived; ``status_code`` the HTTP status, if any.
    """

    error: BaseException
    model: str
    messages: tuple[ChatMessage, ...]
    params: SamplingParams
    timings: Timings
    partial: Generation | None = None


Outcome: TypeAlias = Generation | Failure
