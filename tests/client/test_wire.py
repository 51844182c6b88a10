"""
The wire's JSON and our records say the same.
"""

from __future__ import annotations

import pytest

from workbench.client import wire
from workbench.client.base import (
    ChatRequest,
    Counted,
    Delta,
    Ended,
    Event,
    Finished,
    Opened,
    ToolCallPart,
)
from workbench.errors import ConfigError
from workbench.records import (
    ChatMessage,
    Embeddings,
    Image,
    OutputFormat,
    SamplingParams,
    ServedModel,
    TokenLogprob,
    ToolCall,
    Usage,
)


def chunk_of(delta: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta}]}


def test_only_what_is_set_is_sent() -> None:
    """
    Unset parameters are the server's to choose, so they are not on the wire.
    """
    request = ChatRequest(
        model="pocket",
        messages=(ChatMessage("user", "hi"),),
        params=SamplingParams(temperature=0.0, max_tokens=5, stop=("\n",), top_k=1, min_p=0.1),
    )

    assert wire.request_fields(request, stream=False) == {
        "model": "pocket",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.0,
        "max_tokens": 5,
        "stop": ["\n"],
    }
    assert wire.extra_fields(request) == {"top_k": 1, "min_p": 0.1}


def test_a_stream_asks_for_its_usage() -> None:
    """
    Without include_usage there would be no token count and no TPOT.
    """
    request = ChatRequest(model="m", messages=(), params=SamplingParams())
    fields = wire.request_fields(request, stream=True)

    assert fields["stream"] is True
    assert fields["stream_options"] == {"include_usage": True}


def test_tool_turns_are_written_as_openai_writes_them() -> None:
    """
    The call keeps its arguments to the letter; the answer names its call.
    """
    call = ToolCall(id="c1", name="add", arguments='{"x":1')

    assert wire.message_fields(ChatMessage("assistant", None, tool_calls=(call,))) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"x":1'}}
        ],
    }
    assert wire.message_fields(ChatMessage("tool", "2", tool_call_id="c1")) == {
        "role": "tool",
        "content": "2",
        "tool_call_id": "c1",
    }


@pytest.mark.parametrize(
    ("chunk", "events"),
    [
        pytest.param(chunk_of({"role": "assistant", "content": ""}), [], id="role-only"),
        pytest.param(chunk_of({"content": "a"}), [Delta(1.0, "a")], id="text"),
        pytest.param(chunk_of({"reasoning": "r"}), [Delta(1.0, reasoning="r")], id="reasoning"),
        pytest.param(
            chunk_of({"reasoning_content": "r"}), [Delta(1.0, reasoning="r")], id="old-reasoning"
        ),
        pytest.param(
            chunk_of({"tool_calls": [{"index": 2, "function": {"arguments": "{"}}]}),
            [Delta(1.0, tool_calls=(ToolCallPart(2, arguments="{"),))],
            id="tool-call-piece",
        ),
        pytest.param({"choices": [{"delta": {}, "finish_reason": "stop"}]}, [Finished("stop")]),
        pytest.param({"choices": [], "id": "c1"}, [Opened("c1")], id="no-choices"),
        pytest.param({}, [], id="empty"),
        pytest.param({"choices": "?", "usage": None, "id": 5}, [], id="wrong-types"),
    ],
)
def test_a_chunk_says_what_it_carries(chunk: dict[str, object], events: list[Event]) -> None:
    """
    Tokens, an end, an id; whatever is missing or strange is not there.
    """
    assert wire.read_chunk(chunk, 1.0) == events


def test_usage_is_translated_once() -> None:
    """
    Prompt tokens are input tokens; what the server did not count stays unknown.
    """
    fields = {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": None,
    }
    expected = Usage(input_tokens=10, output_tokens=4, cached_tokens=8, reasoning_tokens=None)

    assert wire.read_chunk({"choices": [], "usage": fields}, 1.0) == [Counted(expected)]
    assert wire.read_chunk({"usage": {"prompt_tokens": 10}}, 1.0) == []


