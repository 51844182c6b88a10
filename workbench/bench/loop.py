"""
The hot path: send what is due, read what is there, note when it came.

One thread, one epoll. A read that is whole texts of a known form, as nearly all
are, is counted at once (:meth:`.Answer.take`). What begins an answer, ends it or
is of another form costs ten times as much: it is held, and looked at in slices
of a third of a millisecond while no socket is ready, or when so much is held
that memory would grow. So memory does not grow with bytes but with tokens: eight
bytes for each chunk's time and eight for each read's delay.

The times are the kernel's (``SO_TIMESTAMPNS``: when the packet came), so a
busy loop does not become the server's latency. Where it gives none they are
those of reading. The kernel's clock is the wall clock: it is laid against the
monotonic one anew at each turn, so that a step of it moves no more than one.
But a read that met several packets has only the last one's. So a socket must
be read before its next packet comes, and a read that costs more than packets
come apart makes all later ones worse: there is nothing in it that could be later.

Source: https://docs.kernel.org/networking/timestamping.html, section 1.1.2
"""

from __future__ import annotations

import gc
import select
import socket
import struct
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from .arrivals import Times
from .http1 import Target
from .load import Interrupted, Load, OnProgress, Progress, Sent
from .sockets import CONNECT_S, Connection, Connector, take_nothing

__all__ = ["Interrupted", "Load", "Loop", "Progress", "Sent"]

_TIMESPEC = struct.Struct("qq")
CONTROL_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)

FULL_ROOM_BYTES = 64 * 1024
"""
Room for a read, once a smaller one was full. Not before: the allocator gives so large a block
back to the system each time, and the pages that come anew cost as much as the read.
"""

HELD_BYTES = 8 * 1024 * 1024
"""The most that is held, but for one turn's reads."""

SLICE_NS = 300_000
SPUN_S = 0.00015
"""A sleep ends so much late; what is left until a request is due is spun."""

CHECK_S = 0.25
"""How often it is looked for answers that take too long, and told how far it is."""

LAST_CHUNK = b"0\r\n\r\n"
"""What an answer ends with. Other things may: it is a reason to look, and no proof."""


