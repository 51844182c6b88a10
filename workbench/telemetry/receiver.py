"""
The receiving end of ``LOGGING_ENDPOINT``: a small HTTP server that writes what it is sent.

::

    POST /logs     {"schema": …, "records": [{…}, …]} → the telemetry file, then the sinks
                   [{…}, …], as the container ships vLLM's log → a file of lines
    GET  /health   200

A batch is taken whole or not at all, and an answer of 200 says that it is in
the file, so that no kill loses it. What is refused is answered with the reason, a
batch with an odd record with index and id of each. Every request gets an answer:
without one a sender would send the same again for ever.
"""

from __future__ import annotations

import gzip
import hmac
import io
import json
import logging
import re
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from ..errors import StoreError
from ..urls import is_loopback
from .received import record_of_document, unknown_fields
from .record import TelemetryRecord
from .sinks.document import SCHEMA

logger = logging.getLogger(__name__)

PATH = "/logs"

MAX_BODY_BYTES = 16 * 2**20
MAX_UNPACKED_BYTES = 64 * 2**20
"""A packed body may hold a thousand times its size."""

IDLE_S = 20.0
"""How long a client may say nothing."""

REQUEST_S = 60.0
"""How long a request may take in all, so that one that comes byte by byte holds no thread."""

PASSED_OVER_BYTES = 256 * 2**20
"""So much of a body that is refused is read all the same: see ``_Answers._pass_over``."""

JSON_TYPE = "application/json"

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
        self._due_s: dict[socket.socket, float] = {}
        self.request_s = REQUEST_S
        self.records = 0
        self.log_lines = 0
        self.refused = 0
        self.unknown_fields = 0

    def begin(self, connection: socket.socket) -> None:
        """Count the time of a request from now on."""
        self._due_s[connection] = time.monotonic() + self.request_s

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that ends."""
        self._due_s.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off, twice a second, who has taken too long."""
        for connection, due_s in list(self._due_s.items()):
            if time.monotonic() > due_s:
                self._due_s.pop(connection, None)
                with suppress(OSError):  # it went away by itself
                    connection.shutdown(socket.SHUT_RDWR)

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
        unknown = sum(map(unknown_fields, said["records"]))
        with self._open():
            new = self.keep(records)
            self.records += len(records)
            self.unknown_fields += unknown
        return {"accepted": len(records), "new": new, "unknown_fields": unknown}

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
            except ValueError as exc:  # what no check has foreseen: the sender halves the batch
                raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, str(exc), accepted=0) from exc

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
        except (ValueError, RecursionError) as exc:
            reasons.append({"index": index, "id": _id_of(each), "why": str(exc)})
    if reasons:
        why = f"{len(reasons)} of {len(said)} are no records, so none was taken"
        raise RefusedError(
            HTTPStatus.UNPROCESSABLE_ENTITY, why, accepted=0, rejected=reasons[:MAX_REASONS]
        )
    return records


def _id_of(said: object) -> str | None:
    given = said.get("id") if isinstance(said, dict) else None
    return given[:64] if isinstance(given, str) else None


class _Answers(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"
    timeout: ClassVar[float] = IDLE_S
    _unread = 0

    def handle_one_request(self) -> None:
        self.server.begin(self.connection)
        self._unread = 0
        super().handle_one_request()

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(HTTPStatus.OK, {"status": "ok"})
        elif self.path == PATH:
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "POST"}, Allow="POST")
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": f"POST {PATH}, or GET /health"})

    def do_POST(self) -> None:
        try:
            length = self._length()
            self._check()
            self._answer(HTTPStatus.OK, self.server.take(self._body(length)))
        except RefusedError as exc:
            self._refuse(exc.status, exc.answer)
        except ConnectionError:
            raise
        except Exception:  # a mistake in here; the sender has to hear that it was not taken
            logger.exception("a request could not be answered")
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "it failed here"})

    def _not_allowed(self) -> None:
        self.close_connection = True
        allowed = {PATH: "POST", "/health": "GET"}.get(self.path)
        if allowed is None:
            self._answer(HTTPStatus.NOT_FOUND, {"error": f"POST {PATH}, or GET /health"})
        else:
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, {"error": allowed}, Allow=allowed)

    # http.server's own names
    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = _not_allowed  # noqa: N815

    def _refuse(self, status: HTTPStatus, answer: object) -> None:
        self.server.refused += 1
        self.close_connection = True  # a body that was not read would be the next request
        self._answer(status, answer)
        self._pass_over()

    def _pass_over(self) -> None:
        """
        Read what is still to come of a body.

        Who is cut off while it sends sees a broken pipe and not the answer, and takes for an
        outage what was 413 or 401.
        """
        left = min(self._unread, PASSED_OVER_BYTES)
        with suppress(OSError):
            while left and (some := self.rfile.read1(min(left, 2**16))):
                left -= len(some)

    def _length(self) -> int:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,18}", length):
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "a body has a Content-Length")
        self._unread = int(length)
        return self._unread

    def _check(self) -> None:
        if self.path == "/health":
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "GET")
        if self.path != PATH:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"POST {PATH}, or GET /health")
        token = self.server.token
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        if token is not None and not hmac.compare_digest(given, f"Bearer {token}".encode()):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "the bearer token is missing or wrong")
        # A page in a browser may have its own name lead to this machine (DNS rebinding), and
        # says that name. Without a token this listens for this machine alone.
        named = self.headers.get("Host", "localhost")
        if token is None and not is_loopback(f"http://{named}"):
            why = "without a token it is asked for as localhost only"
            raise RefusedError(HTTPStatus.FORBIDDEN, why)
        # It may send other types to this machine without asking; for this one it has to ask
        # first (OPTIONS), and is refused.
        if self.headers.get_content_type() != JSON_TYPE:
            why = f"a body is Content-Type: {JSON_TYPE}"
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, why)

    def _body(self, length: int) -> object:
        if length > MAX_BODY_BYTES:
            raise _too_large(MAX_BODY_BYTES)
        try:
            body = self.rfile.read(length)
        except TimeoutError:
            self._unread = 0
            raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, "the body did not come") from None
        self._unread = 0
        if len(body) < length:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the body broke off")
        encoding = self.headers.get("Content-Encoding", "identity")
        if encoding == "gzip":
            body = _unpacked(body)
        elif encoding != "identity":
            why = f"a body is gzip or plain, and not {encoding}"
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, why)
        try:
            return json.loads(body, parse_constant=_no_constant)
        except (ValueError, RecursionError) as exc:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {exc}") from exc

    def _answer(self, status: HTTPStatus, body: object, **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", JSON_TYPE)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        logger.debug(format, *arguments)


def _unpacked(body: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(body)) as packed:
            found = packed.read(MAX_UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as exc:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"the body is no gzip: {exc}") from exc
    if len(found) > MAX_UNPACKED_BYTES:
        raise _too_large(MAX_UNPACKED_BYTES)
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _too_large(limit: int) -> RefusedError:
    why = f"a body has at most {limit // 2**20} MiB; send fewer records at once"
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
