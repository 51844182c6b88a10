"""
A row of telemetry, and how the outcome of a request becomes one. Pure.

A record holds numbers, names and hashes; prompt and answer only when asked
for. No error message: a server's may quote the prompt, so only the error's
class is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from .. import metrics
from ..records import Failure, Generation, Outcome, SamplingParams, Timings
from .contents import NO_CONTENTS, Contents

Status: TypeAlias = Literal["ok", "error", "interrupted"]

SCHEMA_VERSION = 2
# The client turns every other answer into an error, and the chat API has one success.
_HTTP_OK = 200
_INT64 = range(-(2**63), 2**63)
NO_TAGS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryRecord:
    """
    One request, as the table ``requests`` keeps it. Unknown is ``None``.

    Args:
        id: 32 hexadecimal digits: 12 of the start in milliseconds since 1970,
            so that ids sort by time, then 20 of a SHA-256 (see ``record_of``).

        schema_version: The meaning of the columns, counted up when it changes. 1 had none of
            those that stand last, and ``attempts`` for answers only.

        timestamp: When the request was sent: RFC 3339, UTC, microseconds.

        session: The session that sent it, as the caller names it.

        user_hash: Keyed hash of the user's name, or ``None`` when none was given.

        model: The served model's name that was asked for.

        backend: What ran the server: ``compose``, ``embedded``, ``remote``.

        base_url: Where it was sent, without user, password and query.

        streamed: Whether content came in chunks; ``None`` for a failure before the first.

        temperature, top_p, min_p: As sent; ``None`` left it to the server, so
            for all parameters.

        top_k, max_tokens: As sent, in tokens.

        presence_penalty, frequency_penalty, repetition_penalty, seed: As sent.

        stop: As sent, a JSON array of strings, redacted.

        prompt_hash: Hash of the messages' canonical JSON: ``h1:`` and an HMAC-SHA-256, equal
            for equal messages while the key lives; or ``sha256:`` and the plain one.

        input_tokens, output_tokens: Tokens, as the server counted them.

        cached_tokens: Those of the input that came from the prefix cache.

        reasoning_tokens: Those of the output that were reasoning.

        ttft_s, tpot_s: Time to first token and per token after it in seconds,
            as in ``metrics``.

        e2e_latency_s: Sent to last content in seconds (``metrics.e2e_latency_s``);
            ``None`` unless the answer is complete, so that failures don't
            flatter a mean.

        duration_s: Sent to the end in seconds, whatever the end was.

        num_chunks: Chunks with content. A chunk may hold several tokens.

        status: ``ok``; ``interrupted`` when the caller stopped it; else ``error``.

        error_type: Class of the error, as in ``workbench.errors`` or Python's own.

        http_status: HTTP status code; ``None`` when the server did not answer.

        finish_reason: ``stop``, ``length``, ``tool_calls`` as on the wire.

        request_id: The server's id of the request, as its log shows it.

        other_sampling: Sampling parameters without a column of their own, a JSON object. Of
            ``extra`` and ``chat_template_kwargs`` the names only: a prompt may be in them. Of
            ``bad_words`` the number, unless contents are kept.

        attempts: How often it was sent: 1, and one more for each retry.

        served_model: What the server called the model that answered.

        server_version: vLLM's version, as its ``/version`` says.

        n: How many answers were asked for; ``None`` is one.

        num_tool_calls: Tool calls in the (first) answer.

        trace_id, span_id: 32 and 16 hexadecimal digits, as sent in ``traceparent``.

        tags: What the session and the request were tagged with, a JSON object of strings.

        prompt: The messages, a JSON array; only if contents are kept, and then redacted.

        answer: The answers, a JSON array; as ``prompt``.
    """

    id: str
    schema_version: int = SCHEMA_VERSION
    timestamp: str
    session: str
    user_hash: str | None = None
    model: str
    backend: str | None = None
    base_url: str | None = None
    streamed: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: str | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    prompt_hash: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_latency_s: float | None = None
    duration_s: float
    num_chunks: int
    status: Status
    error_type: str | None = None
    http_status: int | None = None
    finish_reason: str | None = None
    request_id: str | None = None
    other_sampling: str | None = None
    attempts: int | None = None
    served_model: str | None = None
    server_version: str | None = None
    n: int | None = None
    num_tool_calls: int | None = None
    trace_id: str | None = None
    span_id: str | None = None
    tags: str | None = None
    prompt: str | None = None
    answer: str | None = None


COLUMNS = tuple(item.name for item in fields(TelemetryRecord))


def record_of(
    outcome: Outcome,
    *,
    session: str,
    prompt_hash: str,
    user_hash: str | None = None,
    backend: str | None = None,
    base_url: str | None = None,
    server_version: str | None = None,
    tags: Mapping[str, str] = NO_TAGS,
    contents: Contents = NO_CONTENTS,
) -> TelemetryRecord:
    """
    Turn an outcome into its row.

    The same outcome in the same session always gives the same ``id``, so a
    row that is written twice is there once. The digest is taken over session,
    model, prompt hash, wall clock start, monotonic send and end, and the
    server's request id; calls that share all of these count as one.
    *base_url* and *server_version* are used when the outcome does not know its own;
    its tags come on top of *tags*.
    """
    answer = outcome.partial if isinstance(outcome, Failure) else outcome
    error = outcome.error if isinstance(outcome, Failure) else None
    status = _status(error)
    usage = answer.usage if answer else None
    output_tokens = usage.output_tokens if usage else None
    timings = outcome.timings
    request_id = _known("request_id", error, answer)
    return TelemetryRecord(
        id=_id(outcome, session=session, prompt_hash=prompt_hash, request_id=request_id),
        timestamp=rfc3339(timings.started_at),
        session=session,
        user_hash=user_hash,
        model=outcome.model,
        backend=backend,
        base_url=_bare_url(_known("base_url", error, answer) or base_url),
        streamed=_streamed(outcome),
        **_sampling(outcome.params, contents),
        attempts=outcome.attempts,
        prompt_hash=prompt_hash,
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=output_tokens,
        cached_tokens=usage.cached_tokens if usage else None,
        reasoning_tokens=usage.reasoning_tokens if usage else None,
        ttft_s=metrics.ttft_s(timings),
        tpot_s=metrics.tpot_s(timings, output_tokens=output_tokens),
        e2e_latency_s=metrics.e2e_latency_s(timings) if status == "ok" else None,
        duration_s=timings.done_s - timings.sent_s,
        num_chunks=len(timings.chunks_s),
        status=status,
        error_type=type(error).__name__ if error else None,
        http_status=_http_status(error, outcome.timings),
        finish_reason=answer.finish_reason if answer else None,
        request_id=request_id,
        served_model=answer.served_model if answer else None,
        server_version=outcome.server_version or server_version,
        num_tool_calls=len(answer.tool_calls) if answer else None,
        trace_id=outcome.trace_id,
        span_id=outcome.span_id,
        tags=_tags({**tags, **outcome.tags}),
        prompt=contents.prompt(outcome.messages),
        answer=contents.answer(answer) if answer else None,
    )


def rfc3339(moment: datetime) -> str:
    """
    Write a moment in UTC with microseconds: all of one width, so text sorts by time.

    A moment without a time zone is UTC, as ``Timings`` promises.
    """
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _status(error: BaseException | None) -> Status:
    # Python keeps apart what asks code to stop (KeyboardInterrupt, GeneratorExit,
    # CancelledError) from what went wrong, and so does this. A StreamInterruptedError
    # went wrong: the caller still wanted the answer.
    if error is None:
        return "ok"
    return "error" if isinstance(error, Exception) else "interrupted"


def _id(outcome: Outcome, *, session: str, prompt_hash: str, request_id: str | None) -> str:
    timings = outcome.timings
    started = rfc3339(timings.started_at)
    facts = [session, outcome.model, prompt_hash, started]
    clocks = [timings.sent_s, timings.done_s, request_id]
    digest = hashlib.sha256(json.dumps(facts + clocks).encode()).hexdigest()
    since_1970_ms = int(datetime.fromisoformat(started).timestamp() * 1000)
    return f"{since_1970_ms:012x}{digest[:20]}"


def _http_status(error: BaseException | None, timings: Timings) -> int | None:
    if error is None or (timings.chunks_s and not hasattr(error, "status_code")):
        return _HTTP_OK
    return getattr(error, "status_code", None)


def _streamed(outcome: Outcome) -> bool | None:
    if outcome.timings.chunks_s:
        return True
    return False if isinstance(outcome, Generation) else None


def _known(name: str, *sources: object) -> str | None:
    return next((value for source in sources if (value := getattr(source, name, None))), None)


def _sampling(params: SamplingParams, contents: Contents) -> dict[str, Any]:
    given = params.given()
    others = {name: given.pop(name) for name in list(given) if name not in COLUMNS}
    if others:
        given["other_sampling"] = json.dumps(_without_prompts(others, contents), sort_keys=True)
    if "stop" in given:
        given["stop"] = contents.stop(given["stop"])
    # A server refuses a seed that SQLite can't hold either, and the refusal is worth its row.
    return {
        name: None if isinstance(value, int) and value not in _INT64 else value
        for name, value in given.items()
    }


def _tags(tags: Mapping[str, str]) -> str | None:
    return json.dumps(tags, sort_keys=True) if tags else None


def _without_prompts(sampling: Mapping[str, Any], contents: Contents) -> dict[str, Any]:
    found = {
        name: sorted(value) if name in ("extra", "chat_template_kwargs") else value
        for name, value in sampling.items()
    }
    if "bad_words" in found:
        found["bad_words"] = contents.words(found["bad_words"])
    return found


def _bare_url(url: str | None) -> str | None:
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl() or None
