"""
One process at a time: a lock that the kernel gives back when its holder dies.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def only_one(path: Path, *, on_wait: Callable[[], None] | None = None) -> Iterator[int]:
    """
    Hold the lock file *path*; whoever comes second waits.

    Args:
        on_wait: Called once if there is somebody to wait for.

    Yields:
        The descriptor that holds it. A child process that inherits it holds
        the lock as long as it lives.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait:
                on_wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle.fileno()


def is_held(path: Path) -> bool:
    """Tell whether somebody holds the lock file *path* now; never waits."""
    try:
        with path.open() as handle:
            # Shared, so that two who look at once do not take each other for the holder.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def try_to_hold(path: Path) -> IO[str] | None:
    """
    Take the lock file *path* if nobody has it; never waits.

    Returns:
        The open file: closing it, or the process's end, gives the lock back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    except BaseException:
        handle.close()
        raise
    return handle
