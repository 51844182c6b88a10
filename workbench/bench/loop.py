"""
The hot path: send what is due, read what is there, note when it came.

One thread, one epoll. Between two looks at the sockets nothing happens but
``recvmsg_into`` into one buffer and a note of connection, length and time. The
notes are read (:mod:`.answer`) a few at a time while nothing is ready, and all
when the buffer is full or a request waits for an answer that seems to have
ended. So memory does not grow with bytes but with tokens: eight bytes for each
chunk's time and eight for each read's delay.

The times are the kernel's (``SO_TIMESTAMPNS``: when the packet came), so a
busy loop does not become the server's latency. Where it gives none they are
those of reading. The kernel's clock is the wall clock: it is laid against the
monotonic one anew for each slice of notes, so that a step of it moves no more
than one slice.

Source: https://docs.kernel.org/networking/timestamping.html, section 1.1.2
"""

from __future__ import annotations

import select
import socket
import struct
import time
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import ServerUnreachableError
from .arrivals import Times
from .http1 import Target
from .load import Load, OnProgress, Progress, Sent

__all__ = ["Load", "Loop", "Progress", "Sent"]

SO_TIMESTAMPNS = 35
"""``asm-generic/socket.h``; Python's socket module does not name it. Also the type of the note."""

_TIMESPEC = struct.Struct("qq")
CONTROL_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)

READ_BYTES = 64 * 1024
BUFFER_BYTES = 4 * 1024 * 1024
SLICE_NOTES = 32
"""
Reading so many takes a quarter of a millisecond, and up to two where answers begin. While
it lasts no socket is read, and of a stream's packets that are read together only the last
one's time is known: so sockets come first.
"""

CHECK_S = 1.0
"""How often it is looked for answers that take too long."""

PROGRESS_S = 0.25
"""How often it is told how far the load is."""

CONNECT_S = 5.0
LAST_CHUNK = b"0\r\n\r\n"
"""What an answer ends with. Other things may: it is a reason to look, and no proof."""


@dataclass(slots=True)
class Connection:
    """A socket, and the request that is under way on it."""

    socket: socket.socket
    sent: Sent | None = None
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    used: bool = False


