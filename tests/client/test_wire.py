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
from workbench.records import ChatMessage, SamplingParams, ServedModel, ToolCall, Usage


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
