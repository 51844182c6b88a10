"""Servers that do what a healthy vLLM does not, over real sockets."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading

import pytest

from tests.bench.against import asked, run_against
from workbench.bench import arrivals, http1, loop, sockets
from workbench.bench.loop import Loop
from workbench.errors import ConfigError, ServerUnreachableError

EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n'
STREAM = EVENT * 2 + USAGE + b"data: [DONE]\n\n"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


def sized(first: bytes, body: bytes) -> bytes:
    return first + b"content-length: %d\r\n\r\n" % len(body) + body


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


WHOLE = CHUNKED + chunks(STREAM)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(WHOLE, id="all in one chunk"),
        pytest.param(CHUNKED + chunks(*(bytes([b]) for b in STREAM)), id="a chunk a byte"),
        pytest.param(sized(OK, STREAM), id="content-length"),
        pytest.param(OK + b"\r\n" + STREAM, id="until close"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n" + STREAM, id="HTTP/1.0"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE, id="100 first"),
        pytest.param(
            CHUNKED + chunks(b": ping\n\n", STREAM.replace(b"\n", b"\r\n")), id="CRLF, comments"
        ),
    ],
)
def test_a_stream_is_read_however_it_is_framed(answer: bytes):
    """Two texts, and the two tokens that the server counted."""
    (sent,) = run_against(answer).requests

    assert sent.answer.error is None
    assert len(sent.answer.stamps_s) == 2
    assert sent.answer.usage is not None
    assert sent.answer.usage.output_tokens == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (sized(b"HTTP/1.1 429 No\r\n", b'{"error": {"message": "slower"}}'), "HTTP 429: slower"),
        (sized(b"HTTP/1.1 500 No\r\n", b'{"detail": "broken"}'), "HTTP 500: broken"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>nginx</html>", "HTTP 502: “<html>nginx</html>”"),
        (sized(b"HTTP/1.1 307 Elsewhere\r\nlocation: /v2\r\n", b""), "HTTP 307: nothing"),
        (sized(OK, b'{"choices": []}'), 'HTTP 200 without an event: “{"choices": []}”'),
        (CHUNKED + chunks(EVENT)[:-5], "The connection was closed before"),
        (CHUNKED + b"40\r\nhalf", "The connection was closed before"),
        (sized(OK, STREAM)[:-20], "The connection was closed before"),
        (OK[:9], "The connection was closed before"),
        (b"\x16\x03\x01\x02\x00 TLS", "no HTTP"),
        (b"SSH-2.0-OpenSSH_9", "no HTTP"),
        (CHUNKED + b"-5\r\n", "a length of -5"),
        (CHUNKED + b"x" * 100_000, "cannot be read"),
        (CHUNKED + chunks(b"data: {]\n\n"), "cannot be read"),
        (CHUNKED + chunks(b"data: " + b"[" * 100_000 + b"\n\n"), "cannot be read"),
        (OK + b"a: " + b"x" * 100_000, "cannot be read"),
        (sized(OK + b"content-encoding: gzip\r\n", gzip.compress(STREAM)), "compressed (gzip)"),
    ],
)
def test_what_is_wrong_is_told_and_the_next_request_goes_on(answer: bytes, error: str):
    """The first one's error is a sentence; the second, on a new connection, is answered."""
    wrong, right = run_against(answer, WHOLE, count=2).requests

    assert wrong.answer.error is not None
    assert error in wrong.answer.error
    assert right.answer.error is None
    assert len(right.answer.stamps_s) == 2


def test_a_connection_that_was_closed_while_idle_costs_no_request():
    """The server said it would stay open, and did not: the request is sent once more."""
    load = run_against(WHOLE, WHOLE, WHOLE, count=3)

    assert [sent.answer.error for sent in load.requests] == [None] * 3


def test_a_server_that_dies_in_the_middle_is_an_error_of_each_request():
    """A reset, and then nobody listens: no request is lost and none waits for ever."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(CHUNKED + chunks(EVENT)[:-5])
        listener.close()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    to = http1.target(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    threading.Thread(target=serve, daemon=True).start()
    load = Loop(to, asked(to, 3), arrivals.at_once(3), concurrency=1).run()

    first, *others = [sent.answer.error for sent in load.requests]
    assert first == "The connection was closed before the answer was complete."
    assert others == ["ConnectionRefusedError: Connection refused"] * 2
    assert [sent.sent_s is None for sent in load.requests] == [False, True, True]


def test_a_server_that_is_not_there_is_said_before_anything_is_measured():
    """With the address."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    to = http1.target(f"http://127.0.0.1:{port}/v1")

    with pytest.raises(ServerUnreachableError, match=str(port)):
        Loop(to, asked(to, 1), arrivals.at_once(1)).run()


def test_a_server_that_takes_no_more_connections_is_said(monkeypatch: pytest.MonkeyPatch):
    """Its queue is full: the kernel drops what comes, and nothing would ever be answered."""
    monkeypatch.setattr(sockets, "CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        to = http1.target(f"http://127.0.0.1:{full.getsockname()[1]}/v1")
        with pytest.raises(ServerUnreachableError, match=r"of 10 .* no connection after 0\.2 s"):
            Loop(to, asked(to, 10), arrivals.at_once(10)).run()


def test_a_connection_that_does_not_come_while_the_load_runs_fails_its_request(
    monkeypatch: pytest.MonkeyPatch,
):
    """The first is answered, and the others find the queue full: they do not wait for the end."""
    monkeypatch.setattr(loop, "CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        to = http1.target(f"http://127.0.0.1:{full.getsockname()[1]}/v1")
        due_s = (0.0, *(0.01 for _ in range(5)))
        load = Loop(to, asked(to, 6), due_s, patience_s=0.5).run()

    errors = {sent.answer.error for sent in load.requests}
    assert errors == {"No end after 0.5 s.", "No connection after 0.2 s."}


def test_more_connections_than_the_system_allows_are_refused(monkeypatch: pytest.MonkeyPatch):
    """Before one is made, with the number of files that it would take."""
    monkeypatch.setattr(sockets.resource, "getrlimit", lambda _which: (100, 100))
    to = http1.target("http://127.0.0.1:1/v1")

    with pytest.raises(ConfigError, match="200 connections need"):
        Loop(to, asked(to, 200), arrivals.at_once(200)).run()


def test_ipv6_is_spoken():
    """An address in brackets."""
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("This machine has no IPv6.")
    load = run_against(WHOLE, listener=listener, host="[::1]")

    assert [sent.answer.error for sent in load.requests] == [None]


def test_a_chunk_of_a_tool_call_or_of_logprobs_has_content_too():
    """What counts is what the client counts, not text alone."""
    call = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
    deltas = [{"tool_calls": [call]}, {"reasoning": "hm"}, {"content": "a"}, {}]
    events = [
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"
        for delta in deltas
    ]
    (sent,) = run_against(CHUNKED + chunks(*events)).requests

    assert sent.answer.error is None
    assert len(sent.answer.stamps_s) == 3
