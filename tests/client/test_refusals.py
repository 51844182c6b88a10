"""
What servers say when they refuse, and what we make of it.
"""

from __future__ import annotations

import pytest

from workbench import errors
from workbench.client import refusals
from workbench.client.refusals import ContextLimit, Refusal

URL = "http://localhost:8000/v1"
MAX = "This model's maximum context length is 2048 tokens. However, "


def vllm_body(message: str, *, status: int = 400, **fields: object) -> dict[str, object]:
    return {"error": {"message": message, "type": "BadRequestError", "code": status, **fields}}


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        pytest.param(
            MAX + "your prompt contains 2050 input tokens, which exceeds this limit even without "
            "any output tokens. Please reduce the length of the input prompt.",
            ContextLimit(2048, 2050),
            id="vllm-0.32-tokens",
        ),
        pytest.param(
            MAX + "your prompt contains at least 2049 input tokens, which exceeds this limit even "
            "without any output tokens. Please reduce the length of the input prompt.",
            ContextLimit(2048, None),
            id="vllm-0.32-at-least",
        ),
        pytest.param(
            MAX + "your prompt contains 90000 characters (more than 32752 characters, which is the "
            "upper bound for 2047 input tokens). Please reduce the length of the input prompt.",
            ContextLimit(2048, None),
            id="vllm-0.32-characters",
        ),
        pytest.param(
            "max_tokens=5000 cannot be greater than max_model_len=2048. "
            "Please request fewer output tokens.",
            ContextLimit(2048, None),
            id="vllm-0.32-output",
        ),
        pytest.param(
            "The decoder prompt (length 2050) is longer than the maximum model length of 2048. "
            "Make sure that `max_model_len` is no smaller than the number of text tokens.",
            ContextLimit(2048, 2050),
            id="vllm-engine",
        ),
        pytest.param(
            "The decoder prompt (length 2048) plus the number of requested output tokens (at least "
            "1) is longer than the maximum model length of 2048. Make sure …",
            ContextLimit(2048, 2048),
            id="vllm-engine-exact",
        ),
        pytest.param(
            MAX + "you requested 1024 output tokens and your prompt contains at least 1025 input "
            "tokens, for a total of at least 2049 tokens.",
            ContextLimit(2048, None),
            id="vllm-total",
        ),
        pytest.param(
            MAX + "you requested 3000 tokens (2000 in the messages, 1000 in the completion). "
            "Please reduce the length of the messages or completion.",
            ContextLimit(2048, 2000),
            id="vllm-0.9",
        ),
        pytest.param(
            MAX + "you requested 3000 tokens in the messages, Please reduce the length.",
            ContextLimit(2048, None),
            id="vllm-0.8-only-messages",
        ),
        pytest.param(
            "'max_tokens' or 'max_completion_tokens' is too large: 5000. "
            "This model's maximum context length is 2048 tokens and your request has 12 input "
            "tokens (5000 > 2048 - 12).",
            ContextLimit(2048, 12),
            id="vllm-0.10-max-tokens",
        ),
        pytest.param(
            MAX + "your request has 2050 input tokens. Please reduce the length of the input.",
            ContextLimit(2048, 2050),
            id="vllm-0.10-input",
        ),
        pytest.param(
            "You passed 2049 input tokens and requested 0 output tokens. However, the model's "
            "context length is only 2048 tokens, resulting in a maximum input length of 2048.",
            ContextLimit(2048, 2049),
            id="vllm-passed",
        ),
        pytest.param(
            "This model's maximum context length is 128,000 tokens. However, your messages "
            "resulted in 130,000 tokens.",
            ContextLimit(128000, 130000),
            id="openai",
        ),
        pytest.param("top_p must be in (0, 1], got 2.0.", None, id="something-else"),
        pytest.param("The context length of your patience", None, id="no-number"),
    ],
)
def test_context_limits_are_read_from_the_words(message: str, limit: ContextLimit | None) -> None:
    """
    vLLM says only in words that a prompt was too long, and differently in every version.
    """
    assert refusals.context_limit(message) == limit


