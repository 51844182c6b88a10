"""
What passes between a caller and a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
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


@dataclass(frozen=True, slots=True, repr=False)
class Image:
    """
    A picture in a message.

    Args:
        url: Where the server finds it, or the picture itself as a ``data:`` URL;
            :func:`workbench.client.read_image` makes one of a file.

        detail: How closely to look, where the model knows degrees of it.
    """

    url: str
    detail: Literal["auto", "low", "high"] | None = None

    def __repr__(self) -> str:
        start = self.url if len(self.url) <= MAX_SHOWN_URL else f"{self.url[:MAX_SHOWN_URL]}…"
        return f"Image({start!r})"


MAX_SHOWN_URL = 60
"""A picture in a ``data:`` URL is a million characters, which nobody wants in a cell."""

Content: TypeAlias = str | tuple[str | Image, ...]
"""Text, or texts and pictures in the order in which the model reads them."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """
    One turn of a conversation.

    Args:
        role: Who speaks: ``system``, ``user``, ``assistant`` or ``tool``.

        content: What is said; ``None`` for an assistant turn of tool calls only.

        tool_calls: What an assistant turn asks to run.

        tool_call_id: For a tool turn, the call that it answers.
    """

    role: Role
    content: Content | None
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

        min_tokens: Do not stop before this many.

        n: How many answers to give to the one prompt; the further ones are in
            ``Generation.alternatives``.

        seed: Makes sampling repeatable on the same server and batch.

        stop: Strings that end the answer and are left out of it.

        stop_token_ids: Tokens that end the answer.

        ignore_eos: Go on after the model's own end, up to ``max_tokens``.

        presence_penalty, frequency_penalty: Against tokens that the *answer* has
            had, -2 to 2.

        repetition_penalty: Against tokens of prompt and answer; 1 is none.

        logit_bias: Added to the logits of these token ids, -100 to 100.

        bad_words, allowed_token_ids: What may not be said, and all that may.

        logprobs: Return each output token's log probability,

        top_logprobs: and those of this many others that were likely there.

        reasoning_effort, thinking_token_budget: For models that think first.

        chat_template_kwargs: For the model's chat template, for example
            ``{"enable_thinking": False}``.

        extra: Any other field of the request, sent as it is.

    Source:
        vLLM 0.32, ``vllm/entrypoints/openai/chat_completion/protocol.py``.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    n: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    stop_token_ids: tuple[int, ...] | None = None
    include_stop_str_in_output: bool | None = None
    ignore_eos: bool | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: Mapping[int, float] | None = None
    bad_words: tuple[str, ...] | None = None
    allowed_token_ids: tuple[int, ...] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    skip_special_tokens: bool | None = None
    spaces_between_special_tokens: bool | None = None
    truncate_prompt_tokens: int | None = None
    priority: int | None = None
    reasoning_effort: str | None = None
    thinking_token_budget: int | None = None
    chat_template_kwargs: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] | None = None

    def given(self) -> dict[str, Any]:
        """Return only what was set, by name."""
        return {
            item.name: value
            for item in fields(self)
            if (value := getattr(self, item.name)) is not None
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """
    What the server must keep the answer to, token by token.

    Args:
        kind: ``json_schema`` and ``json_object`` are OpenAI's; ``regex``,
            ``choice`` and ``grammar`` are vLLM's own.

        value: A JSON schema; nothing for ``json_object``; a pattern; strings to
            choose from; a grammar in GBNF or Lark.

    Examples:
        OutputFormat(kind="choice", value=("yes", "no"))
    """

    kind: Literal["json_object", "json_schema", "regex", "choice", "grammar"]
    value: Any = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """
    An output token and how likely it was.

    Args:
        logprob: Natural logarithm of its probability, of all tokens at once.

        top: Other tokens that were likely there, the likeliest first.
    """

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A further answer to the same prompt (``n`` above 1), by the server's number of it."""

    index: int
    text: str
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()


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

        logprobs: One for each output token, if they were asked for.

        alternatives: The further answers when ``n`` was above 1. TPOT is then
            unknown: the chunks of several answers come interleaved.

        parsed: What the text says, where an output format was asked for: an
            object of the pydantic model, or the JSON's value.

        attempts: How often the request was sent. The clocks start at the first.

        request_id: The server's id of this request, as its log shows it.

        served_model: What the server calls the model that answered.

        server_version: vLLM's version, where the client was told to ask.

        trace_id, span_id: What the server's spans of this request name as
            their trace and parent (W3C Trace Context).

        tags: What the caller wants to find it by.
    """

    text: str
    model: str
    messages: tuple[ChatMessage, ...]
    params: SamplingParams
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    alternatives: tuple[Choice, ...] = ()
    parsed: Any = None
    usage: Usage | None = None
    attempts: int = 1
    timings: Timings
    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_latency_s: float | None = None
    request_id: str | None = None
    base_url: str | None = None
    served_model: str | None = None
    server_version: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

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
        # Calls may come without words; an answer without either is "", which may be sent again.
        content = self.text or (None if self.tool_calls else "")
        return ChatMessage("assistant", content, tool_calls=self.tool_calls)


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
    attempts: int | None = None
    server_version: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)


Outcome: TypeAlias = Generation | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """
    Texts as vectors.

    Args:
        vectors: One for each text, in their order; all of one length.
    """

    vectors: tuple[tuple[float, ...], ...]
    model: str
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """
    A text or a conversation as the model's tokenizer sees it.

    Args:
        ids: Token ids; for a conversation with the chat template's own.

        max_model_len: How many fit, if the server says.
    """

    ids: tuple[int, ...]
    max_model_len: int | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStep:
    """
    A tool call that was carried out.

    Args:
        result: What the model was told: the function's result as text, or what
            went wrong.

        error: What went wrong: the function raised, the arguments were none of
            its, or there is no such tool.
    """

    call: ToolCall
    result: str
    duration_s: float
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRun:
    """
    An answer that was given with the help of tools.

    Args:
        generation: The last answer, which asks for no tool.

        messages: The whole conversation up to it and with it.

        steps: The calls, in the order in which they were carried out.
    """

    generation: Generation
    messages: tuple[ChatMessage, ...]
    steps: tuple[ToolStep, ...]

    def __str__(self) -> str:
        return self.generation.text
