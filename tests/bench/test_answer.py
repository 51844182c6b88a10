"""Bytes in, times of tokens out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.bench.answer import Answer

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
USAGE = {"prompt_tokens": 7, "completion_tokens": 5}


def event(delta: dict[str, object], **more: object) -> bytes:
    """Write an event as vLLM does."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    fields = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice], **more}
    return b"data: " + json.dumps(fields, separators=(",", ":")).encode() + b"\n\n"


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


FIRST = event({"role": "assistant", "content": ""})
TEXTS = ("a", "", 'say \\"content\\":\\"', "é", "\n\n", "b")
"""One of them is empty: vLLM sends those while it has half a character."""
LAST = event({}, usage=USAGE, choices=[]) + b"data: [DONE]\n\n"
STREAM = (
    HEAD
    + chunk(FIRST)
    + b"".join(chunk(event({"content": text})) for text in TEXTS)
    + chunk(LAST)
    + b"0\r\n\r\n"
)


def fed(reads: Iterable[bytes]) -> Answer:
    """Feed reads that came a second apart, the first at 0 s, as the loop does."""
    answer = Answer()
    for number, data in enumerate(reads):
        if not answer.take(data, float(number)):
            answer.feed(data, float(number))
    return answer


def test_each_chunk_with_text_has_the_time_of_its_read():
    """Neither the role, an empty text nor the usage is one: reads 2, 4, 5, 6 and 7 are."""
    texts = [chunk(event({"content": text})) for text in TEXTS]
    answer = fed([HEAD, chunk(FIRST), *texts, chunk(LAST), b"0\r\n\r\n"])

    assert list(answer.stamps_s) == [2.0, 4.0, 5.0, 6.0, 7.0]
    assert answer.is_done
    assert answer.keeps_open
    assert answer.error is None


def test_tokens_are_counted_by_the_server():
    """Usage comes last, and its counts are what is reported."""
    answer = fed([STREAM])

    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 5)
    assert answer.request_id == "chatcmpl-1"


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=12))
def test_a_stream_cut_anywhere_has_the_same_chunks(cuts: list[int]):
    """However the network cuts it: five texts, in order, the usage, the end."""
    edges = [0, *sorted(set(cuts)), len(STREAM)]
    answer = fed(STREAM[a:b] for a, b in pairwise(edges))

    assert len(answer.stamps_s) == 5
    assert list(answer.stamps_s) == sorted(answer.stamps_s)
    assert answer.usage is not None
    assert answer.is_done
    assert answer.error is None


def test_whole_texts_are_taken_at_once_and_nothing_else_is():
    """Once the form is known, and only between chunks."""
    text, other = chunk(event({"content": "b"})), chunk(event({"reasoning": "b"}))
    answer = fed([HEAD, chunk(event({"content": "a"}))])

    assert answer.take(text, 2.0)
    assert answer.take(text + text, 3.0)
    assert not answer.take(text + other, 4.0)
    assert not answer.take(chunk(event({"content": ""})), 4.0)
    assert not answer.take(text[:-1], 4.0)
    answer.feed(text[:-1], 4.0)
    assert not answer.take(text, 5.0)
    assert list(answer.stamps_s[:4]) == [1.0, 2.0, 3.0, 3.0]


def test_many_events_in_one_read_are_counted():
    """A thousand texts in two reads, the second with what the first cut off."""
    many = b"".join(chunk(event({"content": f"word {number}"})) for number in range(1000))
    answer = fed([HEAD + chunk(event({"content": "x"})), many[:50_000], many[50_000:]])
    in_first = many[:50_000].count(b"\n\n\r\n")

    assert list(answer.stamps_s) == [0.0] + [1.0] * in_first + [2.0] * (1000 - in_first)


def test_an_event_of_another_form_among_texts_is_parsed():
    """Reasoning after content begins otherwise, and counts all the same."""
    texts = [{"content": "a"}, {"content": "b"}, {"reasoning": "c"}, {"content": "d"}]
    answer = fed([HEAD, b"".join(chunk(event(text)) for text in texts)])

    assert list(answer.stamps_s) == [1.0] * 4


def test_an_answer_without_chunks_is_read_to_its_close():
    """HTTP/1.0's way: no length, and the connection is not used again."""
    answer = fed([b"HTTP/1.1 200 OK\r\n\r\n" + event({"content": "a"}), event({"content": "b"})])
    answer.close()

    assert list(answer.stamps_s) == [0.0, 1.0]
    assert answer.error is None
    assert answer.is_done


def test_a_refusal_is_kept_with_what_the_server_said():
    """Status and sentence, when its body is whole."""
    body = b'{"error": {"message": "No such model"}}'
    head = b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\n\r\n" % len(body)

    assert not fed([head + body[:9]]).is_done
    assert fed([head + body[:9], body[9:]]).error == "HTTP 404: No such model"


def test_an_error_inside_the_stream_is_an_error():
    """Although the status said 200, and tokens had come."""
    wrong = b'data: {"error": {"message": "out of memory"}}\n\n'
    answer = fed([HEAD + chunk(event({"content": "a"})), chunk(wrong)])

    assert answer.error == "An error inside the stream: out of memory"


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + chunk(FIRST), STREAM[:-3]])
def test_a_connection_closed_early_is_an_error(sent: bytes):
    """What is not complete is not counted as completed, even if only the last bytes lack."""
    answer = fed([sent])
    answer.close()

    assert answer.error == "The connection was closed before the answer was complete."


@pytest.mark.parametrize("noise", [b"SSH-2.0-OpenSSH\r\n\r\n", HEAD + b"zz\r\n\r\n"])
def test_what_is_no_http_is_told(noise: bytes):
    """Instead of waiting for an end."""
    assert "cannot be read" in str(fed([noise]).error)
