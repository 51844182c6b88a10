"""
A server that knows when it sent what: the yardstick of benchmarks/loadgen.py.

    python benchmarks/servers/exact.py --ttft-ms 50 --itl-ms 10 --tokens 200

Each request's events have a fixed schedule from the moment it is read. The
server writes down when it gave each event to the kernel, and tells it at
``GET /times``: its own lateness, on a busy machine, is not the client's error.
With ``--itl-ms 0`` it sends as fast as the client takes: an event a packet, or
with ``--coalesced`` as many as fit into a write. One thread, one epoll.
"""

from __future__ import annotations

import argparse
import gc
import json
import select
import socket
import time
from array import array
from collections import deque

WRITE_BYTES = 256 * 1024
BLOCK_EVENTS = 1000


def event(number: int, tokens: int) -> bytes:
    """Write an event as vLLM 0.32 does, as a chunk of its own; the last has the usage."""
    choice = {"index": 0, "delta": {"content": " word"}, "logprobs": None, "finish_reason": None}
    fields: dict[str, object] = {
        "id": f"chatcmpl-{number:020d}",
        "object": "chat.completion.chunk",
        "created": 1780000000,
        "model": "exact",
        "choices": [{**choice, "token_ids": None}],
    }
    if tokens:
        fields |= {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": tokens}}
    data = b"data: " + json.dumps(fields, separators=(",", ":")).encode() + b"\n\n"
    data += b"data: [DONE]\n\n" if tokens else b""
    return b"%x\r\n%s\r\n" % (len(data), data) + (b"0\r\n\r\n" if tokens else b"")


def say(sock: socket.socket, status: bytes, body: bytes) -> None:
    """Answer what is no stream, all at once."""
    sock.setblocking(True)
    sock.sendall(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body)
    sock.setblocking(False)


def has_gone(sock: socket.socket, exc: OSError) -> bool:
    """Tell whether it is the client that ended the connection."""
    return sock.fileno() < 0 or isinstance(exc, (BrokenPipeError, ConnectionResetError))


class Stream:
    """One answer under way."""

    def __init__(self, sock: socket.socket, number: int, tokens: int) -> None:
        self.sock, self.left = sock, tokens
        self.text, self.last = event(number, 0), event(number, tokens)
        self.times = array("d")
        self.note, self.send = self.times.append, sock.send
        self.whole = memoryview(b"")
        self.block = b""

    def load(self) -> None:
        """Take up the next thousand events, the last of them with the end."""
        number = min(self.left, BLOCK_EVENTS)
        self.left -= number
        self.block = self.block if self.left else self.text * number + self.last
        self.block = self.block or self.text * number
        self.whole = memoryview(self.block)


class Server:
    """Answers every request with the one schedule that it was started with."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.ttft_s, self.itl_s = given.ttft_ms / 1e3, given.itl_ms / 1e3
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.sockets: dict[int, socket.socket] = {}
        self.read: dict[int, bytes] = {}
        # All wait equally long, so each queue is in the order of time.
        self.first: deque[tuple[float, Stream]] = deque()
        self.next: deque[tuple[float, Stream]] = deque()
        self.busy: list[Stream] = []
        self.times: dict[int, array[float]] = {}

    def run(self) -> None:
        """Serve until killed."""
        print(self.listener.getsockname()[1], flush=True)
        while True:
            self.send_due()
            self.send_fast()
            for fd, _ in self.epoll.poll(self.wait_s()):
                if fd == self.listener.fileno():
                    self.accept()
                else:
                    self.take(fd)

    def wait_s(self) -> float:
        """Sleep while nothing is due within a millisecond, and then spin."""
        if self.busy:
            return 0.0
        due_s = min((queue[0][0] for queue in (self.first, self.next) if queue), default=None)
        if due_s is None:
            return 1.0
        return max(0.0, int((due_s - time.monotonic()) * 1000) / 1000)

    def accept(self) -> None:
        """Take all connections that wait."""
        while True:
            try:
                sock, _ = self.listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets[sock.fileno()] = sock
            self.epoll.register(sock, select.EPOLLIN)

    def take(self, fd: int) -> None:
        """Read a request; begin its answer when it is whole."""
        sock = self.sockets[fd]
        try:
            data = sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.epoll.unregister(fd)
            self.sockets.pop(fd).close()
            return
        data = self.read.pop(fd, b"") + data
        head, end, body = data.partition(b"\r\n\r\n")
        if head.startswith(b"GET /times"):
            self.tell(sock)
        elif head.startswith(b"GET /v1/models"):
            say(sock, b"200 OK", b'{"data": [{"id": "exact"}]}')
        elif not head.startswith(b"POST /v1/chat"):
            say(sock, b"404 Not Found", b"{}")
        elif not end or len(body) < int(head.lower().split(b"content-length:")[1].split()[0]):
            self.read[fd] = data
        else:
            self.begin(sock, int(json.loads(body).get("user", len(self.times))))

    def tell(self, sock: socket.socket) -> None:
        """Say when everything was sent, and forget it."""
        told = {number: list(times) for number, times in self.times.items()}
        say(sock, b"200 OK", json.dumps(told).encode())
        self.times.clear()

    def begin(self, sock: socket.socket, number: int) -> None:
        """Send the head, and lay out the rest."""
        stream = Stream(sock, number, self.given.tokens)
        self.times[number] = stream.times
        sock.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        if self.itl_s:
            self.first.append((time.monotonic() + self.ttft_s, stream))
        else:
            self.busy.append(stream)

    def send_due(self) -> None:
        """Send what is due, from the queue whose head is due first."""
        first, following, itl_s = self.first, self.next, self.itl_s
        while first or following:
            queue = (
                first if not following or (first and first[0][0] < following[0][0]) else following
            )
            at_s, stream = queue[0]
            now_s = time.monotonic()
            if at_s > now_s:
                return
            queue.popleft()
            stream.note(now_s)
            stream.left -= 1
            try:
                if stream.left:
                    stream.send(stream.text)
                    following.append((at_s + itl_s, stream))
                else:
                    stream.send(stream.text + stream.last)
            except OSError as exc:
                if not has_gone(stream.sock, exc):
                    raise

    def send_fast(self) -> None:
        """Send a piece to each that is not paced; who takes nothing is asked again."""
        most = WRITE_BYTES if self.given.coalesced else None
        for stream in list(self.busy):
            if not stream.whole:
                stream.load()
            try:
                taken = stream.sock.send(stream.whole[: most or len(stream.text)])
            except BlockingIOError:
                continue
            stream.whole = stream.whole[taken:]
            if not stream.whole and not stream.left:
                self.busy.remove(stream)


def main() -> None:
    """Read the schedule from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--ttft-ms", type=float, default=50)
    parser.add_argument("--itl-ms", type=float, default=10)
    parser.add_argument("--tokens", type=int, default=200, help="of each answer")
    parser.add_argument("--coalesced", action="store_true")
    gc.disable()  # a collection is a pause, and then a burst
    Server(parser.parse_args()).run()


if __name__ == "__main__":
    main()
