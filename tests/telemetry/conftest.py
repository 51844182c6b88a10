"""Outcomes to record, and a place to record them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import workbench.telemetry
from tests.helpers import AN_HOUR_AGO
from workbench.records import (
    ChatMessage,
    Failure,
    Generation,
    SamplingParams,
    Timings,
    Usage,
)
from workbench.telemetry import Telemetry
from workbench.telemetry import courier as courier_module

KERNEL = Path(__file__).with_name("kernel.py")
ROOT = Path(workbench.telemetry.__file__).parents[2]


@pytest.fixture
def make_generation() -> Callable[..., Generation]:
    """Make answers, each sent a second after the one before."""
    numbers = count()

    def make(**changes: Any) -> Generation:
        number = next(numbers)
        given: dict[str, Any] = {
            "text": "an answer",
            "model": "pocket",
            "messages": (ChatMessage("user", "a question"),),
            "params": SamplingParams(),
            "finish_reason": "stop",
            "usage": Usage(input_tokens=7, output_tokens=5),
            "timings": Timings(
                started_at=AN_HOUR_AGO + timedelta(seconds=number),
                sent_s=100.0 + number,
                chunks_s=(100.2 + number, 101.0 + number),
                done_s=101.1 + number,
            ),
            "request_id": f"chatcmpl-{number}",
            "base_url": "http://127.0.0.1:8000/v1",
        }
        return Generation(**(given | changes))

    return make


@pytest.fixture
def make_failure(make_generation: Callable[..., Generation]) -> Callable[..., Failure]:
    """Make failures of half a second, without a chunk."""

    def make(error: BaseException, **changes: Any) -> Failure:
        planned = make_generation()
        given: dict[str, Any] = {
            "model": planned.model,
            "messages": planned.messages,
            "params": planned.params,
            "timings": Timings(started_at=AN_HOUR_AGO, sent_s=10.0, done_s=10.5),
        }
        return Failure(error=error, **(given | changes))

    return make


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "telemetry.db"


@pytest.fixture
def telemetry(path: Path) -> Iterator[Telemetry]:
    with Telemetry(path, session="tests", user="ada") as opened:
        yield opened


@pytest.fixture
def run_kernels() -> Callable[..., list[str]]:
    """
    Start processes, let them go at the same moment, return what each printed.

    Each runs ``kernel.py`` with the given words; exiting with another status
    than expected (0, if nothing is said) fails the test.
    """

    def run(*commands: tuple[object, ...], statuses: Sequence[int] = ()) -> list[str]:
        running = [
            subprocess.Popen(
                [sys.executable, str(KERNEL), *map(str, command)],
                cwd=ROOT,
                env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for command in commands
        ]
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        printed = [process.communicate(timeout=30)[0] for process in running]
        assert [process.returncode for process in running] == list(statuses or [0] * len(running))
        return printed

    return run


@pytest.fixture
def quick_courier(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have couriers gather, look and wait for milliseconds."""
    monkeypatch.setattr(courier_module, "GATHER_S", 0.01)
    monkeypatch.setattr(courier_module, "LOOK_S", 0.05)
    monkeypatch.setattr(courier_module, "FIRST_WAIT_S", 0.02)
