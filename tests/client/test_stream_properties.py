"""
However an answer is cut into chunks and packets, it is the same answer.
"""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from workbench.client import wire
from workbench.client.base import ChatRequest, Ended
from workbench.client.draft import Draft
from workbench.client.sse import EventParser
from workbench.records import ChatMessage, Generation, SamplingParams

# Anything a model can write, JSON's and UTF-8's hard cases included; half a
# surrogate pair is not text and does not survive UTF-8.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
PIECES = st.lists(TEXT, max_size=6)
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def draft(n: int = 1) -> Draft:
    request = ChatRequest(
        model="m", messages=(ChatMessage("user", "hi"),), params=SamplingParams(n=n)
    )
    return Draft(request, base_url="u", started_at=datetime.now(UTC), sent_s=0.0)


def chunk(delta: dict[str, object], index: int = 0, **more: object) -> dict[str, object]:
    return {"id": "c", "choices": [{"index": index, "delta": delta, **more}]}


def assembled(chunks: list[dict[str, object]], *, n: int = 1) -> Generation:
    made = draft(n)
    for number, each in enumerate(chunks):
        for event in wire.read_chunk(each, float(number)):
            made.add(event)
    made.add(Ended(float(len(chunks))))
    return made.generation(99.0)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


@given(PIECES, LINE_ENDS, st.booleans(), st.lists(st.integers(0, 10_000), max_size=20))
def test_packets_may_be_cut_anywhere(
    pieces: list[str], line_end: str, spaced: bool, places: list[int]
) -> None:
    """
    In the middle of a character, a line end, a word of the protocol.
    """
    prefix = "data: " if spaced else "data:"
    comment = f": keep-alive{line_end}"
    events = [prefix + json.dumps(piece, ensure_ascii=False) + 2 * line_end for piece in pieces]
    parser = EventParser()
    sent = (comment + comment.join(events)).encode()

    heard = [payload for part in cut(sent, places) for payload in parser.feed(part)]
    assert [json.loads(payload) for payload in heard] == pieces


@given(PIECES, PIECES)
def test_text_and_reasoning_are_what_the_pieces_say(texts: list[str], thoughts: list[str]) -> None:
    """
    In their order, each for itself, however the two alternate.
    """
    chunks = [chunk({"reasoning": thought}) for thought in thoughts]
    chunks += [chunk({"content": text}) for text in texts]
    answer = assembled(chunks)

    assert answer.text == "".join(texts)
    assert (answer.reasoning or "") == "".join(thoughts)


@given(st.lists(st.tuples(st.integers(0, 3), TEXT), max_size=20))
def test_arguments_of_calls_that_come_interleaved(parts: list[tuple[int, str]]) -> None:
    """
    Pieces with one index are one call, and calls are in the order of their index.
    """
    chunks = [
        chunk({"tool_calls": [{"index": index, "function": {"arguments": text}}]})
        for index, text in parts
    ]
    expected = {index: "" for index, _ in sorted(parts)}
    for index, text in parts:
        expected[index] += text

    assert [call.arguments for call in assembled(chunks).tool_calls] == list(expected.values())


@given(st.lists(st.tuples(st.integers(0, 2), TEXT), max_size=20))
def test_answers_to_one_prompt_stay_apart(parts: list[tuple[int, str]]) -> None:
    """
    The first is the answer, the others are beside it.
    """
    answer = assembled([chunk({"content": text}, index) for index, text in parts], n=3)
    expected = ["".join(text for each, text in parts if each == index) for index in range(3)]
    others = {choice.index: choice.text for choice in answer.alternatives}

    assert answer.text == expected[0]
    assert [others.get(index, "") for index in (1, 2)] == expected[1:]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "delta", "tool_calls", "content", "index", "usage", "id"])
            | TEXT,
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["choices", "usage", "id", "error"]), JSON))
def test_a_chunk_of_any_shape_is_read_without_an_error(chunk: dict[str, object]) -> None:
    """
    Servers differ; what is not understood says nothing.
    """
    assert isinstance(assembled([chunk]).text, str)
