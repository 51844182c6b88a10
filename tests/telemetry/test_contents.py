"""Prompts and answers, for those who asked to keep them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from workbench.records import (
    ChatMessage,
    Choice,
    Generation,
    Image,
    SamplingParams,
    ToolCall,
)
from workbench.telemetry import Contents, Telemetry, redacting

CALL = ToolCall(id="call-1", name="mail", arguments='{"to": "ada@example.org"}')
ASKED = (
    ChatMessage("system", "Be brief."),
    ChatMessage("user", ("Write to ada@example.org", Image("data:image/png;base64," + "A" * 999))),
    ChatMessage("assistant", None, tool_calls=(CALL,)),
    ChatMessage("tool", "sent to ada@example.org", tool_call_id="call-1"),
)
MAIL = r"[\w.]+@[\w.]+"


def test_a_conversation_is_written_as_it_was_sent() -> None:
    """
    Roles, texts, calls and their answers; of a picture the beginning.
    """
    turns = json.loads(Contents().prompt(ASKED) or "")

    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "tool"]
    assert turns[0] == {"role": "system", "content": "Be brief."}
    assert len(turns[1]["content"][1]["image_url"]["url"]) == 200
    assert turns[3]["tool_call_id"] == "call-1"


def test_every_answer_is_there(make_generation: Callable[..., Generation]) -> None:
    """
    Those of ``n`` above 1, with reasoning and calls.
    """
    answer = make_generation(
        text="one", reasoning="hm", alternatives=(Choice(index=1, text="two", tool_calls=(CALL,)),)
    )
    first, second = json.loads(Contents().answer(answer) or "")

    assert first == {"text": "one", "reasoning": "hm", "finish_reason": "stop"}
    assert second["tool_calls"][0]["name"] == "mail"


def test_what_is_redacted_is_in_no_text(make_generation: Callable[..., Generation]) -> None:
    """
    Not in words, parts, arguments, reasoning or what a tool answered.
    """
    contents = Contents(redacting(MAIL))
    answer = make_generation(text="Hi ada@example.org", reasoning="a@b", tool_calls=(CALL,))
    written = f"{contents.prompt(ASKED)}{contents.answer(answer)}"

    assert "@" not in written
    assert written.count("[redacted]") == 6


def test_names_and_ids_of_calls_are_redacted_too() -> None:
    """
    A model writes them as well, and may write anything.
    """
    call = ToolCall(id="id of ada@x", name="mail_ada@x", arguments="{}")
    asked = [
        ChatMessage("assistant", None, tool_calls=(call,)),
        ChatMessage("tool", "done", tool_call_id="id of ada@x"),
    ]

    assert "ada" not in (Contents(redacting(MAIL)).prompt(asked) or "ada")


def test_an_address_is_redacted_before_it_is_cut() -> None:
    """
    A pattern would not know half of what it looks for.
    """
    url = "https://host/" + "a" * 180 + "?key=abcdefghijkl"
    asked = [ChatMessage("user", (Image(url),))]

    assert "key=abc" not in (Contents(redacting("key=[a-z]{12}")).prompt(asked) or "key=abc")


def test_texts_among_the_sampling_parameters_are_redacted(
    path: Path, make_generation: Callable[..., Generation]
) -> None:
    """
    Also while contents are off; of words that may not be said only the number is kept then.
    """
    params = SamplingParams(stop=("END", "to ada@x"), bad_words=("ada@x", "b"))
    frames = []
    for kept in (False, True):
        contents = Contents(redacting(MAIL), kept=kept)
        with Telemetry(path.with_name(f"{kept}.db"), session="s", contents=contents) as telemetry:
            telemetry.emit(make_generation(params=params))
            frames.append(telemetry.frame())

    assert [json.loads(frame["stop"][0]) for frame in frames] == [["END", "to [redacted]"]] * 2
    assert [json.loads(frame["other_sampling"][0])["bad_words"] for frame in frames] == [
        2,
        ["[redacted]", "b"],
    ]


def test_contents_are_kept_only_when_asked_for(
    path: Path, make_generation: Callable[..., Generation]
) -> None:
    """
    And then as they were redacted, in every byte of the folder.
    """
    with Telemetry(path, session="tests", contents=Contents(redacting(MAIL))) as telemetry:
        telemetry.emit(make_generation(messages=ASKED, text="Dear ada@example.org"))
        (row,) = telemetry.frame().to_dict("records")
        kept = b"".join(file.read_bytes() for file in path.parent.iterdir())

    assert json.loads(row["answer"])[0]["text"] == "Dear [redacted]"
    assert "Be brief." in row["prompt"]
    assert b"ada@example" not in kept


def test_a_redaction_that_fails_keeps_the_row_without_contents(
    path: Path, make_generation: Callable[..., Generation]
) -> None:
    """
    What could not be redacted is not written; the status says so.
    """

    def fails(text: str) -> str:
        raise LookupError(text)

    with Telemetry(path, session="tests", contents=Contents(fails)) as telemetry:
        telemetry.emit(make_generation(params=SamplingParams(stop=("secret",))))
        frame = telemetry.frame()

        assert frame["output_tokens"].tolist() == [5]
        assert frame[["prompt", "answer"]].isna().all(axis=None)
        assert frame["stop"].tolist() == ['["[redacted]"]']
        assert telemetry.last_error == "Contents were not kept: LookupError"
