"""What the container's tests share; its folder is on the path, as for a script that runs there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.container.collector import Collector
from tests.container.image import CONTAINER, Image

sys.path.insert(0, str(CONTAINER))


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(tmp_path)


@pytest.fixture
def collect() -> Iterator[Callable[..., Collector]]:
    """Make endpoints, which are closed after the test."""
    made: list[Collector] = []

    def make(*answers: int, port: int = 0) -> Collector:
        made.append(Collector(list(answers), port))
        return made[-1]

    yield make
    for collector in made:
        collector.close()


@pytest.fixture
def run_program(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a Python program that logs through container/logging.json, as vLLM would."""

    def run(source: str, **env: str) -> subprocess.CompletedProcess[str]:
        program = tmp_path / "program.py"
        program.write_text(source)
        return subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", program],
            env=os.environ | {"PYTHONPATH": str(CONTAINER), **env},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run
