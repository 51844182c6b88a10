"""An address that takes what a sink sends, over real HTTP, and misbehaves as it is told."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    """What came; the body is unpacked."""

    method: str
    path: str
    headers: Message  # by name in any case, None for what is not there
    body: bytes


@dataclass
class Answer:
    """What goes back."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    lost: bool = False  # it was taken, and the connection ends without an answer


class Receiver:
    """
    Listens on 127.0.0.1.

    Args:
        answers: What to answer, in turn; *usual* decides when they are used up.
    """

    def __init__(self, *answers: Answer, usual: Callable[[Request], Answer] | None = None) -> None:
        self.answers = list(answers)
        self.usual = usual or (lambda _request: Answer())
        self.requests: list[Request] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.port = 0
        self.start()

    def start(self) -> None:
        """Listen, at the port of before if there was one."""
        self._server = _Server(("127.0.0.1", self.port), self._handler())
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Go away: connections are refused from now on."""
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer_to(self, request: Request) -> Answer:
        """Take a request."""
        self.requests.append(request)
        self.may_answer.wait(30)
        return self.answers.pop(0) if self.answers else self.usual(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                request = Request(self.command, self.path, self.headers, body)
                answer = receiver.answer_to(request)
                if answer.lost:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_POST = answer  # noqa: N815  # http.server's own names

            def log_message(self, *_args: object) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_args: object) -> None:
        """Say nothing of a client that did not wait for its answer."""


@contextmanager
def receiving(
    *answers: Answer, usual: Callable[[Request], Answer] | None = None
) -> Iterator[Receiver]:
    """Listen for the length of a ``with``."""
    receiver = Receiver(*answers, usual=usual)
    try:
        yield receiver
    finally:
        receiver.stop()