class Loop:
    """
    Sends requests when they are due and reads all answers; used once.

    Args:
        due_s: For each request, seconds after the start.

        concurrency: The most under way at once; ``None``: as many as are due.

        stop_s: Send no more after so long; what is under way is read to its end.

        patience_s: An answer that takes longer is given up.

        on_progress: Told a few times a second how far it is. No socket is read meanwhile.

        on_connected: Called before the clock runs; returns the monotonic time at which it
            shall. Several loops can so begin as one.
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
        on_connected: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connector = Connector(target)
        self._requests, self._due_s = requests, due_s
        self._concurrency = concurrency or len(requests)
        self._stop_s, self._patience_s = stop_s, patience_s
        self._on_progress, self._on_connected = on_progress, on_connected
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._idle: dict[int, Connection] = {}
        self._all: list[Sent] = []
        self._again: deque[Sent] = deque()
        self._rooms_s: deque[float] = deque()
        self._next = self._under_way = 0
        self._done = self._failed = self._done_tokens = 0
        self._began_s = time.monotonic()
        self._next_check_s = 0.0
        self._waiting: deque[Connection] = deque()
        self._held_bytes = 0
        self._polled_s = 0.0
        self._base_s = 0
        self._late_s: array[float] = array("d")
        self._kernel_stamps = True

    def run(self) -> Load:
        """
        Send everything, and return when the last answer has ended.

        Raises:
            ConfigError: This process may not have so many connections.

            ServerUnreachableError: No connection could be made at the start.

            Interrupted: By the user; it has what there was until then.
        """
        try:
            self._connect_first()
            self._began_s = self._on_connected()
            self._polled_s = time.monotonic()
            self._base_s = int(time.time())
            with _no_collection():
                while not self._is_over():
                    self._send_due()
                    self._turn(self._wait_s())
                    self._check()
            return self._load()
        except KeyboardInterrupt as exc:
            raise Interrupted(self._stopped()) from exc
        finally:
            self._close()

    def _load(self) -> Load:
        return Load(
            requests=self._all,
            started_s=self._began_s,
            ended_s=time.monotonic(),
            read_late_s=self._late_s,
            kernel_stamps=self._kernel_stamps,
        )

    def _stopped(self) -> Load:
        """Give up what is under way, wherever the loop was."""
        now_s = time.monotonic()
        for sent in self._all:
            if sent.done_s is None:
                sent.answer.fail("Stopped by the user.")
                sent.done_s = now_s
        return self._load()

    # --- Reading ---

    def _turn(self, wait_s: float) -> None:
        """Read each socket that has something once; then look at what was held."""
        connections, late = self._connections, self._late_s.append
        unpack, now, base_s = _TIMESPEC.unpack, time.monotonic, self._base_s
        ended: list[Connection] = []
        ready = self._epoll.poll(wait_s)
        polled_s = now()
        shift_s = polled_s - (time.time_ns() - base_s * 1_000_000_000) / 1e9
        for fd, mask in ready:
            connection = connections[fd]
            if mask & select.EPOLLOUT:
                self._write(connection)
                if not mask & select.EPOLLIN or fd not in connections:
                    continue
            try:
                data, control, _, _ = connection.receive(connection.room, CONTROL_BYTES)
            except BlockingIOError:
                continue
            except OSError:  # reset: to the answer a close like any other
                data, control = b"", []
            if control:
                seconds, rest_ns = unpack(control[0][2])
                at_s = seconds - base_s + rest_ns * 1e-9 + shift_s
                late(now() - at_s)
            else:
                at_s = self._without_stamp(data)
            if not connection.take(data, at_s):
                self._hold(connection, data, at_s)
                # A closed socket is ready until it is dropped. An answer's end can wait,
                # unless another request waits for it.
                if not data or (data.endswith(LAST_CHUNK) and self._may_send()):
                    ended.append(connection)
        self._polled_s = polled_s
        for connection in ended:
            self._look(connection)
        while self._held_bytes > HELD_BYTES:
            self._look_at_some()
        if self._waiting:
            self._look_at_some()

    def _without_stamp(self, data: bytes) -> float:
        at_s = time.monotonic()
        if data:
            self._kernel_stamps = False
            # It came after the poll before this turn's, or that would have said so.
            self._late_s.append(at_s - self._polled_s)
        return at_s

    def _hold(self, connection: Connection, data: bytes, at_s: float) -> None:
        if not connection.held:
            self._waiting.append(connection)
            connection.take = take_nothing  # what comes after it is held too
        connection.held.append((data, at_s))
        self._held_bytes += len(data)
        if len(data) == connection.room:
            connection.room = FULL_ROOM_BYTES

    def _look_at_some(self) -> None:
        until_ns = time.monotonic_ns() + SLICE_NS
        while self._waiting and time.monotonic_ns() < until_ns:
            self._look(self._waiting.popleft())

    def _look(self, connection: Connection) -> None:
        """Hand the answer what was held of it."""
        held = connection.held
        connection.held = []
        if connection.sent:
            connection.take = connection.sent.answer.take
        for data, at_s in held:
            self._held_bytes -= len(data)
            self._hand(connection, data, at_s)

    def _hand(self, connection: Connection, data: bytes, at_s: float) -> None:
        sent = connection.sent
        if sent is None:
            self._drop(connection)  # idle, and closed by the server; or what came after an error
        elif data:
            if not sent.answer.take(data, at_s):
                sent.answer.feed(data, at_s)
            if sent.answer.is_done:
                self._end(connection, sent, at_s)
        elif connection.used and not sent.answer.began:
            # Closed as idle while the request was on its way; RFC 9112, 9.3.1.
            self._drop(connection)
            self._again.append(sent)
        else:
            sent.answer.close()
            self._end(connection, sent, at_s)

    def _end(self, connection: Connection, sent: Sent, at_s: float) -> None:
        self._count(sent, at_s)
        connection.sent, connection.take, connection.used = None, take_nothing, True
        if sent.answer.keeps_open and not connection.unsent:
            self._idle[connection.fd] = connection
        else:
            self._drop(connection)

    def _count(self, sent: Sent, at_s: float) -> None:
        sent.done_s = at_s
        usage = sent.answer.usage
        self._under_way -= 1
        self._done += 1
        self._failed += sent.answer.error is not None
        self._done_tokens += usage.output_tokens if usage else len(sent.answer.stamps_s)
        self._rooms_s.append(at_s)

    # --- A few times a second ---

    def _check(self) -> None:
        now_s = time.monotonic()
        if now_s < self._next_check_s:
            return
        self._next_check_s = now_s + CHECK_S
        for connection in list(self._connections.values()):
            if connection.sent:
                self._give_up_if_late(connection, connection.sent, now_s)
        if self._on_progress:
            self._on_progress(self._progress(now_s))

    def _give_up_if_late(self, connection: Connection, sent: Sent, now_s: float) -> None:
        waited_s = now_s - sent.due_s
        if sent.sent_s is None and waited_s > CONNECT_S:
            sent.answer.fail(f"No connection after {CONNECT_S:g} s.")
        elif waited_s > self._patience_s:
            sent.answer.fail(f"No end after {self._patience_s:g} s.")
        else:
            return
        self._end(connection, sent, now_s)

    def _progress(self, now_s: float) -> Progress:
        under_way = (each.sent for each in self._connections.values() if each.sent)
        return Progress(
            elapsed_s=now_s - self._began_s,
            sent=self._next,
            done=self._done,
            failed=self._failed,
            tokens=self._done_tokens + sum(len(sent.answer.stamps_s) for sent in under_way),
        )

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
        while self._under_way < self._concurrency and self._may_send():
            due_s = self._began_s + self._due_s[self._next]
            if due_s > time.monotonic():
                return
            sent = Sent(self._next, due_s)
            if self._next >= self._concurrency:
                # Room that came later than the time: the request was due with the room.
                sent.due_s = max(due_s, self._rooms_s.popleft())
            self._all.append(sent)
            self._next += 1
            self._under_way += 1
            self._send(sent)

    def _send(self, sent: Sent) -> None:
        try:
            connection = self._idle.popitem()[1] if self._idle else self._connect()
        except OSError as exc:
            sent.answer.fail(f"{type(exc).__name__}: {exc.strerror}")
            self._count(sent, time.monotonic())
            return
        connection.sent, connection.take = sent, sent.answer.take
        connection.unsent = memoryview(self._requests[sent.number])
        self._write(connection)

    def _write(self, connection: Connection) -> None:
        """Send as much as the kernel takes; what is left goes when it takes more."""
        sent = connection.sent
        if sent is None or not connection.unsent:
            self._watch(connection, select.EPOLLIN)
            return
        before_s = time.monotonic()
        try:
            taken = connection.socket.send(connection.unsent)
        except BlockingIOError:
            taken = 0
        except OSError as exc:
            self._refused(connection, sent, exc)
            return
        if taken and sent.sent_s is None:
            sent.sent_s = before_s
        connection.unsent = connection.unsent[taken:]
        mask = select.EPOLLIN | (select.EPOLLOUT if connection.unsent else 0)
        self._watch(connection, mask)

    def _watch(self, connection: Connection, mask: int) -> None:
        if connection.mask != mask:
            connection.mask = mask
            self._epoll.modify(connection.fd, mask)

    def _refused(self, connection: Connection, sent: Sent, exc: OSError) -> None:
        if connection.used:
            self._drop(connection)
            self._again.append(sent)
            return
        sent.answer.fail(f"{type(exc).__name__}: {exc.strerror}")
        self._end(connection, sent, time.monotonic())

    def _wait_s(self) -> float:
        """
        Until the next request is due, or something else is to be done.

        epoll counts milliseconds: less than one is slept, for what comes meanwhile has its
        time from the kernel, and the last bit is spun.
        """
        longest_s = 0.0 if self._waiting else CHECK_S
        if self._under_way >= self._concurrency or not self._may_send():
            return longest_s
        due_s = self._began_s + self._due_s[self._next] - time.monotonic()
        if SPUN_S < due_s < 0.001 and not self._waiting:
            time.sleep(due_s - SPUN_S)
        return min(longest_s, max(0.0, int(due_s * 1000) / 1000))

    # --- Connections ---

    def _connect_first(self) -> None:
        at_once = sum(1 for due_s in self._due_s if due_s == 0) or 1
        for connection in self._connector.first(min(self._concurrency, at_once)):
            self._idle[self._register(connection).fd] = connection

    def _connect(self) -> Connection:
        return self._register(self._connector.another())

    def _register(self, connection: Connection) -> Connection:
        self._connections[connection.fd] = connection
        self._epoll.register(connection.fd, connection.mask)
        return connection

    def _drop(self, connection: Connection) -> None:
        fd = connection.fd
        if self._connections.pop(fd, None):
            self._idle.pop(fd, None)
            self._epoll.unregister(fd)
            connection.socket.close()

    def _close(self) -> None:
        for connection in self._connections.values():
            connection.socket.close()
        self._epoll.close()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let no garbage be collected: there are no cycles, and to look for them stops the loop."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
