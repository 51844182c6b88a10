"""
A kernel for tests that need real processes: ``kernel.py VERB PATH …``.

It says ``ready``, waits for a line, and then does what the verb says. None of
the verbs closes the telemetry: that is for the interpreter's exit.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.telemetry.sinks_for_tests import ScriptedSink, These
from workbench.errors import StoreError
from workbench.records import ChatMessage, Generation, SamplingParams, Timings, Usage
from workbench.telemetry import Store, Telemetry
from workbench.telemetry.hashing import load_or_make_key

NOBODY = 65534


def generation(number: int, params: SamplingParams = SamplingParams()) -> Generation:  # noqa: B008
    now_s = time.perf_counter()
    return Generation(
        text="an answer",
        model="pocket",
        messages=(ChatMessage("user", f"question {number}"),),
        params=params,
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


def fill_and_send(path: str, number: str, limit_bytes: str) -> None:
    """As ``fill``, with a sink; let the disk be well again, and print what arrived."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit_bytes), hard))
    sink = ScriptedSink()
    telemetry = Telemetry(path, session="full", max_queued=100, destinations=These(sink))
    for n in range(int(number)):
        telemetry.emit(generation(n))
        if n % 100 == 0:
            telemetry.flush(0.2)
    telemetry.flush()
    said = path in (telemetry.last_error or "")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    telemetry.deliver()
    status = telemetry.status()
    print(status.written, status.dropped, len(sink.ids), len(set(sink.ids)), said, sep="|")
    telemetry.close()


def burst(path: str, session: str) -> None:
    """
    Emit an answer every millisecond, and print when, until killed.

    The seed numbers the answers. What is printed is there before the answer is emitted.
    """
    telemetry = Telemetry(path, session=session)
    number = 0
    while True:
        answer = generation(number, SamplingParams(seed=number))
        os.write(1, f"{number} {time.monotonic():.6f}\n".encode())
        telemetry.emit(answer)
        number += 1
        time.sleep(0.001)


def bursts() -> None:
    """Fork a kernel for each line of input, which is told what ``burst`` takes; print its pid."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            path, session, output = line.split()
            os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), 1)
            burst(path, session)
        print(pid, flush=True)


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
        "fill_and_send": fill_and_send,
        "bursts": bursts,
        "readonly": readonly,
        "imported": imported,
    }
    verbs[sys.argv[1]](*sys.argv[2:])
