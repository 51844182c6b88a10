"""
Server-sent events out of bytes, however the network cut them. Pure.

Only what a chat stream uses: the ``data`` of each event. Names, ids and retry
times are skipped, as are comments (a proxy's keep-alive).

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventParser:
    """
    Bytes in, the data of complete events out.

    Lines are split before text is decoded, so half a character waits for its
    other half. An event that the end of the stream cuts off is never reported,
    as the standard asks: half a JSON text is worth nothing.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._data: list[bytes] = []
        self._after_cr = False
        self._at_start = True

    def feed(self, data: bytes) -> list[str]:
        """Take the next bytes; return the data of every event they complete."""
        data = self._with_newlines(data)
        if b"\n" not in data:
            # Of a line of megabytes, which would else be copied with every read.
            self._rest.append(data)
            return []
        *lines, rest = b"".join([*self._rest, data]).split(b"\n")
        self._rest = [rest]
        if self._at_start and lines:
            self._at_start = False
            lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
        payloads = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line == b"data":
                self._data.append(b"")
            elif not line and self._data:
                payloads.append(b"\n".join(self._data).decode("utf-8", "replace"))
                self._data.clear()
        return payloads

    def _with_newlines(self, data: bytes) -> bytes:
        # A carriage return ends a line at once: waiting to see whether a line
        # feed follows would hold a finished event back until the next read.
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" not in data:
            return data
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
