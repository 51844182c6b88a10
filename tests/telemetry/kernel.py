"""
A kernel for tests that need real processes: ``kernel.py VERB PATH …``.

It says ``ready``, waits for a line, and then does what the verb says. None of
the verbs closes the telemetry: that is for the interpreter's exit.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import StoreError
from workbench.records import ChatMessage, Generation, SamplingParams, Timings, Usage
from workbench.telemetry import Store, Telemetry
from workbench.telemetry.hashing import load_or_make_key

NOBODY = 65534


def generation(number: int) -> Generation:
    now_s = time.perf_counter()
    return Generation(
        text="an answer",
        model="pocket",
        messages=(ChatMessage("user", f"question {number}"),),
        params=SamplingParams(),
        usage=Usage(input_tokens=3, output_tokens=2),
        timings=Timings(started_at=datetime.now(UTC), sent_s=now_s, done_s=now_s + 1),
    )


def emit(path: str, session: str, number: str, exit_status: str = "0") -> None:
    """Record so many answers and leave at once."""
    telemetry = Telemetry(path, session=session)
    for n in range(int(number)):
        telemetry.emit(generation(n))
    sys.exit(int(exit_status))


def key(path: str) -> None:
    """Print the key."""
    print(load_or_make_key(Path(path)).hex())


def fill(path: str, number: str, limit_bytes: str) -> None:
    """Record on a disk where no file may grow beyond the limit; print what became of it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit_bytes), int(limit_bytes)))
    telemetry = Telemetry(path, session="full", max_queued=int(number))
    for n in range(int(number)):
        telemetry.emit(generation(n))
    telemetry.flush()
    telemetry.close()
    status = telemetry.status()
    print(status.written, status.queued, status.dropped, status.last_error, sep="|")


def readonly(path: str) -> None:
    """Take away every right to write, then try to; print the error."""
    Path(path).chmod(0o444)
    Path(path).parent.chmod(0o555)
    if os.geteuid() == 0:
        os.setuid(NOBODY)  # for root nothing is read-only
    try:
        with Store(Path(path)) as store:
            store.append([])
    except StoreError as error:
        print(error.message, error.hint, sep="|")


def imported(_: str) -> None:
    """Print which heavy packages importing the telemetry has brought."""
    print(sorted({"pandas", "numpy", "asyncio", "openai"} & set(sys.modules)))


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    verbs: dict[str, Callable[..., None]] = {
        "emit": emit,
        "key": key,
        "fill": fill,
        "readonly": readonly,
        "imported": imported,
    }
    verbs[sys.argv[1]](*sys.argv[2:])
