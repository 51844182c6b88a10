"""
Server-sent events, however the network cuts them.
"""

from __future__ import annotations

import pytest

from workbench.client.sse import EventParser


def parse(*reads: bytes) -> list[str]:
    parser = EventParser()
    return [payload for read in reads for payload in parser.feed(read)]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(b"data: a\n\ndata: b\n\n", ["a", "b"], id="line-feeds"),
        pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"], id="crlf"),
        pytest.param(b"data: a\r\rdata: b\r\r", ["a", "b"], id="carriage-returns"),
        pytest.param(b"data:a\n\n", ["a"], id="no-space"),
        pytest.param(b"data:  a\n\n", [" a"], id="only-one-space-is-markup"),
        pytest.param(b": ping\n\ndata: a\n\n", ["a"], id="comment"),
        pytest.param(b"data: a\ndata: b\n\n", ["a\nb"], id="two-data-lines"),
        pytest.param(b"data\ndata: b\n\n", ["\nb"], id="empty-data-line"),
        pytest.param(b"event: x\nid: 1\nretry: 5\ndata: a\n\n", ["a"], id="other-fields"),
        pytest.param(b"\n\n\ndata: a\n\n\n", ["a"], id="blank-lines"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", ["a"], id="byte-order-mark"),
        pytest.param(b"data: [DONE]\n\n", ["[DONE]"], id="done"),
        pytest.param("data: a\u2028b\x85c\n\n".encode(), ["a\u2028b\x85c"], id="unicode-lines"),
        pytest.param("data: Grüße 🌍\n\n".encode(), ["Grüße 🌍"], id="long-characters"),
    ],
)
def test_where_the_bytes_are_cut_does_not_matter(sent: bytes, expected: list[str]) -> None:
    """
    In one read, byte by byte, or in any two reads: the same events.
    """
    whole = parse(sent)
    single = parse(*[bytes([byte]) for byte in sent])
    halves = [parse(sent[:cut], sent[cut:]) for cut in range(len(sent))]

    assert whole == expected
    assert single == expected
    assert halves == [expected] * len(sent)


def test_an_event_is_reported_with_the_byte_that_ends_it() -> None:
    """
    A carriage return ends a line at once, without waiting for a line feed.
    """
    parser = EventParser()
    before = parser.feed(b"data: a\r\n")
    after = parser.feed(b"\r")

    assert before == []
    assert after == ["a"]


@pytest.mark.parametrize("sent", [b"data: a", b"data: a\n", b"data: a\r\n"])
def test_an_event_that_is_cut_off_is_never_reported(sent: bytes) -> None:
    """
    Without its blank line an event may be half an event.
    """
    assert parse(sent) == []


def test_bytes_that_are_no_utf8_become_replacement_characters() -> None:
    """
    One broken character does not lose the rest of the event.
    """
    assert parse(b"data: a\xffb\n\n") == ["a\ufffdb"]
