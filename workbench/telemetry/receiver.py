"""
The receiving end of ``LOGGING_ENDPOINT``: a small HTTP server that writes what it is sent.

::

    POST /logs     {"schema": …, "records": [{…}, …]} → the telemetry file, then the sinks
                   [{…}, …], as the container ships vLLM's log → a file of lines
    GET  /health   200

A batch is taken whole or not at all, and an answer of 200 says that it is on
the disk. What is refused is answered with the reason, a batch with an odd
record with the index of each.
"""

from __future__ import annotations

import gzip
import hmac
import io
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from ..errors import StoreError
from .received import record_of_document
from .record import TelemetryRecord
from .sinks.document import SCHEMA

logger = logging.getLogger(__name__)

PATH = "/logs"

MAX_BODY_BYTES = 16 * 2**20
MAX_UNPACKED_BYTES = 64 * 2**20
"""A packed body may hold a thousand times its size."""

IDLE_S = 20.0
"""How long a client may say nothing; one that sends a byte a minute holds no thread for ever."""

MAX_REASONS = 20

Keep = Callable[[Sequence[TelemetryRecord]], int]


class RefusedError(Exception):
    """A request that is not taken, with the status and the answer."""

    def __init__(self, status: HTTPStatus, why: str, **more: Any) -> None:
        super().__init__(why)
        self.status = status
        self.answer = {"error": why, **more}


class Receiver(ThreadingHTTPServer):
    """
    The server. ``serve_forever`` runs it, ``end`` ends it.

    Args:
        keep: Writes records, and returns how many were new.

        log: Where log lines go; beyond *log_bytes* it is begun anew, and one old file stays.

        token: What requests must bring as a bearer token; ``None``: nothing.
    """

    daemon_threads = True  # a client that keeps its connection open holds no end up
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        keep: Keep,
        *,
        log: Path,
        log_bytes: int = 64 * 2**20,
        token: str | None = None,
    ) -> None:
        super().__init__(address, _Answers)
        self.keep = keep
        self.log = log
        self.log_bytes = log_bytes
        self.token = token
        self._writing = threading.Lock()
        self._ended = False
        self.records = 0
        self.log_lines = 0
        self.refused = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a client that went away in the middle of its request."""
        logger.debug("a request of %s broke off", client_address, exc_info=True)

    def take(self, said: object) -> dict[str, Any]:
        """
        Take a body.

        Raises:
            RefusedError: It is neither of the two forms, or cannot be written now.
        """
        if isinstance(said, list):
            return self._take_log(said)
        if not isinstance(said, dict) or not isinstance(said.get("records"), list):
            why = f'a body is {{"schema": "{SCHEMA}", "records": […]}} or an array of log lines'
            raise RefusedError(HTTPStatus.BAD_REQUEST, why)
        if said.get("schema") != SCHEMA:
            why = f"schema {said.get('schema')!r} is not known here; {SCHEMA} is"
            raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, why)
        records = _records(said["records"])
        with self._open():
            new = self.keep(records)
            self.records += len(records)
        return {"accepted": len(records), "new": new}

    def _take_log(self, lines: list[object]) -> dict[str, Any]:
        with self._open():
            self.log.parent.mkdir(parents=True, exist_ok=True)
            if self.log.exists() and self.log.stat().st_size > self.log_bytes:
                self.log.replace(self.log.with_suffix(".old"))
            with self.log.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(line) + "\n" for line in lines))
            self.log_lines += len(lines)
        return {"accepted": len(lines)}

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Write, one at a time; what cannot be written now is asked for again."""
        with self._writing:
            if self._ended:
                raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "it is being stopped")
            try:
                yield
            except StoreError as exc:
                raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, exc.message) from exc
            except OSError as exc:
                raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, str(exc)) from exc

    def end(self) -> None:
        """Stop, when what is being written is written; nothing is taken afterwards."""
        self.shutdown()
        with self._writing:
            self._ended = True
        self.server_close()


def _records(said: list[object]) -> list[TelemetryRecord]:
    records, reasons = [], []
    for index, each in enumerate(said):
        try:
            records.append(record_of_document(each))
        except ValueError as exc:
            reasons.append({"index": index, "why": str(exc)})
    if reasons:
        why = f"{len(reasons)} of {len(said)} are no records, so none was taken"
        raise RefusedError(
            HTTPStatus.UNPROCESSABLE_ENTITY, why, accepted=0, rejected=reasons[:MAX_REASONS]
        )
    return records


class _Answers(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"
    timeout: ClassVar[float] = IDLE_S

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(HTTPStatus.OK, {"status": "ok"})
        elif self.path == PATH:
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "POST"}, Allow="POST")
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": f"POST {PATH}, or GET /health"})

    def do_POST(self) -> None:
        try:
            self._check()
            self._answer(HTTPStatus.OK, self.server.take(self._body()))
        except RefusedError as exc:
            self.server.refused += 1
            self.close_connection = True  # a body that was not read would be the next request
            self._answer(exc.status, exc.answer)

    def _check(self) -> None:
        if self.path != PATH:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"POST {PATH}, or GET /health")
        token = self.server.token
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        if token is not None and not hmac.compare_digest(given, f"Bearer {token}".encode()):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "the bearer token is missing or wrong")

    def _body(self) -> object:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "a body has a Content-Length")
        if int(length) > MAX_BODY_BYTES:
            raise _too_large(MAX_BODY_BYTES)
        body = self.rfile.read(int(length))
        encoding = self.headers.get("Content-Encoding", "identity")
        if encoding == "gzip":
            body = _unpacked(body)
        elif encoding != "identity":
            why = f"a body is gzip or plain, and not {encoding}"
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, why)
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {exc}") from exc

    def _answer(self, status: HTTPStatus, body: object, **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        logger.debug(format, *arguments)


def _unpacked(body: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(body)) as packed:
            found = packed.read(MAX_UNPACKED_BYTES + 1)
    except (OSError, EOFError) as exc:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"the body is no gzip: {exc}") from exc
    if len(found) > MAX_UNPACKED_BYTES:
        raise _too_large(MAX_UNPACKED_BYTES)
    return found


def _too_large(limit: int) -> RefusedError:
    why = f"a body has at most {limit // 2**20} MiB; send fewer records at once"
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
