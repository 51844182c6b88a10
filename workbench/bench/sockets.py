"""
Connections: made before the clock runs where that is possible, with the kernel's receive times on.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError, ServerUnreachableError
from .http1 import Target
from .load import Sent

SO_TIMESTAMPNS = 35
"""``asm-generic/socket.h``; Python's socket module does not name it. Also the type of the note."""

CONNECT_S = 5.0
BATCH = 100
"""
Connections begun at once. A server's queue holds a hundred or more that it has not accepted
(uvicorn: 2,048), and one that does not fit is tried again by the kernel a second later.
"""

SPARE_FILES = 64
ROOM_BYTES = 4096
"""For one read: ten events."""

Take = Callable[[bytes, float], bool]


def take_nothing(_data: bytes, _at_s: float) -> bool:
    """Stand in for an answer where none is expected."""
    return False


@dataclass(slots=True, eq=False)
class Connection:
    """
    A socket, and the request that is under way on it.

    Args:
        receive: The socket's ``recvmsg``: to look it up for each packet is a cost.

        take: The answer's way for texts that it knows the form of.

        room: For the bytes of one read.

        held: What was read and not yet looked at: bytes, and when they came.
    """

    socket: socket.socket
    receive: Callable[[int, int], tuple[bytes, list[tuple[int, int, bytes]], int, Any]]
    sent: Sent | None = None
    take: Take = take_nothing
    held: list[tuple[bytes, float]] = field(default_factory=list)
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    mask: int = select.EPOLLIN
    room: int = ROOM_BYTES
    used: bool = False

    @property
    def fd(self) -> int:
        """The number that epoll knows it by."""
        return self.socket.fileno()


class Connector:
    """Makes connections to one server, whose name is looked up once."""

    def __init__(self, target: Target) -> None:
        self._address: Any = (target.host, target.port)
        self._family: int = socket.AF_INET

    def first(self, count: int) -> list[Connection]:
        """
        Make so many, and wait until they stand.

        Raises:
            ConfigError: This process may not have so many open files.

            ServerUnreachableError: One could not be made.
        """
        allow_files(count)
        made: list[socket.socket] = []
        try:
            made.append(socket.create_connection(self._address, timeout=CONNECT_S))
            self._family, self._address = made[0].family, made[0].getpeername()
            while len(made) < count:
                batch = [self._begin() for _ in range(min(BATCH, count - len(made)))]
                made += batch
                _await(batch)
        except OSError as exc:
            for each in made:
                each.close()
            host, port, *_ = self._address
            raise ServerUnreachableError(
                f"Connection {max(1, len(made))} of {count} to {host}:{port} failed: {exc}.",
                hint="Is the server up, and does it take as many connections?",
            ) from exc
        return [_prepared(each) for each in made]

    def another(self) -> Connection:
        """Begin one more, and do not wait."""
        return _prepared(self._begin())

    def _begin(self) -> socket.socket:
        made = socket.socket(self._family, socket.SOCK_STREAM)
        made.setblocking(False)
        code = made.connect_ex(self._address)
        if code not in (0, errno.EINPROGRESS):
            made.close()
            raise OSError(code, os.strerror(code))
        return made


def allow_files(count: int) -> None:
    """
    Raise this process's limit of open files for so many connections, as far as it may.

    Raises:
        ConfigError: That is not far enough.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + sum(1 for _ in Path("/proc/self/fd").iterdir()) + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise ConfigError(
                f"{count} connections need {needed} open files, and this process may have {hard}.",
                hint="Raise it (`ulimit -Hn`, as root), or spread the load over more processes.",
                key="concurrency",
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _await(batch: Sequence[socket.socket]) -> None:
    """Wait until all stand, or raise what kept one from it."""
    poll, left = select.poll(), {each.fileno(): each for each in batch}
    for fd in left:
        poll.register(fd, select.POLLOUT)
    until_s = time.monotonic() + CONNECT_S
    while left:
        for fd in _ready(poll, until_s):
            if code := left.pop(fd).getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code))
            poll.unregister(fd)


def _ready(poll: select.poll, until_s: float) -> Iterator[int]:
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError(f"no connection after {CONNECT_S:g} s")
    return (fd for fd, _ in poll.poll(left_s * 1000))


def _prepared(made: socket.socket) -> Connection:
    made.setblocking(False)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return Connection(made, made.recvmsg)
