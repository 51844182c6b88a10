"""Requests as bytes, and where they go."""

from __future__ import annotations

import pytest

from workbench.bench import http1
from workbench.bench.http1 import Framing
from workbench.errors import ConfigError


def test_a_request_says_how_long_it_is_and_who_asks():
    """The key is a bearer's, and an address of IPv6 has its brackets."""
    to = http1.target("http://[::1]:8000/v1/", api_key="secret")
    head, _, body = http1.post(to, "/chat/completions", {"n": 1}).partition(b"\r\n\r\n")

    assert head.split(b"\r\n") == [
        b"POST /v1/chat/completions HTTP/1.1",
        b"Host: [::1]:8000",
        b"Content-Type: application/json",
        b"Accept: text/event-stream",
        b"Content-Length: 8",
        b"Authorization: Bearer secret",
    ]
    assert body == b'{"n": 1}'


@pytest.mark.parametrize("url", ["https://host/v1", "host:8000", "http://", "unix:/a"])
def test_what_is_not_plain_http_is_refused(url: str):
    """Kernel timestamps say nothing about what is inside TLS."""
    with pytest.raises(ConfigError, match="plain HTTP"):
        http1.target(url)


def test_trailers_belong_to_the_answer():
    """It is done after them, and the connection is at the next answer's beginning."""
    framing = Framing()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert framing.feed(head + b"1;x=y\r\na\r\n0\r\nServer-Timing: ") == b"a"
    assert not framing.done
    assert framing.feed(b"3\r\n\r\n") == b""
    assert framing.done


@pytest.mark.parametrize(
    ("head", "stays"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: close", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0", False),
    ],
)
def test_a_connection_is_used_again_where_the_server_lets_it(head: bytes, stays: bool):
    """HTTP/1.1 keeps it open unless it says otherwise; 1.0 does not."""
    framing = Framing()
    framing.feed(head + b"\r\n\r\n")

    assert framing.done
    assert framing.keeps_open is stays
