"""
One answer's bytes, read into when its tokens came. Pure.

What counts as content is what :mod:`workbench.client.wire` says. But to parse
the JSON of each event costs four microseconds, and at 85,000 events a second
that is a third of a core. So it is done once: the event's bytes up to its
text, ``data: {"id":…"delta":{"content":"``, are remembered, and an event that
begins with the same bytes, and goes on with anything but the closing quote,
has text at the same place of the same structure. Where all of what was read
is such events, each a chunk of its own, they are only counted.

The texts are not kept: a benchmark's answers are as long as they are told to be.
"""

from __future__ import annotations

import json
import re
from array import array

from ..client import wire
from ..client.base import Counted, Delta, Opened
from ..client.refusals import said
from ..client.sse import EventParser
from ..records import Usage
from .http1 import CRLF, Framing

CHUNK_END = b"\n\n\r\n"
"""An event's end and its chunk's. JSON writes line ends inside a text with a backslash."""

LINES_PER_CHUNK = 4
"""Its size, the event, the empty line, the chunk's end."""

MOST_BODY_BYTES = 16 * 1024
"""What is kept of an answer that is no stream: enough to tell what the server said."""

QUOTE = ord('"')

_TEXT_BEGINS = re.compile(r'"(?:content|text|reasoning|reasoning_content)"\s*:\s*"(?!")')


