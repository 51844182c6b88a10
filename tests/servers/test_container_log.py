"""A container's output becomes lines."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from workbench.servers import container_log


class Stream:
    """What Docker's SDK gives: bytes in pieces, and ``close()``, which ends a waiting reader."""

    def __init__(self, *pieces: bytes, then_waits: bool = False) -> None:
        self.pieces = pieces
        self.closed = threading.Event()
        if not then_waits:
            self.closed.set()

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        self.closed.wait(10)

    def close(self) -> None:
        self.closed.set()


def test_lines_are_whole_however_they_come():
    """A line in two pieces is one line, and so is a character in two."""
    stream = Stream(b"INFO on", b"e\nINFO tw\xc3", b"\xb6\n", b"the end")

    assert [line for line in container_log.lines(stream) if line] == [
        "INFO one",
        "INFO twö",
        "the end",
    ]


def test_each_redraw_of_a_progress_bar_is_a_line():
    """Bars end with a carriage return, which is how far they are."""
    stream = Stream(b"shards: 0%\rshards: 50%\rshards: 100%\r\n\nnext\n")

    lines = [line for line in container_log.lines(stream) if line]

    assert lines == ["shards: 0%", "shards: 50%", "shards: 100%", " ", "next"]


def test_silence_is_an_empty_string_and_leaving_closes_the_stream():
    """Whoever follows can look at the clock, and nobody reads on behind them."""
    stream = Stream(b"one\n", then_waits=True)
    lines = container_log.lines(stream)

    assert next(lines) == "one"
    assert next(lines) == ""
    lines.close()
    assert stream.closed.is_set()
