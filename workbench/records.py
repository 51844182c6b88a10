"""
The values that cross borders between the parts.

Records are pure: frozen, comparable, made of the standard library. Where a
record is stored, drawn or sent is decided elsewhere. Unknown is ``None``,
never zero. Units are in the names: ``_s`` seconds, ``_bytes`` bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path
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


class ServerState(StrEnum):
    """Where a server is: ``stopped → starting → ready → stopping → stopped``; or failed."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A line of ``/v1/models``."""

    name: str
    root: str | None = None
    max_model_len: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatus:
    """
    The container that a server runs in.

    Args:
        profile: The service of the compose file, which is also the profile's name.

        health: What Docker's health check says: ``starting``, ``healthy``, ``unhealthy``.

        image_digest: The id of the image that it was made from, ``sha256:…``.

        restarts: How often Docker started it again after it had died.

        cpu_percent: Of one core: 200 are two cores at work.

        memory_bytes: Without the page cache; ``memory_limit_bytes`` is the
            machine's memory if the container has no limit of its own.
    """

    name: str
    profile: str
    image: str
    image_digest: str
    health: str | None = None
    restarts: int = 0
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuStatus:
    """What a GPU of this machine has in use, by all programs together."""

    name: str
    memory_used_bytes: int
    memory_total_bytes: int
    busy_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """
    What can be said about a server now. Made without raising, whatever its state.

    Args:
        healthy: ``/health`` answered 200 just now.

        pids: The server's own processes on this machine; empty for a remote
            one and for one in a container.

        rss_bytes: Their resident memory, summed.

        detail: A sentence for the states that need one (why failed, who holds the port).

        container: For a server in a container.

        gpus: For a server that may use them; empty where they cannot be asked,
            as AMD's under WSL.
    """

    backend: str
    state: ServerState
    base_url: str
    healthy: bool = False
    models: tuple[ServedModel, ...] = ()
    version: str | None = None
    started_at: datetime | None = None
    pids: tuple[int, ...] = ()
    rss_bytes: int | None = None
    log_path: Path | None = None
    detail: str | None = None
    container: ContainerStatus | None = None
    gpus: tuple[GpuStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class Death:
    """
    How a server's first process ended.

    Args:
        exit_code: As its parent was told: Python writes a signal as a negative
            number, Docker as 128 and the number.

        oom_killed: The kernel ended it because its container's memory was used up.
    """

    exit_code: int
    oom_killed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """
    Why a server did not start, or ended.

    Args:
        id: Of the fingerprint that was found, in kebab-case; stable.

        cause: A sentence, with the numbers that the log has.

        line: The decisive line of the log, without its prefixes; ``None`` when
            only the exit status says it.

        fix: The next thing to try.

        source: Where the text is known from.

        setting: A setting of the workbench that mends it, and its value.
    """

    id: str
    cause: str
    line: str | None
    fix: str
    source: str | None = None
    setting: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPhase:
    """
    A stretch of a server's start.

    Args:
        began_s: Seconds after the start of the boot.

        ended_s: Likewise; ``None`` while it goes on.
    """

    name: str
    began_s: float
    ended_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    How far long work is, for whoever draws it.

    Args:
        label: What is being done now, in the words of a person.

        total: ``None`` when nobody knows.

        eta_s: Seconds to the end, learnt from earlier times; ``None`` the first time.

        fraction: How much of *label* alone is done, where that is known.

        phases: For a boot, what is behind it and what it is in.
    """

    label: str
    done: float
    total: float | None
    unit: Literal["bytes", "packages", "s"]
    eta_s: float | None = None
    fraction: float | None = None
    phases: tuple[BootPhase, ...] = ()


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


class Verdict(StrEnum):
    """What a check came to."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What one check found.

    Args:
        id: Stable, in kebab case; what people search for and suppress by.

        seen: The evidence: what stands there, with its place (``line 14: …``).

        why: What will happen because of it, in a sentence or two.

        fix: What to write or type instead; several lines when that is clearer.

        source: Where it is known from: a URL, or a file of vLLM's with its version.
    """

    id: str
    verdict: Verdict
    seen: str
    why: str
    fix: str
    source: str | None = None