class Answer:
    """
    What came for one request.

    Attributes:
        stamps_s: When each chunk with content was complete (monotonic).

        began: Whether a byte has come; until then it can be asked for again.

        error: What went wrong, as a sentence; ``None`` while nothing has.
    """

    __slots__ = (
        "_at_edge",
        "_begins",
        "_begins_bytes",
        "_begins_size",
        "_body",
        "_framing",
        "_has_events",
        "_parser",
        "_rest",
        "_text_at",
        "began",
        "error",
        "request_id",
        "stamps_s",
        "usage",
    )

    def __init__(self) -> None:
        self.stamps_s: array[float] = array("d")
        self.usage: Usage | None = None
        self.request_id: str | None = None
        self.error: str | None = None
        self.began = False
        self._framing = Framing()
        self._parser = EventParser()
        self._begins, self._begins_bytes = "", b""
        self._begins_size = self._text_at = 0
        self._rest = self._body = b""
        self._at_edge = self._has_events = False

    def __reduce__(self) -> tuple[object, ...]:
        # To another process goes what was found; what it takes to read on does not.
        found = (self.stamps_s, self.usage, self.request_id, self.error, self.began)
        return _found, found

    @property
    def is_done(self) -> bool:
        """Whether nothing more will come."""
        return self._framing.done or self.error is not None

    @property
    def keeps_open(self) -> bool:
        """Whether another request can follow on the same connection."""
        return self._framing.keeps_open and self._framing.done

    def take(self, data: bytes, at_s: float) -> bool:
        """
        Count *data* if it is whole texts of the form that is known, each a chunk of its own.

        ``False``: it is something else, nothing was taken, and :meth:`feed` reads it.
        This is the hot path: a load has hardly anything but such reads.
        """
        text_at = self._text_at
        if (
            self._at_edge
            and data[text_at - self._begins_size : text_at] == self._begins_bytes
            and data.find(b"\n", text_at) == len(data) - 4
            and data[-4:] == CHUNK_END
        ):
            if data[text_at] == QUOTE:
                return False
            self.stamps_s.append(at_s)
            return True
        return self._take_many(data, at_s)

    def _take_many(self, data: bytes, at_s: float) -> bool:
        """Do the same for any number, and learn where the next one's text will be."""
        if not self._at_edge or not data.endswith(CHUNK_END):
            return False
        number = self._count_texts(data, len(data))
        self.stamps_s.extend(array("d", (at_s,)) * number)  # by far quicker than repeat()
        self._text_at = data.find(b"\n") + 1 + self._begins_size
        return number > 0

    def feed(self, data: bytes, at_s: float) -> None:
        """Take what was read at *at_s*."""
        self._feed(data, at_s)
        self._at_edge = bool(self._begins) and not self._rest and self._framing.between_chunks

    def _feed(self, data: bytes, at_s: float) -> None:
        self.began = True
        if self._rest:
            data, self._rest = self._rest + data, b""
        between = self._framing.between_chunks
        if self._begins and not between:
            # Parse to the end of the chunk that is open, and no further.
            cut = data.find(CHUNK_END) + len(CHUNK_END)
            if cut >= len(CHUNK_END):
                self._read(data[:cut], at_s)
                data = data[cut:]
                between = self._framing.between_chunks
        if self._begins and between and data:
            cut = data.rfind(CHUNK_END) + len(CHUNK_END)
            if number := self._count_texts(data, cut):
                self.stamps_s.extend(array("d", (at_s,)) * number)
                data = data[cut:]
                # Half a chunk waits for the rest, unless it may be the end.
                if not data.endswith(CRLF):
                    self._rest = data
                    return
        self._read(data, at_s)

    def close(self) -> None:
        """Take note that the server closed the connection."""
        self._framing.close()
        if not self.is_done:
            self.error = "The connection was closed before the answer was complete."
        self._finish()

    def fail(self, error: str) -> None:
        """Give it up."""
        self.error = self.error or error

    def _count_texts(self, data: bytes, end: int) -> int:
        """Count the events up to *end* if all are texts and each is a chunk; 0 if one is not."""
        number = data.count(self._begins_bytes, 0, end)
        if data.count(b"\n", 0, end) != LINES_PER_CHUNK * number:
            return 0
        return number if data.find(self._begins_bytes + b'"', 0, end) < 0 else 0

    def _read(self, data: bytes, at_s: float) -> None:
        try:
            content = self._framing.feed(data)
            if self._framing.status == 200:
                for event in self._parser.feed(content):
                    self._has_events = True
                    self._take(event, at_s)
            if not self._has_events and len(self._body) < MOST_BODY_BYTES:
                self._body += content
        except (ValueError, RecursionError) as exc:
            self.error = f"The answer cannot be read: {exc}"
        self._finish()

    def _finish(self) -> None:
        if self._framing.done and not self._has_events and self.error is None:
            status, answer = self._framing.status, said(_parsed(self._body))
            what = f"HTTP {status}" if status != 200 else "HTTP 200 without an event"
            self.error = f"{what}: {answer}"

    def _take(self, event: str, at_s: float) -> None:
        begins = self._begins
        if begins and event.startswith(begins) and not event.startswith('"', len(begins)):
            self.stamps_s.append(at_s)
        elif event != "[DONE]":
            self._parse(event, at_s)

    def _parse(self, event: str, at_s: float) -> None:
        chunk = json.loads(event)
        if not isinstance(chunk, dict):
            raise ValueError(f"an event is no JSON object: {event[:60]}")
        if "error" in chunk:
            self.error = f"An error inside the stream: {said(chunk)}"
            return
        for found in wire.read_chunk(chunk, at_s):
            match found:
                case Delta() if found.has_tokens:
                    self.stamps_s.append(at_s)
                    self._remember(event)
                case Opened():
                    self.request_id = self.request_id or found.request_id
                case Counted():
                    self.usage = found.usage

    def _remember(self, event: str) -> None:
        if text := _TEXT_BEGINS.search(event):
            self._begins = event[: text.end()]
            self._begins_bytes = b"data: " + self._begins.encode()
            self._begins_size = len(self._begins_bytes)


def _found(
    stamps_s: array[float],
    usage: Usage | None,
    request_id: str | None,
    error: str | None,
    began: bool,
) -> Answer:
    answer = Answer()
    answer.stamps_s, answer.usage, answer.request_id = stamps_s, usage, request_id
    answer.error, answer.began = error, began
    return answer


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
