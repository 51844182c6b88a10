"""A reader's folder, in which vLLM runs in a container."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.compose.vllm_image import make_project, override
from workbench.servers.engine import Engine
from workbench.session import Session

PROJECT = Path(__file__).resolve().parent.parent.parent


class Project:
    """
    A reader's folder in which vLLM runs in a container.

    Args:
        variables: Lines of its ``.env``.
    """

    def __init__(self, folder: Path, engine: Engine, **variables: str) -> None:
        self.engine = engine
        self.folder = make_project(folder, PROJECT, engine, **variables)

    def session(self, monkeypatch: pytest.MonkeyPatch, **arguments: object) -> Session:
        """Open a session in this folder, as a notebook there would."""
        monkeypatch.setenv("WORKBENCH_HOME", str(self.folder))
        monkeypatch.delenv("WORKBENCH_STATE_DIR", raising=False)
        return Session(**arguments)

    def override(self, **service: object) -> None:
        """Change the service as an override file does."""
        (self.folder / "override.yml").write_text(override(self.engine, **service))

    def compose(self, *words: str) -> str:
        """Type ``docker compose`` in it."""
        done = subprocess.run(
            ["docker", "compose", "--profile", "*", *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    def clear(self) -> None:
        """Leave nothing in the engine."""
        self.compose("down", "--volumes", "--timeout", "5")
