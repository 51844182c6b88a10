"""Servers for the hot path: one that knows when it sent what, one that sends what it is told."""

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

from workbench.bench import arrivals, http1
from workbench.bench.load import Load
from workbench.bench.loop import Loop

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


def run_against(
    *answers: bytes,
    count: int = 1,
    listener: socket.socket | None = None,
    host: str = "127.0.0.1",
) -> Load:
    """Let a server give each connection one of *answers*, and close it."""
    listening = listener or socket.create_server((host, 0))

    def serve() -> None:
        for answer in answers:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    to = http1.target(f"http://{host}:{listening.getsockname()[1]}/v1")
    with listening:
        return Loop(to, asked(to, count), arrivals.at_once(count), concurrency=1).run()
