"""
Every way to write a conversation gives the same records, or a plain refusal.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from workbench.client.messages import Messages, as_messages
from workbench.records import ChatMessage, ToolCall

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def test_a_string_is_one_user_turn() -> None:
    """
    The shortest way to write a prompt.
    """
    assert as_messages("hi") == (ChatMessage("user", "hi"),)


def test_records_pass_unchanged() -> None:
    """
    What is normal already stays the same object.
    """
    turn = ChatMessage("system", "Be brief.")

    assert as_messages([turn])[0] is turn


def test_dictionaries_become_records() -> None:
    """
    The form of OpenAI's documentation, tool calls and answers included.
    """
    written: list[Mapping[str, object]] = [
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None},
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
    ]

    assert as_messages(written) == (
        ChatMessage("user", "1+1?"),
        ChatMessage("assistant", None, tool_calls=(ToolCall(id="c1", name="add", arguments="{}"),)),
        ChatMessage("tool", "2", tool_call_id="c1"),
    )


def test_text_parts_are_joined() -> None:
    """
    Content in parts is the same text as content in one string.
    """
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]

    assert as_messages([{"role": "user", "content": parts}]) == (ChatMessage("user", "one two"),)


@pytest.mark.parametrize(
    ("messages", "error", "words"),
    [
        pytest.param([], ValueError, "at least one", id="nothing"),
        pytest.param([{"role": "robot", "content": "x"}], ValueError, "'robot'", id="role"),
        pytest.param([{"content": "x"}], ValueError, "None", id="no-role"),
        pytest.param(
            [{"role": "user", "content": "x", "audio": {"id": 1}}], ValueError, "audio", id="field"
        ),
        pytest.param(
            [{"role": "user", "content": [{"type": "image_url"}]}],
            ValueError,
            "picture",
            id="image",
        ),
        pytest.param(
            [{"role": "user", "content": [{"type": "input_audio"}]}], ValueError, "text", id="audio"
        ),
        pytest.param(
            [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}],
            ValueError,
            "one system prompt",
            id="system-later",
        ),
        pytest.param([{"role": "user", "content": 5}], ValueError, "int", id="content"),
        pytest.param(
            [{"role": "assistant", "tool_calls": [{"id": "x"}]}], ValueError, "function", id="call"
        ),
        pytest.param(["hi"], TypeError, "str", id="list-of-strings"),
    ],
)
def test_what_cannot_be_carried_is_refused(
    messages: Messages, error: type[Exception], words: str
) -> None:
    """
    Nothing of a conversation is dropped in silence.
    """
    with pytest.raises(error, match=words):
        as_messages(messages)