@pytest.mark.parametrize(
    ("refusal", "kind", "facts"),
    [
        pytest.param(
            Refusal(status_code=401, body={"error": "Unauthorized"}),
            errors.AuthenticationError,
            {"status_code": 401},
            id="no-key",
        ),
        pytest.param(
            Refusal(status_code=403, body="Forbidden"), errors.AuthenticationError, {}, id="403"
        ),
        pytest.param(
            Refusal(status_code=404, body=vllm_body("The model `x` does not exist.")),
            errors.RequestRejectedError,
            {"status_code": 404},
            id="404-is-left-open",
        ),
        pytest.param(
            Refusal(status_code=400, body=vllm_body(MAX + "your request has 2050 input tokens.")),
            errors.ContextLengthError,
            {"max_model_len": 2048, "input_tokens": 2050},
            id="too-long",
        ),
        pytest.param(
            Refusal(status_code=400, body=vllm_body("Too long.", code="context_length_exceeded")),
            errors.ContextLengthError,
            {"max_model_len": None, "input_tokens": None},
            id="too-long-by-code",
        ),
        pytest.param(
            Refusal(status_code=429, body="", retry_after="2.5"),
            errors.RateLimitedError,
            {"retry_after_s": 2.5},
            id="later",
        ),
        pytest.param(
            Refusal(status_code=429, body="", retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
            errors.RateLimitedError,
            {"retry_after_s": 0.0},
            id="by-a-date-that-is-past",
        ),
        pytest.param(
            Refusal(status_code=503, body="<html>", request_id="r1"),
            errors.ServerFailureError,
            {"status_code": 503, "request_id": "r1", "base_url": URL},
            id="503",
        ),
        pytest.param(
            Refusal(status_code=418, body={"detail": "teapot"}),
            errors.RequestRejectedError,
            {"status_code": 418, "body": {"detail": "teapot"}},
            id="any-other-4xx",
        ),
        pytest.param(
            Refusal(status_code=499, body=""), errors.RequestRejectedError, {}, id="unnamed-status"
        ),
    ],
)
def test_a_refusal_becomes_the_error_it_means(
    refusal: Refusal, kind: type[errors.ClientError], facts: dict[str, object]
) -> None:
    """
    By status and code; each carries its facts, a message and a hint.
    """
    error = refusals.error_for(refusal, base_url=URL)

    assert type(error) is kind
    assert {name: getattr(error, name) for name in facts} == facts
    assert URL in error.message
    assert error.hint


def test_a_refused_key_says_which_names_count() -> None:
    """
    OPENAI_API_KEY alone is passed over (settings.load), and its owner would try it for ever.
    """
    error = refusals.error_for(Refusal(status_code=401, body={}), base_url=URL)

    assert "WORKBENCH_API_KEY" in str(error.hint)
    assert "OPENAI_API_KEY, which counts only beside OPENAI_BASE_URL" in str(error.hint)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(vllm_body("No."), "No.", id="openai-form"),
        pytest.param({"object": "error", "message": "No.", "code": 400}, "No.", id="old-vllm"),
        pytest.param({"error": "Unauthorized"}, "Unauthorized", id="vllm-401"),
        pytest.param({"detail": "Not Found"}, "Not Found", id="fastapi"),
        pytest.param({"detail": [{"loc": 1}]}, '“{"detail": [{"loc": 1}]}”', id="fastapi-list"),
        pytest.param("<html>\n  Bad   Gateway", "“<html> Bad Gateway”", id="proxy"),
        pytest.param("", "nothing", id="empty"),
        pytest.param("x" * 300, "“" + "x" * 200 + "…”", id="long"),
    ],
)
def test_the_servers_own_sentence_is_quoted(body: object, sentence: str) -> None:
    """
    Whatever form the body has, a person reads what the server said.
    """
    assert refusals.said(body) == sentence


@pytest.mark.parametrize(
    ("chunk", "status"),
    [
        pytest.param({"error": {"message": "No.", "code": 400}}, 400, id="with-status"),
        pytest.param({"error": {"message": "No.", "code": None}}, 500, id="without"),
        pytest.param({"error": {"message": "No.", "code": "oops"}}, 500, id="code-is-a-word"),
        pytest.param({"object": "error", "message": "No.", "code": 500}, 500, id="old-vllm"),
        pytest.param({"choices": [], "error": None}, None, id="no-error"),
    ],
)
def test_an_error_inside_a_stream_is_seen(chunk: dict[str, object], status: int | None) -> None:
    """
    The HTTP status was 200 long before; the event carries its own.
    """
    refusal = refusals.refusal_in(chunk, request_id=None)

    assert (refusal.status_code if refusal else None) == status


def test_a_password_in_the_address_is_not_shown() -> None:
    """
    Errors and records carry the address, and the address can carry a password.
    """
    assert refusals.public_url("https://me:secret@host:8000/v1") == "https://host:8000/v1"
