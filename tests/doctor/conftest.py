"""A text linted as if it were a file, and what Compose itself makes of a file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from workbench.doctor import Report, lint


@pytest.fixture
def lint_text(tmp_path: Path) -> Callable[..., Report]:
    """Lint this text, as ``docker-compose.yml`` in the test's own folder."""

    def lint_it(
        text: str, environ: Mapping[str, str] | None = None, profile: str | None = None
    ) -> Report:
        path = tmp_path / "docker-compose.yml"
        path.write_text(text)
        return lint(path, environ or {}, profile=profile)

    return lint_it


@pytest.fixture
def compose_config() -> Callable[[Path, Mapping[str, str]], dict[str, Any]]:
    """Ask Compose for the services of a file; skip where there is no Compose to ask."""
    docker = shutil.which("docker") or ""
    if not docker or subprocess.call([docker, "compose", "version"], stdout=subprocess.DEVNULL):
        pytest.skip('no `docker compose` here; on Debian or Ubuntu: eval "$(.ci/docker-engine)"')

    def config(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
        answer = subprocess.run(
            [docker, "compose", "--file", path, "config", "--format", "json"],
            env={**os.environ, **environ},
            capture_output=True,
            check=True,
        )
        return json.loads(answer.stdout)["services"]

    return config
