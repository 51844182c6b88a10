"""
What is known of a server besides what it says: how it was started, on what, from which files.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from ..hub import record
from ..records import ServerStatus
from ..servers import gpu
from ..servers.base import Server
from ..urls import is_loopback
from .result import Fingerprint

PASSING = frozenset({"port", "WORKBENCH_PORT", "api_key"})
"""What a recipe has that no measurement depends on."""


def known_of(server: Server) -> Fingerprint | None:
    """Gather it of a server that this folder runs; ``None`` of one that others run."""
    status = server.status()
    if not is_loopback(server.base_url) or status.backend == "remote":
        return None
    recipe = server.recipe()
    root = next((model.root for model in status.models if model.root), None)
    return Fingerprint(
        model=status.models[0].name if status.models else "",
        base_url=server.base_url,
        model_revision=_revision(root),
        backend=status.backend,
        flags=_lasting(recipe) if recipe else None,
        image_digest=status.container.image_digest if status.container else None,
        card=card_of(status),
        driver=gpu.driver(),
    )


def card_of(status: ServerStatus) -> str | None:
    """Name the cards that the server may use; without one, the processor."""
    if status.gpus:
        return ", ".join(each.name for each in status.gpus)
    if status.container is not None and status.container.profile != "cpu":
        return None  # one that cannot be asked, as AMD's under WSL
    return processor()


def processor(root: Path = Path("/")) -> str:
    """Name this machine's processor and how many of its cores may be used."""
    try:
        lines = (root / "proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{next(iter(names), platform.machine())}, {len(os.sched_getaffinity(0))} cores"


def _lasting(recipe: dict[str, object]) -> dict[str, object]:
    return {
        name: _lasting(value) if isinstance(value, dict) else value
        for name, value in recipe.items()
        if name not in PASSING
    }


def _revision(root: str | None) -> str | None:
    """Read which commit of the hub a folder is; one that was not fetched has none."""
    found = record.read(Path(root)) if root else None
    return f"{found.repo}@{found.commit}" if found else None
