"""
What Compose itself says of a file.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

TIMEOUT_S = 20.0
"""It takes a tenth of a second; one that fetches what ``include`` names may take longer."""

NO_REFUSAL = (
    "is not a docker command",
    "unknown command: docker compose",
    "unknown shorthand",
    "unknown flag: --file",
)
"""What a docker command without the plugin says: that is nothing about the file."""


def refusal(path: Path, given: Mapping[str, str]) -> str | None:
    """
    Return why Compose refuses a file, in its own words; ``None`` if it does not, or is not there.

    Args:
        given: On its ``PATH`` the command is looked for. The rest is not handed on: a stranger's
            ``.env`` may be in it, with a library or a plugin to be run. Compose reads it itself.
    """
    docker = shutil.which("docker", path=given.get("PATH", ""))
    if docker is None:
        return None
    try:
        done = subprocess.run(
            [docker, "compose", "--file", path.name, "config", "--quiet"],
            cwd=path.resolve().parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = [line for line in done.stderr.splitlines() if "level=warning" not in line]
    if not done.returncode or any(text in done.stderr for text in NO_REFUSAL):
        return None
    return "\n".join(said).strip() or f"it ended with exit status {done.returncode}"
