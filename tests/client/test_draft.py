"""
Events make an answer, offline.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

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
from workbench.client.draft import Draft
from workbench.records import ChatMessage, SamplingParams, ToolCall, Usage

REQUEST = ChatRequest(
    model="pocket", messages=(ChatMessage("user", "hi"),), params=SamplingParams(seed=1)
)
USAGE = Usage(input_tokens=3, output_tokens=3)


def draft_of(*events: Event, streamed: bool = True, n: int | None = None) -> Draft:
    draft = Draft(
        replace(REQUEST, params=replace(REQUEST.params, n=n)),
        base_url="http://x/v1",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        sent_s=10.0,
        streamed=streamed,
    )
    for event in events:
        draft.add(event)
    return draft


def test_a_whole_stream_becomes_a_whole_answer() -> None:
    """
    Sent at 10.0 s, three tokens between 10.2 and 10.6: TTFT 0.2 s, TPOT 0.4 / 2 s, E2E 0.6 s.
    """
    draft = draft_of(
        Opened("chatcmpl-1"),
        Delta(10.2, "Hel"),
        Delta(10.6, "lo"),
        Finished("stop"),
        Counted(USAGE),
        Ended(10.7),
    )
    answer = draft.generation(now_s=99.0)

    assert str(answer) == "Hello"
    assert answer.finish_reason == "stop"
    assert answer.usage == USAGE
    assert answer.request_id == "chatcmpl-1"
    assert answer.ttft_s == pytest.approx(0.2)
    assert answer.tpot_s == pytest.approx(0.2)
    assert answer.e2e_latency_s == pytest.approx(0.6)
    assert answer.timings.done_s == 10.7
    assert answer.messages == REQUEST.messages
    assert answer.params == REQUEST.params


def test_the_first_request_id_wins() -> None:
    """
    The header, which the server's log shows, comes before the id in the chunks.
    """
    draft = draft_of(Opened("from-header"), Opened("chatcmpl-1"))

    assert draft.generation(11.0).request_id == "from-header"


def test_a_tool_call_is_put_together_by_index() -> None:
    """
    Two calls whose arguments come in turns end up as two calls, in the order of their index.
    """
    draft = draft_of(
        Delta(10.1, tool_calls=(ToolCallPart(1, "b", "sub"), ToolCallPart(0, "a", "add"))),
        Delta(10.2, tool_calls=(ToolCallPart(0, arguments='{"x"'),)),
        Delta(10.3, tool_calls=(ToolCallPart(1, arguments="{}"),)),
        Delta(10.4, tool_calls=(ToolCallPart(0, arguments=": 1}"),)),
        Finished("tool_calls"),
    )

    assert draft.generation(11.0).tool_calls == (
        ToolCall(id="a", name="add", arguments='{"x": 1}'),
        ToolCall(id="b", name="sub", arguments="{}"),
    )


def test_an_id_alone_starts_no_clock() -> None:
    """
    A chunk with nothing but a call's id carries no token.
    """
    draft = draft_of(
        Delta(10.1, tool_calls=(ToolCallPart(0, "a"),)),
        Delta(10.3, tool_calls=(ToolCallPart(0, name="add"),)),
    )

    assert draft.generation(11.0).timings.chunks_s == (10.3,)


def test_reasoning_is_kept_apart_and_starts_the_clock() -> None:
    """
    TTFT is the first token of any kind: it says that the prefill is over.
    """
    draft = draft_of(Delta(10.1, reasoning="Hm"), Delta(10.2, reasoning="m."), Delta(10.5, "Yes"))
    answer = draft.generation(11.0)

    assert (answer.reasoning, answer.text) == ("Hmm.", "Yes")
    assert answer.ttft_s == pytest.approx(0.1)


def test_half_an_answer_has_no_end_to_end_latency() -> None:
    """
    Unknown is None: the time until it broke off is not a latency.
    """
    answer = draft_of(Delta(10.2, "Hel")).generation(now_s=12.0)

    assert answer.finish_reason is None
    assert answer.e2e_latency_s is None
    assert answer.timings.done_s == 12.0


def test_an_answer_in_one_piece_has_no_ttft() -> None:
    """
    Without a stream the only stamp is the body's: E2E 1.5 s, no chunks.
    """
    draft = draft_of(Delta(11.5, "Hello"), Finished("stop"), Ended(11.5), streamed=False)
    answer = draft.generation(now_s=12.0)

    assert answer.timings.chunks_s == ()
    assert answer.ttft_s is None
    assert answer.e2e_latency_s == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("event", "complete"),
    [
        pytest.param(Delta(1.0, "x"), False, id="text"),
        pytest.param(Counted(USAGE), False, id="usage"),
        pytest.param(Finished("stop"), True, id="finish-reason"),
        pytest.param(Ended(1.0), True, id="done"),
    ],
)
def test_complete_means_finish_reason_or_end(event: Event, complete: bool) -> None:
    """
    Nothing of an answer is missing once the model said why it stopped.
    """
    assert draft_of(event).is_complete is complete


def test_several_answers_have_no_tpot() -> None:
    """
    Their chunks come interleaved, and one usage counts them all.
    """
    answer = draft_of(
        Delta(11.0, "a"),
        Delta(12.0, "b", choice=1),
        Finished("stop"),
        Finished("length", 1),
        Counted(USAGE),
        n=2,
    ).generation(19.0)

    assert (answer.ttft_s, answer.tpot_s) == (1.0, None)
    assert [(other.text, other.finish_reason) for other in answer.alternatives] == [("b", "length")]


def test_one_of_two_answers_is_not_all() -> None:
    """
    A stream that breaks off then is interrupted.
    """
    assert not draft_of(Finished("stop"), n=2).is_complete


def test_a_new_attempt_begins_with_nothing() -> None:
    """
    The clocks go on: the caller has waited since the first.
    """
    draft = draft_of(Opened("one"), Counted(USAGE))
    draft.begin_again()
    answer = draft.generation(15.0)

    assert (answer.request_id, answer.usage, answer.attempts) == (None, None, 2)
    assert answer.timings.sent_s == 10.0
