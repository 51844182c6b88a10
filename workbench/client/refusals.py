"""
What a server's refusal means: status and body in, one of our errors out. Pure.

The kind of an error comes from its status and code. Text is matched in one
place only, :func:`context_limit`, because vLLM says nowhere else that a prompt
was too long.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

from ..errors import (
    AuthenticationError,
    ClientError,
    ContextLengthError,
    RateLimitedError,
    RequestRejectedError,
    ServerFailureError,
)

# How much of an unexpected answer is worth showing.
EXCERPT_CHARS = 200

MAX_SENTENCE_CHARS = 2000
"""A server's sentence may quote the whole request; the error's ``body`` has all of it."""

HINT_KEY = (
    "Give the key the server was started with: api_key=…, WORKBENCH_API_KEY, or OPENAI_API_KEY, "
    "which counts only beside OPENAI_BASE_URL."
)
HINT_LENGTH = "Shorten the messages or lower max_tokens, or serve with a larger max_model_len."
HINT_LOGS = "See what the server says: %wb logs, or `workbench logs`."
HINT_PATH = "Check that the base URL ends in /v1: `workbench status` shows it."
HINT_REQUEST = "Change what the server names in the request; %wb models shows what it serves."
HINT_RETRY = "Wait, or send fewer requests at a time."

_MAX_MODEL_LEN = re.compile(
    r"(?:context length is(?: only)?|context length of|maximum model length of) ([\d,]+)"
    r"|cannot be greater than max_model_len=(\d+)"
)
_INPUT_TOKENS = re.compile(
    # Not any number before "input tokens": vLLM also says what the upper bound
    # is, and "at least" where its tokenizer stopped counting at the limit.
    r"(?:contains|has|passed) ([\d,]+) input tokens"
    r"|([\d,]+) in (?:the messages|the prompt|your prompt)"
    r"|(?:messages resulted in|prompt \(length) ([\d,]+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """
    An answer that is an error, as it came.

    Args:
        status_code: The HTTP status, or the code inside a stream's error event.

        body: The parsed JSON, or the text where it was none.
    """

    status_code: int
    body: object
    retry_after: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ContextLimit:
    """What a server said about a prompt that was too long."""

    max_model_len: int | None
    input_tokens: int | None


def error_for(refusal: Refusal, *, base_url: str) -> ClientError:
    """
    Return the error that a refusal means.

    A 404 stays a plain rejection: whether the model or the path is wrong is
    decided by whoever can ask the server what it serves.
    """
    status = refusal.status_code
    what = f"{base_url} answered {_status_text(status)}: {said(refusal.body)}"
    request_id = refusal.request_id
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerFailureError(
            what,
            hint=HINT_LOGS,
            base_url=base_url,
            request_id=request_id,
            status_code=status,
            retry_after_s=_seconds(refusal.retry_after),
            body=refusal.body,
        )
    kind: type[RequestRejectedError] = RequestRejectedError
    hint, more = HINT_REQUEST, {}
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        kind, hint = AuthenticationError, HINT_KEY
    elif status == HTTPStatus.NOT_FOUND:
        hint = HINT_PATH
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        seconds = _seconds(refusal.retry_after)
        kind, more = RateLimitedError, {"retry_after_s": seconds}
        hint = HINT_RETRY if seconds is None else f"Try again in {seconds:g} s. {HINT_RETRY}"
    elif limit := _context_limit(refusal.body):
        kind, hint = ContextLengthError, HINT_LENGTH
        more = {"max_model_len": limit.max_model_len, "input_tokens": limit.input_tokens}
    return kind(
        what,
        hint=hint,
        base_url=base_url,
        request_id=request_id,
        status_code=status,
        body=refusal.body,
        **more,
    )


def context_limit(message: str) -> ContextLimit | None:
    """
    Read the numbers of a "prompt too long" message; ``None`` for any other message.

    Source:
        vLLM 0.32's ``renderers/params.py`` and ``v1/engine/input_processor.py``,
        issues of earlier versions, OpenAI; the test has a sample of each form.
    """
    max_model_len = _count(_MAX_MODEL_LEN.search(message))
    if max_model_len is None:
        return None
    return ContextLimit(max_model_len, _count(_INPUT_TOKENS.search(message)))


def _context_limit(body: object) -> ContextLimit | None:
    limit = context_limit(_sentence(body) or "")
    if limit is None and _inner(body).get("code") == "context_length_exceeded":
        return ContextLimit(None, None)
    return limit


def said(body: object) -> str:
    """Return the sentence in an error body, or an excerpt of whatever came."""
    sentence = _sentence(body)
    if sentence is None:
        return excerpt(body)
    cut = len(sentence) > MAX_SENTENCE_CHARS
    return f"{sentence[:MAX_SENTENCE_CHARS]}…" if cut else sentence


def _sentence(body: object) -> str | None:
    inner = _inner(body)
    for name in ("message", "detail", "error"):
        if isinstance(sentence := inner.get(name), str) and sentence:
            return sentence
    return None


def excerpt(body: object) -> str:
    """Return the start of *body*, quoted, on one line."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=repr)
    line = " ".join(text.split())
    cut = line if len(line) <= EXCERPT_CHARS else line[:EXCERPT_CHARS] + "…"
    return f"“{cut}”" if cut else "nothing"


def refusal_in(chunk: Mapping[str, object], *, request_id: str | None) -> Refusal | None:
    """Return the error that a stream reports in place of a chunk, if it does."""
    if not chunk.get("error") and chunk.get("object") != "error":
        return None
    code = _inner(chunk).get("code")
    # After 200 OK, a code that is no HTTP error status still means: it failed.
    status = code if isinstance(code, int) and code >= HTTPStatus.BAD_REQUEST else 500
    return Refusal(status_code=status, body=dict(chunk), request_id=request_id)


def public_url(base_url: str) -> str:
    """Return *base_url* without the user name and password it may carry."""
    parts = urlsplit(base_url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _inner(body: object) -> Mapping[str, object]:
    # {"error": {…}} is OpenAI's form; vLLM up to 0.10 wrote the inside alone.
    if not isinstance(body, Mapping):
        return {}
    inner = body.get("error")
    return inner if isinstance(inner, Mapping) else body


def _status_text(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _seconds(retry_after: str | None) -> float | None:
    """Read the header, a number or a date (RFC 9110, 10.2.3)."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())


def _count(found: re.Match[str] | None) -> int | None:
    return int(found[found.lastindex or 0].replace(",", "")) if found else None