class Loop:
    """
    Sends requests when they are due and reads all answers; used once.

    Args:
        due_s: For each request, seconds after the start.

        concurrency: The most under way at once; ``None``: as many as are due.

        stop_s: Send no more after so long; what is under way is read to its end.

        patience_s: An answer that takes longer is given up.

        on_progress: Told a few times a second how far it is. No socket is read meanwhile.
    """

    def __init__(
        self,
        target: Target,
        requests: Sequence[bytes],
        due_s: Times,
        *,
        concurrency: int | None = None,
        stop_s: float | None = None,
        patience_s: float = 600.0,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._address: tuple[str, int] = (target.host, target.port)
        self._family: int = socket.AF_INET
        self._requests, self._due_s = requests, due_s
        self._concurrency = concurrency or len(requests)
        self._stop_s, self._patience_s = stop_s, patience_s
        self._on_progress = on_progress
        self._done = self._failed = self._done_tokens = 0
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._idle: deque[int] = deque()
        self._all: list[Sent] = []
        self._again: deque[Sent] = deque()
        self._next = self._under_way = 0
        self._began_s = self._room_s = self._looked_s = 0.0
        self._next_check_s = self._next_progress_s = 0.0
        self._view = memoryview(bytearray(BUFFER_BYTES))
        self._filled = 0
        self._notes: deque[tuple[int, int, bytes | None, int]] = deque()
        self._read_to = 0
        self._late_s: array[float] = array("d")
        self._kernel_stamps = True

    def run(self) -> Load:
        """
        Send everything, and return when the last answer has ended.

        Raises:
            ServerUnreachableError: No connection could be made at the start.
        """
        try:
            self._connect_first()
            self._began_s = self._room_s = self._looked_s = time.monotonic()
            while not self._is_over():
                self._send_due()
                self._turn(self._wait_s())
                if self._on_progress and time.monotonic() >= self._next_progress_s:
                    self._next_progress_s = time.monotonic() + PROGRESS_S
                    self._on_progress(self._progress())
            return Load(
                requests=self._all,
                started_s=self._began_s,
                ended_s=time.monotonic(),
                read_late_s=self._late_s,
                kernel_stamps=self._kernel_stamps,
            )
        finally:
            self._close()

    def _progress(self) -> Progress:
        under_way = (each.sent for each in self._connections.values() if each.sent)
        return Progress(
            elapsed_s=time.monotonic() - self._began_s,
            sent=self._next,
            done=self._done,
            failed=self._failed,
            tokens=self._done_tokens + sum(len(sent.answer.stamps_s) for sent in under_way),
        )

    # --- Reading ---

    def _turn(self, wait_s: float) -> None:
        """Read each socket that has something once; then, if there is reason, the notes."""
        connections, view, notes = self._connections, self._view, self._notes
        at, look, closed = self._filled, False, False
        ready = self._epoll.poll(wait_s)
        for fd, mask in ready:
            if mask & select.EPOLLOUT:
                self._write(fd)
                if not mask & select.EPOLLIN or fd not in connections:
                    continue
            try:
                size, control, _, _ = connections[fd].socket.recvmsg_into(
                    [view[at : at + READ_BYTES]], CONTROL_BYTES
                )
            except BlockingIOError:
                continue
            except OSError:  # reset: to the answer a close like any other
                size, control = 0, []
            notes.append((fd, size, control[0][2] if control else None, time.time_ns()))
            at += size
            if not size:
                closed = True
            elif view[at - 5 : at] == LAST_CHUNK:
                look = True
            if at > BUFFER_BYTES - READ_BYTES:
                self._look(len(notes))
                at, look = 0, False
        self._filled = at
        # A closed socket is ready until it is dropped. An answer's end can wait,
        # unless another request waits for it.
        if closed or (look and self._may_send()):
            self._look(len(notes))
        elif not ready:
            self._look(SLICE_NOTES)

    def _look(self, most: int) -> None:
        """Read the first notes: hand each answer its bytes and times."""
        offset_ns = time.time_ns() - time.monotonic_ns()
        at = self._read_to
        for _ in range(min(most, len(self._notes))):
            fd, size, stamp, read_ns = self._notes.popleft()
            came_ns = read_ns
            if stamp is not None:
                seconds, rest_ns = _TIMESPEC.unpack(stamp)
                came_ns = seconds * 1_000_000_000 + rest_ns
            elif size:
                self._kernel_stamps = False
            at_s = (came_ns - offset_ns) / 1e9
            if size:
                self._late_s.append((read_ns - came_ns) / 1e9)
            self._hand(fd, bytes(self._view[at : at + size]), at_s)
            at += size
        self._read_to = at
        if not self._notes:
            self._filled = self._read_to = 0
        self._looked_s = time.monotonic()
        if self._looked_s >= self._next_check_s:
            self._next_check_s = self._looked_s + CHECK_S
            self._give_up_the_late()

    def _hand(self, fd: int, data: bytes, at_s: float) -> None:
        connection = self._connections.get(fd)
        if connection is None:
            return  # what came after an error
        if (sent := connection.sent) is None:
            self._drop(fd)  # an idle connection that the server has closed
        elif data:
            sent.answer.feed(data, at_s)
            if sent.answer.is_done:
                self._end(fd, sent, at_s)
        elif connection.used and not sent.answer.began:
            # Closed as idle while the request was on its way; RFC 9112, 9.3.1.
            self._drop(fd)
            self._again.append(sent)
        else:
            sent.answer.close()
            self._end(fd, sent, at_s)

    def _end(self, fd: int, sent: Sent, at_s: float) -> None:
        sent.done_s = at_s
        self._under_way -= 1
        self._count(sent)
        self._room_s = time.monotonic()
        connection = self._connections[fd]
        connection.sent, connection.used = None, True
        if sent.answer.keeps_open and not connection.unsent:
            self._idle.append(fd)
        else:
            self._drop(fd)

    def _count(self, sent: Sent) -> None:
        usage = sent.answer.usage
        self._done += 1
        self._failed += sent.answer.error is not None
        self._done_tokens += usage.output_tokens if usage else len(sent.answer.stamps_s)

    def _give_up_the_late(self) -> None:
        for fd, connection in list(self._connections.items()):
            sent = connection.sent
            if sent and self._looked_s - sent.due_s - self._began_s > self._patience_s:
                sent.answer.fail(f"No end after {self._patience_s:g} s.")
                self._end(fd, sent, self._looked_s)

    # --- Sending ---

    def _is_over(self) -> bool:
        return not self._under_way and not self._again and not self._may_send()

    def _may_send(self) -> bool:
        if self._stop_s is not None and time.monotonic() - self._began_s >= self._stop_s:
            return False
        return self._next < len(self._requests)

    def _send_due(self) -> None:
        while self._again:
            self._send(self._again.popleft())
        while self._may_send() and self._under_way < self._concurrency:
            due_s = self._began_s + self._due_s[self._next]
            if due_s > time.monotonic():
                return
            # Room that came later than the time: the request was due with the room.
            full = self._concurrency < len(self._requests)
            sent = Sent(self._next, max(due_s, self._room_s) if full else due_s)
            self._all.append(sent)
            self._next += 1
            self._under_way += 1
            self._send(sent)

    def _send(self, sent: Sent) -> None:
        fd = self._idle.popleft() if self._idle else self._connect()
        connection = self._connections[fd]
        connection.sent = sent
        connection.unsent = memoryview(self._requests[sent.number])
        self._write(fd)

    def _write(self, fd: int) -> None:
        """Send as much as the kernel takes; what is left goes when it takes more."""
        connection = self._connections[fd]
        sent = connection.sent
        if sent is None or not connection.unsent:
            self._epoll.modify(fd, select.EPOLLIN)
            return
        before_s = time.monotonic()
        try:
            taken = connection.socket.send(connection.unsent)
        except BlockingIOError:
            taken = 0
        except OSError as exc:
            self._refused(fd, sent, exc)
            return
        if taken and sent.sent_s is None:
            sent.sent_s = before_s
        connection.unsent = connection.unsent[taken:]
        mask = select.EPOLLIN | (select.EPOLLOUT if connection.unsent else 0)
        self._epoll.modify(fd, mask)

    def _refused(self, fd: int, sent: Sent, exc: OSError) -> None:
        if self._connections[fd].used:
            self._drop(fd)
            self._again.append(sent)
            return
        sent.answer.fail(f"{type(exc).__name__}: {exc.strerror}")
        self._end(fd, sent, time.monotonic())

    def _wait_s(self) -> float:
        """Until the next request is due; epoll counts milliseconds, so the last one is spun."""
        longest_s = 0.0 if self._notes else 1.0
        if not self._may_send() or self._under_way >= self._concurrency:
            return longest_s
        due_s = self._began_s + self._due_s[self._next] - time.monotonic()
        return min(longest_s, max(0.0, int(due_s * 1000) / 1000))

    # --- Connections ---

    def _connect_first(self) -> None:
        """Connect before the clock runs: as many as are needed at once."""
        at_once = sum(1 for due_s in self._due_s if due_s == 0) or 1
        try:
            for _ in range(min(self._concurrency, at_once)):
                made = socket.create_connection(self._address, timeout=CONNECT_S)
                # A name is looked up once, and never while the clock runs.
                self._family, self._address = made.family, made.getpeername()
                self._idle.append(self._register(made))
        except OSError as exc:
            host, port, *_ = self._address
            raise ServerUnreachableError(
                f"Connection {len(self._connections) + 1} to {host}:{port} failed: {exc}.",
                hint="Is the server up, and `ulimit -n` above the concurrency?",
            ) from exc

    def _connect(self) -> int:
        made = socket.socket(self._family, socket.SOCK_STREAM)
        made.setblocking(False)
        made.connect_ex(self._address)
        return self._register(made)

    def _register(self, made: socket.socket) -> int:
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._connections[made.fileno()] = Connection(made)
        self._epoll.register(made.fileno(), select.EPOLLIN)
        return made.fileno()

    def _drop(self, fd: int) -> None:
        if fd in self._idle:
            self._idle.remove(fd)
        self._epoll.unregister(fd)
        self._connections.pop(fd).socket.close()

    def _close(self) -> None:
        for connection in self._connections.values():
            connection.socket.close()
        self._epoll.close()
