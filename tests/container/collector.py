"""A log endpoint over real HTTP."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HERE_FROM_OUTSIDE = "127.0.0.2"
"""Loopback, and none of the names that are taken as the container's host."""


class Collector:
    """
    A log endpoint over real HTTP.

    Args:
        answers: The statuses to answer with, in turn; 204 when they are used up.
    """

    def __init__(self, answers: list[int], port: int = 0) -> None:
        self.answers = answers
        self.requests: list[tuple[str, dict[str, str], list[dict[str, Any]]]] = []
        self.gets = 0
        self.asked = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self._server = ThreadingHTTPServer(("", port), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.asked.set()
                collector.open.wait(30)
                collector.requests.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(collector.answers.pop(0) if collector.answers else 204)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                collector.gets += 1
                self.send_error(404)

            def log_message(self, *_args: object) -> None:
                pass

        return Handler

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://{HERE_FROM_OUTSIDE}:{self.port}/logs"

    @property
    def records(self) -> list[dict[str, Any]]:
        return [record for _path, _headers, batch in self.requests for record in batch]

    @property
    def messages(self) -> list[str]:
        return [record["message"] for record in self.records]

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
