"""A Cosmos DB on this machine (npm's @vercel/cosmosdb-server), and a way to it that misbehaves."""

from __future__ import annotations

import http.client
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.telemetry.sinks.receiver import Answer, Request
from workbench.errors import MissingDependencyError
from workbench.typescript import find_node

FOLDER = Path(__file__).with_name("cosmosdb")
PROGRAM = FOLDER / "node_modules" / "@vercel" / "cosmosdb-server" / "lib" / "cli.js"
KEY = "a2V5" * 22
"""Any base64: the emulator asks nobody for it."""

HOP_BY_HOP = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}


def why_not() -> str | None:
    """Say what is missing to start one."""
    try:
        find_node()
    except MissingDependencyError as missing:
        return missing.message
    return None if PROGRAM.exists() else f"{PROGRAM} is missing: make test installs it"


@contextmanager
def emulator(*options: str, port: int = 0) -> Iterator[int]:
    """Run one, empty at first, and yield its port."""
    command = [find_node(), str(PROGRAM), "--host", "127.0.0.1", "--port", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # PIPE
            ready = process.stdout.readline()
            found = re.search(r":(\d+)$", ready.strip())
            assert found, ready
            yield int(found[1])
        finally:
            process.kill()


def way_to(port: int) -> Callable[[Request], Answer]:
    """Pass requests on to what listens at *port*."""

    def answer(request: Request) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {n: v for n, v in request.headers.items() if n.lower() not in HOP_BY_HOP}
        try:
            connection.request(request.method, request.path, request.body, headers)
            found = connection.getresponse()
            kept = {n: v for n, v in found.getheaders() if n.lower() not in HOP_BY_HOP}
            return Answer(found.status, kept, found.read())
        except OSError:
            return Answer(lost=True)
        finally:
            connection.close()

    return answer
