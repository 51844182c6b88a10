"""
What later commands in a folder mean without naming it: the server that was started, and the
model that was switched to. Two files of the state folder, which the settings read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .setting_values import BACKENDS, Backend

if TYPE_CHECKING:
    from .settings import Settings

BACKEND = "backend"
"""The file that says which server was started last."""

USED = "used.json"
"""The file that says, for each backend, which model `use` chose last."""


def remember_backend(settings: Settings) -> None:
    """
    Have later commands in this folder mean the server that was started, without naming it again.

    The embedded one is what is meant anyway, and a remote one is nobody's to remember.
    """
    path = settings.state_dir / BACKEND
    if settings.backend == "compose":
        path.write_text("compose\n")
    elif settings.backend == "embedded":
        path.unlink(missing_ok=True)


def forget_backend(settings: Settings) -> None:
    """Take back :func:`remember_backend`: the server was stopped."""
    (settings.state_dir / BACKEND).unlink(missing_ok=True)


def remember_model(settings: Settings, name: str) -> None:
    """
    Have later commands in this folder mean the model that ``use`` switched to.

    It is the last thing that was said, so it counts more than ``.env``; an argument
    and the environment of one command count more still.
    """
    path = settings.state_dir / USED
    chosen = {**models(settings.state_dir), settings.backend: name}
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(chosen) + "\n")
    fresh.replace(path)


def models(state_dir: Path) -> dict[str, str]:
    """Read the model that was chosen last for each backend."""
    try:
        chosen = json.loads((state_dir / USED).read_text())
    except (OSError, ValueError):
        return {}
    known = chosen.items() if isinstance(chosen, dict) else ()
    return {each: name for each, name in known if isinstance(name, str)}


def backend(state_dir: Path) -> Backend | None:
    """Read which server was started last, if it was not stopped since."""
    try:
        text = (state_dir / BACKEND).read_text().strip()
    except OSError:
        return None
    return text if text in BACKENDS else None
