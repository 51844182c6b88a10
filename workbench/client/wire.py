"""
The JSON of the chat API, to and from records. Pure.

The wire's words (``prompt_tokens``, ``completion_tokens``, ``delta``) appear
here and nowhere else. Reading is lenient, because servers differ: a field that
is missing or of a wrong type is unknown, and a chunk of unknown shape says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..errors import ConfigError
from ..records import (
    ChatMessage,
    Embeddings,
    Image,
    OutputFormat,
    ServedModel,
    TokenLogprob,
    Tokens,
    ToolCall,
    Usage,
)
from .base import (
    ChatRequest,
    Counted,
    Delta,
    Ended,
    Event,
    Finished,
    Json,
    Opened,
    ToolCallPart,
)

OPENAI_PARAMS = frozenset(
    {"temperature", "top_p", "max_tokens", "n", "seed", "stop", "logprobs", "top_logprobs"}
    | {"presence_penalty", "frequency_penalty", "logit_bias", "reasoning_effort"}
)
"""Sampling parameters of OpenAI's API; the others are vLLM's, which the SDK sends as extra."""

STRUCTURED_OUTPUTS_SINCE = (0, 11)
"""
Before, the fields were ``guided_regex`` and so on; from 0.12 on those are ignored without a word.

Source: https://github.com/vllm-project/vllm/pull/22772 and /pull/29326
"""


def request_fields(request: ChatRequest, *, stream: bool) -> dict[str, object]:
    """Write a request's JSON body, except what :func:`extra_fields` has."""
    body: dict[str, object] = {"model": request.model, **_question(request)}
    body |= {name: value for name, value in _sampling(request) if name in OPENAI_PARAMS}
    if request.tools:
        body["tools"] = list(request.tools)
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice)
    if request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.output and not request.raw:
        body |= _response_format(request.output)
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def extra_fields(request: ChatRequest) -> dict[str, object]:
    """Write the part of the body that OpenAI's API does not know."""
    body = {name: value for name, value in _sampling(request) if name not in OPENAI_PARAMS}
    if needs_version(request):
        body |= _constraint(request)
    return body | dict(request.params.extra or {})


def needs_version(request: ChatRequest) -> bool:
    """Tell whether the form of the request depends on the server's version."""
    return request.output is not None and not (_response_format(request.output) and not request.raw)


def _question(request: ChatRequest) -> dict[str, object]:
    if request.raw:
        return {"prompt": request.messages[0].content}
    return {"messages": [message_fields(message) for message in request.messages]}


def _sampling(request: ChatRequest) -> Iterator[tuple[str, object]]:
    given = request.params.given()
    given.pop("extra", None)
    if request.raw and given.pop("logprobs", None):
        # A completion's `logprobs` is the number, where a chat has two fields.
        given["logprobs"] = given.pop("top_logprobs", 1)
    for name, value in given.items():
        yield name, list(value) if isinstance(value, tuple) else value


