"""
A server's log as a file: a new one for each start, the old ones cleared away, followed as it grows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

LOGS_KEPT = 10

FOLLOW_POLL_S = 0.1


def new_log(folder: Path, *, name: str) -> Path:
    """Name a fresh log in *folder*, which sorts after all earlier ones; drop the oldest."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.glob("*.log"))[: 1 - LOGS_KEPT]:
        old.unlink(missing_ok=True)
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S.%f")
    return folder / f"{moment}-{name}.log"


def newest_log(folder: Path) -> Path | None:
    """Return the log of the latest start, or ``None`` before the first one."""
    return max(folder.glob("*.log"), default=None)


def lines(path: Path, *, alive: Callable[[], bool]) -> Iterator[str]:
    """
    Yield a log's lines without newlines, for as long as its writer is *alive*.

    An empty string stands for every pause in which nothing was written. A
    line of the log that is empty itself is a space.
    """
    with path.open(errors="replace", newline="\n") as handle:
        rest = ""
        while True:
            lives = alive()  # asked before reading, so that nothing written before the end is lost
            got = handle.read()
            *whole, rest = (rest + got).split("\n")
            yield from (line or " " for line in whole)
            if got:
                continue
            if not lives:
                if rest:
                    yield rest
                return
            yield ""
            time.sleep(FOLLOW_POLL_S)