def test_an_answer_in_one_piece_reads_like_a_stream_at_once() -> None:
    """
    The same events in the same order, so one draft serves both.
    """
    answer = {
        "id": "c1",
        "choices": [{"message": {"content": "Hi", "tool_calls": []}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }

    assert wire.read_answer(answer, 5.0) == [
        Opened("c1"),
        Delta(5.0, "Hi"),
        Finished("stop"),
        Counted(Usage(input_tokens=1, output_tokens=2)),
        Ended(5.0),
    ]


def test_models_are_listed_with_their_context() -> None:
    """
    vLLM adds the path and max_model_len; other servers do not.
    """
    listing = {
        "data": [{"id": "pocket", "root": "/models/pocket", "max_model_len": 2048}, {"id": "other"}]
    }

    assert wire.read_models(listing) == (
        ServedModel(name="pocket", root="/models/pocket", max_model_len=2048),
        ServedModel(name="other"),
    )


def asking(**facts: object) -> ChatRequest:
    defaults = {"model": "m", "messages": (ChatMessage("user", "hi"),), "params": SamplingParams()}
    return ChatRequest(**{**defaults, **facts})  # type: ignore[arg-type]


REGEX = OutputFormat(kind="regex", value="a+")


@pytest.mark.parametrize(
    ("version", "output", "fields"),
    [
        pytest.param("0.32.0", REGEX, {"structured_outputs": {"regex": "a+"}}, id="new"),
        pytest.param("0.11.0", REGEX, {"structured_outputs": {"regex": "a+"}}, id="first-new"),
        pytest.param("0.9.2", REGEX, {"guided_regex": "a+"}, id="old"),
        pytest.param("0.10.2rc1.dev7+gabc", REGEX, {"guided_regex": "a+"}, id="old-development"),
        pytest.param(
            "0.1.dev9+gabc", REGEX, {"structured_outputs": {"regex": "a+"}}, id="untagged-build"
        ),
        pytest.param(
            "0.9.2",
            OutputFormat(kind="choice", value=("a", "b")),
            {"guided_choice": ["a", "b"]},
            id="old-choice",
        ),
        pytest.param(
            "0.32.0",
            OutputFormat(kind="grammar", value="root ::= 'a'"),
            {"structured_outputs": {"grammar": "root ::= 'a'"}},
            id="grammar",
        ),
    ],
)
def test_a_constraint_is_written_as_the_version_takes_it(
    version: str, output: OutputFormat, fields: dict[str, object]
) -> None:
    """
    The other form would be ignored, and the answer not be kept to anything.
    """
    request = asking(output=output, vllm_version=version)

    assert wire.needs_version(request)
    assert wire.extra_fields(request) == fields
    assert "response_format" not in wire.request_fields(request, stream=False)


def test_a_server_that_is_no_vllm_is_asked_for_no_regex() -> None:
    """
    It would ignore the field in silence.
    """
    with pytest.raises(ConfigError, match="Only a vLLM"):
        wire.extra_fields(asking(output=REGEX, vllm_version=None))


def test_a_schema_needs_no_version() -> None:
    """
    OpenAI's field works in every vLLM and in other servers.
    """
    schema = {"type": "object", "title": "List[int] of it"}
    request = asking(output=OutputFormat(kind="json_schema", value=schema))

    assert not wire.needs_version(request)
    assert wire.extra_fields(request) == {}
    assert wire.request_fields(request, stream=False)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "List_int__of_it", "schema": schema},
    }


def test_a_raw_prompt_has_no_response_format() -> None:
    """
    /v1/completions knows the constraint only as vLLM's own field.
    """
    schema = OutputFormat(kind="json_schema", value={"type": "object"})
    request = asking(output=schema, raw=True, vllm_version="0.32.0")

    assert wire.request_fields(request, stream=False) == {"model": "m", "prompt": "hi"}
    assert wire.extra_fields(request) == {"structured_outputs": {"json": {"type": "object"}}}