def _tool_choice(choice: str) -> object:
    if choice in ("none", "auto", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _response_format(output: OutputFormat) -> dict[str, object]:
    """Write the formats that every version, and other servers, know by OpenAI's field."""
    if output.kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    if output.kind == "json_schema":
        schema = {"name": _schema_name(output.value), "schema": output.value}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {}


def _schema_name(schema: Json) -> str:
    # OpenAI allows these characters only, and pydantic titles have others (generics).
    return re.sub(r"[^\w-]", "_", str(schema.get("title") or "answer"))[:64]


def _constraint(request: ChatRequest) -> dict[str, object]:
    """
    Write a constraint in the form that the server's version takes.

    Raises:
        ConfigError: The server does not say that it is a vLLM. Others ignore the
            field in silence, and the answer would look as if it had been kept to it.
    """
    assert request.output
    kind = request.output.kind.removesuffix("_schema")
    value = request.output.value
    version = request.vllm_version
    if version is None:
        raise ConfigError(
            f"Only a vLLM can keep an answer to a {kind}, and this server is none: "
            "it has no /version.",
            hint="Ask for a JSON schema instead: every server has a form of it.",
            key="output",
            source="argument",
        )
    if _release(version) < STRUCTURED_OUTPUTS_SINCE:
        return {f"guided_{kind}": _listed(value)}
    value = True if kind == "json_object" else _listed(value)
    return {"structured_outputs": {kind: value}}


def _release(version: str) -> tuple[int, ...]:
    # A development build is "0.1.dev1+g…": it is newer than any release that matters here.
    if ".dev" in version and version.startswith("0.1."):
        return STRUCTURED_OUTPUTS_SINCE
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def message_fields(message: ChatMessage) -> dict[str, object]:
    """Write one turn."""
    fields: dict[str, object] = {"role": message.role, "content": _content(message)}
    if message.tool_calls:
        fields["tool_calls"] = [_tool_call_fields(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def _content(message: ChatMessage) -> object:
    if isinstance(message.content, tuple):
        return [_part(part) for part in message.content]
    return message.content


def _part(part: str | Image) -> dict[str, object]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    detail = {} if part.detail is None else {"detail": part.detail}
    return {"type": "image_url", "image_url": {"url": part.url, **detail}}


def _tool_call_fields(call: ToolCall) -> dict[str, object]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def read_chunk(chunk: Json, at_s: float) -> list[Event]:
    """Read one chunk of a stream that was read from the network at *at_s*."""
    return [*_opened(chunk), *_choices(chunk, "delta", at_s), *_counted(chunk)]


def read_answer(answer: Json, at_s: float) -> list[Event]:
    """Read an answer that came in one piece, complete at *at_s*."""
    choices = _choices(answer, "message", at_s)
    return [*_opened(answer), *choices, *_counted(answer), Ended(at_s)]


def _opened(whole: Json) -> Iterator[Event]:
    if request_id := _text(whole.get("id")):
        yield Opened(request_id, _text(whole.get("model")) or None)


def _choices(whole: Json, name: str, at_s: float) -> Iterator[Event]:
    for choice in _mappings(whole.get("choices")):
        number = _number(choice.get("index")) or 0
        # A completion has its text beside the index, a chat in a message or delta.
        fields = choice if "text" in choice else _mapping(choice.get(name))
        if delta := _delta(fields, _logprobs(choice.get("logprobs")), number, at_s):
            yield delta
        if reason := _text(choice.get("finish_reason")):
            yield Finished(reason, number)


def _counted(whole: Json) -> Iterator[Event]:
    if usage := _usage(_mapping(whole.get("usage"))):
        yield Counted(usage)


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


def read_embeddings(answer: Json) -> Embeddings:
    """Read the answer of ``/v1/embeddings``, in the order of the texts."""
    lines = sorted(_mappings(answer.get("data")), key=lambda line: _number(line.get("index")) or 0)
    return Embeddings(
        vectors=tuple(tuple(_numbers(line.get("embedding"))) for line in lines),
        model=_text(answer.get("model")),
        usage=_usage({"completion_tokens": 0, **_mapping(answer.get("usage"))}),
    )


def read_tokens(answer: Json) -> Tokens:
    """Read the answer of ``/tokenize``."""
    return Tokens(
        ids=tuple(int(number) for number in _numbers(answer.get("tokens"))),
        max_model_len=_number(answer.get("max_model_len")),
    )


def _delta(
    fields: Json, logprobs: tuple[TokenLogprob, ...], choice: int, at_s: float
) -> Delta | None:
    text = _text(fields.get("content")) or _text(fields.get("text"))
    # vLLM says `reasoning` now and said `reasoning_content` once; others still do.
    reasoning = _text(fields.get("reasoning")) or _text(fields.get("reasoning_content"))
    calls = fields.get("tool_calls")
    parts = tuple(_parts(calls)) if calls else ()
    if text or reasoning or parts or logprobs:
        return Delta(at_s, text, reasoning, parts, logprobs, choice)
    return None


def _logprobs(found: object) -> tuple[TokenLogprob, ...]:
    if not isinstance(found, dict):
        return ()
    if isinstance(found.get("tokens"), list):
        return tuple(_completion_logprobs(found))
    return tuple(
        TokenLogprob(
            _text(line.get("token")),
            _float(line.get("logprob")),
            tuple(
                (_text(other.get("token")), _float(other.get("logprob")))
                for other in _mappings(line.get("top_logprobs"))
            ),
        )
        for line in _mappings(found.get("content"))
    )


def _completion_logprobs(found: Json) -> Iterator[TokenLogprob]:
    columns = (found.get(name) for name in ("tokens", "token_logprobs", "top_logprobs"))
    tokens, values, others = (column if isinstance(column, list) else [] for column in columns)
    for place, (token, value) in enumerate(zip(tokens, values, strict=False)):
        top = _mapping(others[place]) if place < len(others) else _NOTHING
        likely = tuple((name, _float(logprob)) for name, logprob in top.items())
        yield TokenLogprob(_text(token), _float(value), likely)


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


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    # bool before int: a bool is an int.
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _float(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")


def _numbers(value: object) -> Iterable[float]:
    # Not checked one by one: a vector has thousands.
    return value if isinstance(value, list) else ()
