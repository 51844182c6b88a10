"""
A chat server that does what a healthy one will not: stall, cut, garble, refuse.

Real sockets on the loopback, one thread for each connection, nothing but the
standard library. A test writes the answer as steps, in order; the server keeps
what it was asked and notices when a client hangs up early.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import TypeAlias

DEADLINE_S = 10.0


class Do(Enum):
    """What a step can be besides bytes to send and an event to wait for."""

    STALL = auto()  # say nothing until the client hangs up
    CUT = auto()  # close in the middle of the body
    RESET = auto()  # close so that the client gets a reset


Step: TypeAlias = "bytes | threading.Event | Do"


@dataclass(frozen=True)
class Answer:
    """
    What to do with one request.

    ``steps`` of bytes go out as one packet and one HTTP chunk each.
    """

    steps: tuple[Step, ...]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    before_headers: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        parsed: dict[str, object] = json.loads(self.body)
        return parsed


def stream(*steps: Step, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with an event stream."""
    return Answer(steps, headers={"content-type": "text/event-stream", **(headers or {})})


def reply(status: int, body: object, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with JSON, or with a string as it is."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Answer((data,), status, {"content-type": "application/json", **(headers or {})})


def event(payload: object) -> bytes:
    """Write one server-sent event."""
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def chunk(delta: Mapping[str, object] | None = None, **changes: object) -> bytes:
    """Write a chunk with *delta*, as vLLM does."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": changes.pop("finish_reason", None)}
    whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "pocket"}
    return event({**whole, "choices": [choice], **changes})


def text(content: str) -> bytes:
    """Write a chunk with text."""
    return chunk({"content": content})


ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, finish_reason="stop")
DONE = event("[DONE]")


def usage(input_tokens: int, output_tokens: int) -> bytes:
    """Write the chunk with token counts that ends a stream with include_usage."""
    counts = {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}
    return chunk(choices=[], usage=counts)


def completion(content: str | None = "Hello", **message: object) -> Answer:
    """Answer a request that is not streamed."""
    choice = {"message": {"content": content, **message}, "finish_reason": "stop"}
    counts = {"prompt_tokens": 3, "completion_tokens": 2}
    return reply(200, {"id": "chatcmpl-1", "choices": [choice], "usage": counts})


def model_list(*names: str) -> Answer:
    """Answer ``/v1/models``."""
    lines = [{"id": name, "root": f"/models/{name}", "max_model_len": 2048} for name in names]
    return reply(200, {"object": "list", "data": lines})


HELLO = (ROLE, text("Hel"), text("lo"), STOP, usage(3, 2), DONE)


class ScriptedServer:
    """
    A server on a port of its own.

    ``chats`` and ``listings`` are the answers to come; the last one repeats.
    ``others`` has those of other paths, by path, and what is not there is 404.
    ``hung_up`` counts connections that the client closed inside an answer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def reset(self) -> None:
        """Forget scripts and requests; connections stay."""
        self.chats: list[Answer] = [stream(*HELLO)]
        self.listings: list[Answer] = [model_list("pocket")]
        self.others: dict[str, list[Answer]] = {}
        self.requests: list[Received] = []
        self.hung_up = 0
        self.stalling = 0

    @property
    def chat_requests(self) -> list[Received]:
        return [request for request in self.requests if request.path.endswith("/chat/completions")]

    def answer(self, *answers: Answer) -> None:
        """Script the next chat answers."""
        self.chats = list(answers)

    def close(self) -> None:
        self._stopped.set()
        # Closing alone does not wake the thread that accepts.
        with _quietly():
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                # Wakes the thread that reads from it.
                with _quietly():
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(DEADLINE_S)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self._open.add(connection)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with _quietly(), connection.makefile("rb") as lines:
                while (request := _read_request(lines)) is not None:
                    with self._lock:
                        self.requests.append(request)
                        answer = self._next(request)
                    if not self._play(connection, answer):
                        break
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _next(self, request: Received) -> Answer:
        if request.path == "/v1/models":
            queue = self.listings
        elif request.path == "/v1/chat/completions":
            queue = self.chats
        else:
            queue = self.others.get(request.path, [reply(404, {"detail": "Not Found"})])
        return queue.pop(0) if len(queue) > 1 else queue[0]

    def _play(self, connection: socket.socket, answer: Answer) -> bool:
        """Send an answer; return whether the connection can go on."""
        for step in answer.before_headers:
            if not self._do(connection, step):
                return False
        phrase = HTTPStatus(answer.status).phrase
        head = [f"HTTP/1.1 {answer.status} {phrase}", "transfer-encoding: chunked"]
        head += [f"{name}: {value}" for name, value in answer.headers.items()]
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        for step in answer.steps:
            if not self._do(connection, step):
                return False
        connection.sendall(b"0\r\n\r\n")
        return True

    def _do(self, connection: socket.socket, step: Step) -> bool:
        if isinstance(step, bytes):
            try:
                connection.sendall(b"%x\r\n%s\r\n" % (len(step), step))
            except OSError:
                self._note_hang_up()
                return False
            return True
        if isinstance(step, threading.Event):
            return step.wait(DEADLINE_S)
        if step is Do.STALL:
            self.stalling += 1
            with _quietly():
                connection.recv(1)
            self._note_hang_up()
        elif step is Do.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def _note_hang_up(self) -> None:
        if not self._stopped.is_set():
            with self._lock:
                self.hung_up += 1


def _read_request(lines: object) -> Received | None:
    readline: Callable[[], bytes] = lines.readline  # type: ignore[attr-defined]
    first = readline().decode().split()
    if not first:
        return None
    headers: dict[str, str] = {}
    while (line := readline().decode().strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", 0))
    body: bytes = lines.read(length)  # type: ignore[attr-defined]
    return Received(first[0], first[1], headers, body)


@contextmanager
def _quietly() -> Iterator[None]:
    """Let a connection end however the client ends it."""
    try:
        yield
    except OSError:
        return