def test_a_completion_counts_its_logprobs() -> None:
    """
    A chat says whether and how many; a completion only how many.
    """
    params = SamplingParams(logprobs=True, top_logprobs=3)
    raw = wire.request_fields(asking(params=params, raw=True), stream=False)
    chat = wire.request_fields(asking(params=params), stream=False)

    assert (raw["logprobs"], "top_logprobs" in raw) == (3, False)
    assert (chat["logprobs"], chat["top_logprobs"]) == (True, 3)


def test_any_other_field_is_sent_as_it_is() -> None:
    """
    A server may have parameters that nobody here has heard of.
    """
    params = SamplingParams(stop_token_ids=(7,), extra={"best_of": 2})

    assert wire.extra_fields(asking(params=params)) == {"stop_token_ids": [7], "best_of": 2}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("get_time", {"type": "function", "function": {"name": "get_time"}}),
    ],
)
def test_a_tool_is_chosen_by_its_name(choice: str, sent: object) -> None:
    """
    The three words are the API's; any other is a tool.
    """
    assert wire.request_fields(asking(tool_choice=choice), stream=False)["tool_choice"] == sent


def test_pictures_and_words_keep_their_order() -> None:
    """
    The model reads them in that order.
    """
    picture = Image("https://example.org/cat.png", detail="low")

    assert wire.message_fields(ChatMessage("user", ("Look:", picture, "What is it?"))) == {
        "role": "user",
        "content": [
            {"type": "text", "text": "Look:"},
            {"type": "image_url", "image_url": {"url": picture.url, "detail": "low"}},
            {"type": "text", "text": "What is it?"},
        ],
    }


def test_the_answers_of_one_prompt_are_told_apart() -> None:
    """
    ``n`` above 1: one chunk can speak for several.
    """
    chunk = {
        "choices": [
            {"index": 0, "delta": {"content": "a"}},
            {"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"},
        ]
    }

    assert wire.read_chunk(chunk, 1.0) == [
        Delta(1.0, "a"),
        Delta(1.0, "b", choice=1),
        Finished("stop", 1),
    ]


def test_log_probabilities_of_a_chat() -> None:
    """
    A token, its own, and what else was likely there.
    """
    found = {
        "content": [
            {"token": "Hi", "logprob": -0.1, "top_logprobs": [{"token": "Ho", "logprob": -2.0}]}
        ]
    }
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": found}]}

    assert wire.read_chunk(chunk, 1.0) == [
        Delta(1.0, "Hi", logprobs=(TokenLogprob("Hi", -0.1, (("Ho", -2.0),)),))
    ]


def test_log_probabilities_of_a_completion() -> None:
    """
    The same in columns.
    """
    found = {
        "tokens": ["Hi", "!"],
        "token_logprobs": [-0.1, -0.2],
        "top_logprobs": [{"Hi": -0.1, "Ho": -2.0}],
    }
    answer = {"choices": [{"index": 0, "text": "Hi!", "logprobs": found}]}
    expected = (TokenLogprob("Hi", -0.1, (("Hi", -0.1), ("Ho", -2.0))), TokenLogprob("!", -0.2))

    assert wire.read_answer(answer, 1.0)[0] == Delta(1.0, "Hi!", logprobs=expected)


def test_vectors_come_in_the_order_of_their_texts() -> None:
    """
    A server may answer in any.
    """
    answer = {
        "model": "e",
        "data": [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1, 2]}],
        "usage": {"prompt_tokens": 5},
    }

    assert wire.read_embeddings(answer) == Embeddings(
        vectors=((1, 2), (3, 4)), model="e", usage=Usage(input_tokens=5, output_tokens=0)
    )
