"""A process that is killed loses nothing that it had emitted a moment before."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.telemetry.conftest import KERNEL, ROOT
from workbench.telemetry import Store

KILLS = 100
PROMISED_S = 0.05
PACE_S = 0.005
"""An emit a millisecond, with room for the scheduler's habits; a longer gap is a pause."""


@pytest.fixture
def nursery() -> Iterator[subprocess.Popen[str]]:
    """A process that has imported everything, and forks a kernel when it is told to."""
    process = subprocess.Popen(
        [sys.executable, str(KERNEL), "bursts"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    yield process
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


@pytest.mark.processes
def test_a_kill_loses_nothing_older_than_50_ms(
    path: Path, tmp_path: Path, nursery: subprocess.Popen[str]
) -> None:
    """
    A hundred kernels on one file, each killed (SIGKILL) at a moment of its own.

    A pause in which the machine ran something else counts as if it had not been.
    """
    Store(path).close()
    emitted = {n: _killed(nursery, path, tmp_path / f"{n}.log", n) for n in range(KILLS)}
    with Store(path) as store:
        rows = set(store.rows("SELECT session, seed FROM requests"))

    lost = {
        session: missing
        for session, numbers in emitted.items()
        if (missing := [n for n in numbers if (str(session), n) not in rows])
    }
    assert lost == {}
    assert sum(map(len, emitted.values())) > 10 * KILLS


def _killed(nursery: subprocess.Popen[str], path: Path, log: Path, number: int) -> list[int]:
    """Have a kernel emit, kill it, and return the numbers that must be there."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(f"{path} {number} {log}\n")
    nursery.stdin.flush()
    pid = int(nursery.stdout.readline())
    moment_s = random.Random(number).uniform(0.1, 0.2)
    time.sleep(moment_s)  # the moment is what is tested, nothing is waited for
    killed_s = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    return _older(log.read_text(), killed_s)


def _older(log: str, killed_s: float) -> list[int]:
    lines = [line.split() for line in log.splitlines() if line.count(" ") == 1]
    stamps = [(int(number), float(at)) for number, at in lines]
    times = [at for _, at in stamps] + [killed_s]
    pauses = {at: max(0.0, after - at - PACE_S) for at, after in pairwise(times)}
    return [
        number
        for number, at in stamps
        if killed_s - at - sum(pause for when, pause in pauses.items() if when >= at) > PROMISED_S
    ]
