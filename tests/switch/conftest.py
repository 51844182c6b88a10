"""A project whose engine is scripted, and a way to switch it in another process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers import scripted_engine
from workbench.session import Session


@pytest.fixture
def home(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with both pocket models and a scripted engine."""
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    monkeypatch.setenv("WORKBENCH_ENGINE_DIR", str(scripted_engine(project / ".engine")))
    monkeypatch.setenv("WORKBENCH_PORT", "0")
    return project


@pytest.fixture
def session(home: Path) -> Iterator[Session]:
    """A session whose server is not up yet; whatever runs is stopped afterwards."""
    with Session() as session:
        yield session
    with Session() as last:
        last.down()


@pytest.fixture
def typed(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Type a verb in a shell of its own."""
    children: list[subprocess.Popen[str]] = []

    def start(*words: str, **environ: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-m", "workbench", *words],
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()
