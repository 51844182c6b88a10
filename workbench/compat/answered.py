"""
Answers in the form that llama-cpp-python gives them: OpenAI's, as dictionaries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from ..client import Stream
from ..client.base import Delta
from ..records import Generation, TokenLogprob, ToolCall, Usage

Json = dict[str, Any]


def chat(generation: Generation, model: str, *, functions: bool) -> Json:
    """
    Write the answer to a chat.

    Args:
        functions: The request had ``functions``, so a call is a ``function_call`` too.
    """
    message: Json = {"role": "assistant", "content": generation.text or None}
    if not generation.tool_calls:
        message["content"] = generation.text
    else:
        message["tool_calls"] = list(map(_call, generation.tool_calls))
    if functions and generation.tool_calls:
        message["function_call"] = message["tool_calls"][0]["function"]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": _chat_logprobs(generation.logprobs),
        "finish_reason": generation.finish_reason,
    }
    return _whole("chat.completion", choice, generation, model)


def completion(generation: Generation, model: str, *, begins_at: int) -> Json:
    """
    Write a text that goes on.

    Args:
        begins_at: Where the answer's first token stands: behind the prompt, unless that is echoed.
    """
    choice = {
        "index": 0,
        "text": generation.text,
        "logprobs": _text_logprobs(generation.logprobs, begins_at),
        "finish_reason": generation.finish_reason,
    }
    return _whole("text_completion", choice, generation, model)


def chat_chunks(stream: Stream, model: str) -> Iterator[Json]:
    """Write a chat's chunks: the role, then what comes, then why it ended."""
    made = _Chunks(stream, model, "chat.completion.chunk")
    yield made.chunk({"delta": {"role": "assistant"}, "logprobs": None})
    with closing(stream.deltas()) as deltas:
        for delta in deltas:
            said = _delta(delta)
            if said:
                yield made.chunk({"delta": said, "logprobs": _chat_logprobs(delta.logprobs)})
    yield made.chunk({"delta": {}, "logprobs": None}, stream.generation.finish_reason)


def completion_chunks(stream: Stream, model: str, *, begins_at: int) -> Iterator[Json]:
    """Write a completion's chunks."""
    made = _Chunks(stream, model, "text_completion")
    with closing(stream.deltas()) as deltas:
        for delta in deltas:
            said = _text_logprobs(delta.logprobs, begins_at)
            yield made.chunk({"text": delta.text, "logprobs": said})
            begins_at += len(delta.text)
    yield made.chunk({"text": "", "logprobs": None}, stream.generation.finish_reason)


def usage(counted: Usage | None) -> Json:
    """Write the count of tokens. What was not counted is 0: llama.cpp has no unknown."""
    prompt = counted.input_tokens if counted else 0
    answer = counted.output_tokens if counted else 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
    }


class _Chunks:
    """Writes chunks of one stream."""

    def __init__(self, stream: Stream, model: str, kind: str) -> None:
        self.stream = stream
        self.model = model
        self.kind = kind

    def chunk(self, choice: Json, finish_reason: str | None = None) -> Json:
        said = {"index": 0, **choice, "finish_reason": finish_reason}
        return _head(self.kind, self.stream.generation, self.model) | {"choices": [said]}


def _head(kind: str, generation: Generation, model: str) -> Json:
    return {
        "id": generation.request_id or "",
        "object": kind,
        "created": int(generation.timings.started_at.timestamp()),
        "model": model,
    }


def _whole(kind: str, choice: Json, generation: Generation, model: str) -> Json:
    return _head(kind, generation, model) | {
        "choices": [choice],
        "usage": usage(generation.usage),
    }


def _call(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _delta(delta: Delta) -> Json:
    said: Json = {"content": delta.text} if delta.text else {}
    if delta.tool_calls:
        said["tool_calls"] = [
            {
                "index": part.index,
                "id": part.id,
                "type": "function",
                "function": {"name": part.name, "arguments": part.arguments},
            }
            for part in delta.tool_calls
        ]
    return said


def _chat_logprobs(logprobs: Sequence[TokenLogprob]) -> Json | None:
    if not logprobs:
        return None
    content = [
        _token(each.token, each.logprob) | {"top_logprobs": [_token(*other) for other in each.top]}
        for each in logprobs
    ]
    return {"content": content, "refusal": None}


def _token(token: str, logprob: float) -> Json:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _text_logprobs(logprobs: Sequence[TokenLogprob], begins_at: int) -> Json | None:
    if not logprobs:
        return None
    offsets = []
    for each in logprobs:
        offsets.append(begins_at)
        begins_at += len(each.token)
    # The first token of a prompt that is echoed has none.
    known = [not math.isnan(each.logprob) for each in logprobs]
    pairs = list(zip(logprobs, known, strict=True))
    return {
        "tokens": [each.token for each in logprobs],
        "token_logprobs": [each.logprob if is_known else None for each, is_known in pairs],
        "top_logprobs": [_top(each) if is_known else None for each, is_known in pairs],
        "text_offset": offsets,
    }


def _top(each: TokenLogprob) -> dict[str, float]:
    """Return the likeliest tokens, with the one that was drawn."""
    return {**dict(each.top), each.token: each.logprob}
