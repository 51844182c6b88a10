"""
As much of HTTP/1.1 as a load generator needs: a request as bytes, an answer's framing. Pure.

Source: RFC 9112, sections 6 and 7.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import ConfigError

CRLF = b"\r\n"
HEAD_END = b"\r\n\r\n"
VERSION = b"HTTP/1."
MOST_HEAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go; *path* is that of the base URL."""

    host: str
    port: int
    path: str
    api_key: str | None = None


def target(base_url: str, *, api_key: str | None = None) -> Target:
    """
    Read a base URL.

    Raises:
        ConfigError: It is not plain HTTP: kernel timestamps are those of packets,
            and what a packet of TLS holds is known only after the hot path.
    """
    parts = urlsplit(base_url)
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(
            f"The benchmark speaks plain HTTP, and {base_url} is not that.",
            hint="Measure the server itself, without the proxy that adds TLS: http://HOST:PORT/v1.",
            key="base_url",
        )
    path = parts.path.rstrip("/")
    return Target(host=parts.hostname, port=parts.port or 80, path=path, api_key=api_key)


def post(to: Target, path: str, body: Mapping[str, object]) -> bytes:
    """Write a request with a JSON body."""
    content = json.dumps(body).encode()
    host = f"[{to.host}]" if ":" in to.host else to.host
    lines = [
        f"POST {to.path}{path} HTTP/1.1",
        f"Host: {host}:{to.port}",
        "Content-Type: application/json",
        "Accept: text/event-stream",
        f"Content-Length: {len(content)}",
        *([f"Authorization: Bearer {to.api_key}"] if to.api_key else []),
    ]
    return "\r\n".join(lines).encode() + HEAD_END + content


class Framing:
    """
    Bytes of one answer in, the content out.

    ``status`` is ``None`` until the head has come. ``done`` says that the
    answer is complete; one without a length is when the server closes.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.done = False
        self.keeps_open = True
        self._rest = b""
        self._chunked = False
        # Of a chunk, with the CRLF after it, or of the whole content.
        self._left: int | None = 0

    @property
    def between_chunks(self) -> bool:
        """Whether what comes next begins with a chunk's size."""
        return self._chunked and self._left == 0 and not self._rest and not self.done

    def feed(self, data: bytes) -> bytes:
        """
        Take the next bytes; return the content in them.

        Raises:
            ValueError: It is no HTTP.
        """
        data = self._rest + data
        self._rest = b""
        if self.status is None:
            head, end, data = data.partition(HEAD_END)
            if not end:
                self._wait_for_head(head)
                return b""
            self._read_head(head)
            if self.status is None:
                return self.feed(data) if data else b""
        return self._chunks(data) if self._chunked else self._plain(data)

    def close(self) -> None:
        """Take note that the server closed: the end of an answer without a length."""
        if self.status is not None and self._left is None:
            self.done = True

    def _wait_for_head(self, begun: bytes) -> None:
        if begun[: len(VERSION)] != VERSION[: len(begun)]:
            raise ValueError(f"no HTTP: {begun[:60]!r}")
        if len(begun) > MOST_HEAD_BYTES:
            raise ValueError(f"a head of more than {MOST_HEAD_BYTES} bytes")
        self._rest = begun

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(CRLF)
        version, status, *_ = first.split(b" ")
        if not version.startswith(VERSION):
            raise ValueError(f"no HTTP: {first[:60]!r}")
        if status.startswith(b"1"):
            return  # 100 Continue and its like come before the answer; RFC 9110, 15.2
        self.status = int(status)
        fields = dict(line.lower().split(b":", 1) for line in lines if b":" in line)
        self.keeps_open = b"close" not in fields.get(b"connection", b"") and version[-1:] == b"1"
        if (coding := fields.get(b"content-encoding", b"identity").strip()) != b"identity":
            raise ValueError(f"it is compressed ({coding.decode()}), although nobody asked for it")
        self._chunked = b"chunked" in fields.get(b"transfer-encoding", b"")
        if not self._chunked:
            length = fields.get(b"content-length")
            self._left = None if length is None else _size(length, 10)
            self.done = self._left == 0

    def _plain(self, data: bytes) -> bytes:
        if self._left is not None:
            self._left -= len(data)
            self.done = self._left <= 0
        return data

    def _chunks(self, data: bytes) -> bytes:
        content, at = [], 0
        while at < len(data) and not self.done:
            if not self._left:
                line_end = data.find(CRLF, at)
                if line_end < 0 and len(data) - at < MOST_HEAD_BYTES:
                    break
                size = _size(data[at:line_end].partition(b";")[0], 16)
                if not size:
                    at = self._last(data, line_end)
                    break
                at, self._left = line_end + 2, size + 2
            part = data[at : at + self._left]
            content.append(part[: max(0, self._left - 2)])
            at += len(part)
            self._left -= len(part)
        self._rest = b"" if self.done else data[at:]
        return b"".join(content)

    def _last(self, data: bytes, size_end: int) -> int:
        """Read the end, trailers included; return where the unread begins."""
        end = data.find(HEAD_END, size_end)
        if end < 0:
            return data.rfind(CRLF, 0, size_end) + 2 if CRLF in data[:size_end] else 0
        self.done = True
        return end + len(HEAD_END)


def _size(text: bytes, base: int) -> int:
    if (size := int(text, base)) < 0:
        raise ValueError(f"a length of {size}")
    return size
