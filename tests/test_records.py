"""
Records are values: equal by content, frozen, and they carry no surprises.
"""

from __future__ import annotations

import dataclasses
import pickle
from datetime import UTC, datetime

import pytest

from workbench.records import (
    ChatMessage,
    Generation,
    SamplingParams,
    ServerState,
    Timings,
    ToolCall,
)

TIMINGS = Timings(
    started_at=datetime(2026, 1, 1, tzinfo=UTC), sent_s=1.0, chunks_s=(1.5,), done_s=2.0
)


def generation(**changes: object) -> Generation:
    facts: dict[str, object] = {
        "text": "Hello",
        "model": "pocket",
        "messages": (ChatMessage("user", "a secret question"),),
        "params": SamplingParams(),
        "timings": TIMINGS,
    }
    return Generation(**{**facts, **changes})  # type: ignore[arg-type]


def test_only_what_was_set_is_given() -> None:
    """
    Zero was set; None was not.
    """
    params = SamplingParams(temperature=0.0, max_tokens=5, stop=("a",))

    assert params.given() == {"temperature": 0.0, "max_tokens": 5, "stop": ("a",)}
    assert SamplingParams().given() == {}


def test_a_generation_reads_as_its_text() -> None:
    """
    `print(answer)` prints the answer.
    """
    assert str(generation()) == "Hello"


def test_an_answer_is_the_next_turn() -> None:
    """
    With text, or with tool calls and no text at all.
    """
    call = ToolCall(id="c1", name="add", arguments="{}")

    assert generation().message == ChatMessage("assistant", "Hello")
    assert generation(text="", tool_calls=(call,)).message == ChatMessage(
        "assistant", None, tool_calls=(call,)
    )


def test_what_was_asked_is_not_in_the_repr() -> None:
    """
    A record that a cell shows by accident does not print the prompt.
    """
    assert "secret" not in repr(generation())


def test_records_are_equal_by_content_and_survive_pickling() -> None:
    """
    Two answers with the same facts are one answer.
    """
    assert generation() == generation()
    assert generation() != generation(text="Bye")
    assert pickle.loads(pickle.dumps(generation())) == generation()


def test_records_do_not_change() -> None:
    """
    What a thread was given stays what it was.
    """
    with pytest.raises(dataclasses.FrozenInstanceError):
        generation().text = "other"  # type: ignore[misc]


def test_states_are_their_words() -> None:
    """
    They are stored and shown as text.
    """
    assert f"{ServerState.READY}" == "ready"
