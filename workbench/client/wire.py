"""
The JSON of the chat API, to and from records. Pure.

The wire's words (``prompt_tokens``, ``completion_tokens``, ``delta``) appear
here and nowhere else. Reading is lenient, because servers differ: a field that
is missing or of a wrong type is unknown, and a chunk of unknown shape says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from ..records import ChatMessage, ServedModel, ToolCall, Usage
from .base import ChatRequest, Counted, Delta, Ended, Event, Finished, Opened, ToolCallPart

Json: TypeAlias = Mapping[str, object]

# vLLM's own sampling parameters; OpenAI's SDK sends them as `extra_body`.
VLLM_ONLY = frozenset({"top_k", "min_p", "repetition_penalty"})


def request_fields(request: ChatRequest, *, stream: bool) -> dict[str, object]:
    """Write a request's JSON body, except what :func:`extra_fields` has."""
    body: dict[str, object] = {
        "model": request.model,
        "messages": [message_fields(message) for message in request.messages],
    }
    given = request.params.given()
    body.update({name: value for name, value in given.items() if name not in VLLM_ONLY})
    if request.params.stop is not None:
        body["stop"] = list(request.params.stop)
    if request.tools:
        body["tools"] = list(request.tools)
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def extra_fields(request: ChatRequest) -> dict[str, object]:
    """Write the part of the body that OpenAI's API does not know."""
    given = request.params.given()
    return {name: value for name, value in given.items() if name in VLLM_ONLY}


def message_fields(message: ChatMessage) -> dict[str, object]:
    """Write one turn."""
    fields: dict[str, object] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        fields["tool_calls"] = [_tool_call_fields(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def _tool_call_fields(call: ToolCall) -> dict[str, object]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def read_chunk(chunk: Json, at_s: float) -> list[Event]:
    """Read one chunk of a stream that was read from the network at *at_s*."""
    events: list[Event] = []
    if request_id := _text(chunk.get("id")):
        events.append(Opened(request_id))
    choice = _first(chunk.get("choices"))
    if delta := _delta(_mapping(choice.get("delta")), at_s):
        events.append(delta)
    events.extend(_ending(choice, chunk))
    return events


def read_answer(answer: Json, at_s: float) -> list[Event]:
    """Read an answer that came in one piece, complete at *at_s*."""
    events: list[Event] = []
    if request_id := _text(answer.get("id")):
        events.append(Opened(request_id))
    choice = _first(answer.get("choices"))
    if delta := _delta(_mapping(choice.get("message")), at_s):
        events.append(delta)
    return [*events, *_ending(choice, answer), Ended(at_s)]


def read_models(listing: Json) -> tuple[ServedModel, ...]:
    """Read the answer of ``/v1/models``."""
    return tuple(
        ServedModel(
            name=name,
            root=_text(line.get("root")) or None,
            max_model_len=_number(line.get("max_model_len")),
        )
        for line in _mappings(listing.get("data"))
        if (name := _text(line.get("id")))
    )


def _delta(fields: Json, at_s: float) -> Delta | None:
    text = _text(fields.get("content"))
    # vLLM says `reasoning` now and said `reasoning_content` once; others still do.
    reasoning = _text(fields.get("reasoning")) or _text(fields.get("reasoning_content"))
    calls = fields.get("tool_calls")
    parts = tuple(_parts(calls)) if calls else ()
    return Delta(at_s, text, reasoning, parts) if text or reasoning or parts else None


def _parts(calls: object) -> Iterator[ToolCallPart]:
    for position, call in enumerate(_mappings(calls)):
        function = _mapping(call.get("function"))
        index = _number(call.get("index"))
        yield ToolCallPart(
            position if index is None else index,
            _text(call.get("id")) or None,
            _text(function.get("name")) or None,
            _text(function.get("arguments")),
        )


def _ending(choice: Json, whole: Json) -> Iterator[Event]:
    if reason := _text(choice.get("finish_reason")):
        yield Finished(reason)
    if usage := _usage(_mapping(whole.get("usage"))):
        yield Counted(usage)


def _usage(fields: Json) -> Usage | None:
    input_tokens = _number(fields.get("prompt_tokens"))
    output_tokens = _number(fields.get("completion_tokens"))
    if input_tokens is None or output_tokens is None:
        return None
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=_number(_mapping(fields.get("prompt_tokens_details")).get("cached_tokens")),
        reasoning_tokens=_number(
            _mapping(fields.get("completion_tokens_details")).get("reasoning_tokens")
        ),
    )


_NOTHING: Json = {}


def _mapping(value: object) -> Json:
    # dict, not Mapping: this is JSON, and the abstract check costs ten times more.
    return value if isinstance(value, dict) else _NOTHING


def _mappings(value: object) -> Iterator[Json]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _first(value: object) -> Json:
    return _mapping(value[0]) if isinstance(value, list) and value else _NOTHING


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    # bool before int: a bool is an int.
    return value if isinstance(value, int) and not isinstance(value, bool) else None
