"""
A container's output as lines, with pauses that whoever reads can use to look at the clock.
"""

from __future__ import annotations

import contextlib
import queue
import re
import threading
from collections.abc import Iterator
from typing import Any

POLL_S = 0.1

# Progress bars end their redraws with a carriage return.
_ENDS = re.compile(rb"\r\n|\n|\r")


def lines(stream: Any) -> Iterator[str]:
    """
    Yield a stream's lines without newlines, and "" for every tenth of a second of silence.

    A line that is empty itself is a space. The stream is closed when the
    reader leaves.

    Args:
        stream: Docker's: iterable over bytes, with ``close()``.
    """
    chunks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def read() -> None:
        # The reader's leaving closes the connection under it, which is how it is told to end.
        with contextlib.suppress(Exception):
            for chunk in stream:
                chunks.put(chunk)
        chunks.put(None)

    threading.Thread(target=read, name="container log", daemon=True).start()
    try:
        yield from _lines(chunks)
    finally:
        stream.close()


def _lines(chunks: queue.SimpleQueue[bytes | None]) -> Iterator[str]:
    rest = b""
    while True:
        try:
            chunk = chunks.get(timeout=POLL_S)
        except queue.Empty:
            yield ""
            continue
        *whole, rest = _ENDS.split(rest + (chunk or b""))
        yield from (_text(line) for line in whole)
        if chunk is None:
            if rest:
                yield _text(rest)
            return


def _text(line: bytes) -> str:
    return line.decode(errors="replace") or " "
