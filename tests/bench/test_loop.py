"""The hot path, against a server that knows when it sent what, and one that misbehaves."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workbench.bench import arrivals, http1
from workbench.bench.load import Load, Progress
from workbench.bench.loop import Loop
from workbench.errors import ServerUnreachableError

SERVER = Path(__file__).parents[2] / "benchmarks" / "servers" / "exact.py"


@contextmanager
def exact(*options: str) -> Iterator[http1.Target]:
    """Run the yardstick in a process of its own."""
    command = [sys.executable, str(SERVER), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield http1.target(f"http://127.0.0.1:{int(process.stdout.readline())}/v1")
        finally:
            process.kill()


def asked(to: http1.Target, count: int) -> list[bytes]:
    return [http1.post(to, "/chat/completions", {"user": str(n)}) for n in range(count)]


def told(to: http1.Target) -> dict[str, list[float]]:
    """Ask the yardstick when it sent what."""
    with urllib.request.urlopen(f"http://{to.host}:{to.port}/times") as answer:
        return json.load(answer)


@pytest.mark.processes
def test_no_chunk_came_before_it_was_sent():
    """Each of 20 × 30 events has a time, after the server's own and within a second of it."""
    with exact("--ttft-ms=20", "--itl-ms=5", "--tokens=30") as to:
        load = Loop(to, asked(to, 20), arrivals.at_once(20)).run()
        sent_s = told(to)

    for request in load.requests:
        late_s = [
            came - sent
            for came, sent in zip(request.answer.stamps_s, sent_s[str(request.number)], strict=True)
        ]
        assert min(late_s) > -1e-3  # the two clocks are laid beside each other
        assert max(late_s) < 1


@pytest.mark.processes
@pytest.mark.parametrize("packets", ["--coalesced", "--tokens=2000"])
def test_as_fast_as_it_goes_every_event_is_counted(packets: str):
    """Eight answers of 2,000 events, in reads that cut them anywhere."""
    with exact("--itl-ms=0", "--tokens=2000", packets) as to:
        load = Loop(to, asked(to, 8), arrivals.at_once(8)).run()

    assert [len(request.answer.stamps_s) for request in load.requests] == [2000] * 8
    assert all(request.answer.usage.output_tokens == 2000 for request in load.requests)


@pytest.mark.processes
def test_a_closed_loop_has_no_more_under_way_than_its_concurrency():
    """Twelve requests by three: at no time are four between sent and done."""
    with exact("--ttft-ms=5", "--itl-ms=2", "--tokens=5") as to:
        load = Loop(to, asked(to, 12), arrivals.at_once(12), concurrency=3).run()

    edges = sorted([(r.sent_s, 1) for r in load.requests] + [(r.done_s, -1) for r in load.requests])
    under_way = [sum(step for _, step in edges[: n + 1]) for n in range(len(edges))]
    assert max(under_way) == 3
    assert len(load.requests) == 12


@pytest.mark.processes
def test_an_open_loop_sends_when_it_is_due():
    """Never before; the rate does not wait for answers that take longer than the gap."""
    with exact("--ttft-ms=100", "--itl-ms=1", "--tokens=2") as to:
        load = Loop(to, asked(to, 10), arrivals.constant(100, 10)).run()

    late_s = [request.sent_s - request.due_s for request in load.requests]
    assert min(late_s) >= 0
    assert load.requests[-1].sent_s < load.requests[0].done_s


@pytest.mark.processes
def test_no_more_is_sent_after_the_duration():
    """What is under way is read to its end, and nothing is lost or begun."""
    with exact("--ttft-ms=20", "--itl-ms=1", "--tokens=3") as to:
        load = Loop(to, asked(to, 500), arrivals.at_once(500), concurrency=1, stop_s=0.1).run()

    assert 0 < len(load.requests) < 500
    assert all(len(request.answer.stamps_s) == 3 for request in load.requests)


@pytest.mark.processes
def test_how_far_it_is_is_told_while_it_runs():
    """It only grows, and what is told of last is not more than there was."""
    told: list[Progress] = []
    with exact("--ttft-ms=20", "--itl-ms=40", "--tokens=20") as to:
        Loop(to, asked(to, 5), arrivals.at_once(5), on_progress=told.append).run()

    assert [each.tokens for each in told] == sorted(each.tokens for each in told)
    assert 2 <= len(told) <= 20
    assert all(each.sent == 5 and each.tokens <= 100 for each in told)
    assert told[-1].tokens > 0


def run_against(*answers: bytes, count: int = 1) -> Load:
    """Let a server give each connection one of *answers*, and close it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    to = http1.target(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    with listener:
        return Loop(to, asked(to, count), arrivals.at_once(count), concurrency=1).run()


def test_an_error_is_kept_and_the_next_request_goes_on():
    """A refusal, then a connection cut in the middle of an answer."""
    refused = (
        b'HTTP/1.1 429 No\r\ncontent-length: 19\r\nconnection: close\r\n\r\n{"error": "slower"}'
    )
    cut = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"

    load = run_against(refused, cut, count=2)

    assert [request.answer.error for request in load.requests] == [
        "HTTP 429: slower",
        "The connection was closed before the answer was complete.",
    ]


def test_a_connection_that_was_closed_while_idle_costs_no_request():
    """The server said it would stay open, and did not: the request is sent once more."""
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

    load = run_against(whole, whole, whole, count=3)

    assert [request.answer.error for request in load.requests] == [None] * 3


def test_a_server_that_is_not_there_is_said_before_anything_is_measured():
    """With the address."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    to = http1.target(f"http://127.0.0.1:{port}/v1")

    with pytest.raises(ServerUnreachableError, match=str(port)):
        Loop(to, asked(to, 1), arrivals.at_once(1)).run()
