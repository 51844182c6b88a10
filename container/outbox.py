"""
The endpoint that logs are sent to, and the queue in front of it.

What is sent, when, and what becomes of it if nobody answers, is told in ``ship_logs.py``.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import queue
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import util
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

QUEUE_RECORDS = 10_000
BATCH_RECORDS = 100
BATCH_S = 1.0
TIMEOUT_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
EXIT_S = 2.0

HOST = "host.docker.internal"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Endpoint:
    """
    Where to, and with what.

    Args:
        shown: The URL without credentials and query, fit to be printed.

        direct: Not through a proxy: none knows the way to this machine.
    """

    url: str
    headers: Mapping[str, str]
    shown: str
    direct: bool = False

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Endpoint:
        """
        Read ``LOGGING_ENDPOINT`` and ``LOGGING_ENDPOINT_TOKEN``.

        Raises:
            ValueError: It is no http URL. The message does not repeat it: it may have a password.
        """
        try:
            parts = urlsplit(env.get("LOGGING_ENDPOINT", "").strip())
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or parts.scheme not in ("http", "https"):
            raise ValueError("LOGGING_ENDPOINT is not a URL like http://host:port/path")
        here = host in LOOPBACK
        netloc = HOST if here else f"[{host}]" if ":" in host else host
        netloc += f":{port}" if port else ""
        return cls(
            url=urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, "")),
            headers=_headers(parts.username, parts.password, env.get("LOGGING_ENDPOINT_TOKEN")),
            shown=urlunsplit((parts.scheme, netloc, parts.path, "", "")),
            direct=here or host == HOST,
        )


def _headers(user: str | None, password: str | None, token: str | None) -> dict[str, str]:
    """Make the request's headers; urllib takes no credentials from a URL."""
    headers = {"Content-Type": "application/json", "User-Agent": "vllm-workbench"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    elif user is not None:
        pair = f"{unquote(user)}:{unquote(password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return headers


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET, and would take the token elsewhere."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Follow none, so that it counts as refused."""


class Shipper:
    """
    The queue of one process, and the thread that empties it.

    The thread is started by the first record, and again by the first one after a
    fork: what was queued before the fork is the parent's to send.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        handlers: list[urllib.request.BaseHandler] = [_Stay()]
        if endpoint.direct:
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Be new, without a lock or a count from before a fork."""
        self._records: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._closing = threading.Event()
        self._failing = False
        self._pause_s = FIRST_PAUSE_S
        self._overflowed = 0  # counted by those who log …
        self._refused = 0  # … and by the thread, so that neither needs a lock
        self._told = 0

    @property
    def dropped(self) -> int:
        """How many records of this process will never be sent."""
        return self._overflowed + self._refused

    def put(self, record: logging.LogRecord) -> None:
        """Take a record; it never waits and never raises."""
        try:
            if threading.current_thread() is self._thread:
                return  # what sending logs must not be sent
            if self._records.qsize() >= QUEUE_RECORDS:
                self._overflowed += 1
                return
            self._records.put(_facts(record))
            if self._thread is None:
                self._start()
        except Exception:  # whatever a message's arguments do in __str__
            self._overflowed += 1

    def close(self) -> None:
        """Send what is queued, as far as ``EXIT_S`` allows."""
        if self._thread is not None:
            self._closing.set()
            self._records.put(None)
            self._thread.join(EXIT_S)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="ship_logs", daemon=True)
                thread.start()
                self._thread = thread
                # Not atexit: processes that multiprocessing has forked never get there.
                util.Finalize(None, self.close, exitpriority=-100)

    def _run(self) -> None:
        while not (self._closing.is_set() and self._records.empty()):
            batch = self._batch()
            if batch:
                self._deliver(batch)

    def _batch(self) -> list[dict[str, Any]]:
        """Wait for a record, and for those that come right after it."""
        batch: list[dict[str, Any]] = []
        record = self._records.get()
        ends_s = time.monotonic() + BATCH_S
        while record is not None:
            batch.append(record)
            if len(batch) == BATCH_RECORDS:
                break
            try:
                record = self._records.get(timeout=max(0.0, ends_s - time.monotonic()))
            except queue.Empty:
                break
        return batch

    def _deliver(self, batch: list[dict[str, Any]]) -> None:
        """Send until it is taken, refused for good, or the process ends."""
        body = json.dumps(batch, default=str).encode()
        while True:
            problem = self._post(body)
            if problem is None:
                self._pause_s = FIRST_PAUSE_S
                return self._say_working()
            self._say_failing(problem)
            if problem.final or self._closing.is_set():
                self._refused += len(batch)
                return None
            self._closing.wait(self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _post(self, body: bytes) -> _Problem | None:
        request = urllib.request.Request(
            self.endpoint.url, body, dict(self.endpoint.headers), method="POST"
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_S):
                return None
        except urllib.error.HTTPError as exc:
            exc.close()
            passing = exc.code >= 500 or exc.code in (408, 425, 429)
            return _Problem(f"it answers HTTP {exc.code}", answered=True, final=not passing)
        except Exception as exc:  # the thread has to live, whatever the network thinks of
            reason = getattr(exc, "reason", exc)
            return _Problem(getattr(reason, "strerror", None) or type(reason).__name__)

    def _say_failing(self, problem: _Problem) -> None:
        if self._failing:
            return
        self._failing = True
        hint = "" if problem.answered else _HINT
        _say(f"vLLM's log does not reach {self.endpoint.shown}: {problem.what}.{hint}")

    def _say_working(self) -> None:
        lost = self.dropped - self._told
        if self._failing or lost:
            self._failing = False
            self._told += lost
            _say(f"vLLM's log reaches {self.endpoint.shown} again; records dropped: {lost}.")


@dataclass(frozen=True)
class _Problem:
    """Why a batch did not go out; *final* if the same batch will never be taken."""

    what: str
    answered: bool = False
    final: bool = False


_HINT = (
    " It is tried again. Inside a container localhost is the container; "
    f"this machine is http://{HOST}:PORT there."
)


def _say(text: str) -> None:
    """Write to stderr, not to the log: that would come back here."""
    try:
        sys.stderr.write(f"ship_logs.py (pid {os.getpid()}): {text}\n")
        sys.stderr.flush()
    except Exception:  # closed at exit, or a full pipe
        pass


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    """Make what is sent of a record, now: its arguments may be others later."""
    whole_s, ms = divmod(int(record.created * 1000), 1000)
    facts = {
        "timestamp": time.strftime(f"%Y-%m-%dT%H:%M:%S.{ms:03d}Z", time.gmtime(whole_s)),
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
        # From 0.31 on vLLM names its processes itself.
        "process": getattr(record, "vllm_process_name", record.processName),
        "pid": record.process,
        "source": "vllm",
    }
    if record.exc_info and not record.exc_text:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    if record.exc_text:
        facts["exc_info"] = record.exc_text
    return facts
