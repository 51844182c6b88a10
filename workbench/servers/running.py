"""
``server.json``: what was started, so that whoever comes later can find it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .processes import ProcessGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One started server: enough to find, judge and stop it."""

    group: ProcessGroup
    port: int
    served_model_names: tuple[str, ...]
    model_path: Path
    max_model_len: int
    log_path: Path
    tmp: Path
    started_at: datetime
    further_flags: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Running | None:
        """Read it; a file that is missing or torn means that nothing is known to run."""
        try:
            values: dict[str, Any] = json.loads(path.read_text())
            values["group"] = ProcessGroup(**values["group"])
            values["started_at"] = datetime.fromisoformat(values["started_at"])
            for name in ("served_model_names", "further_flags"):
                values[name] = tuple(values[name])
            for name in ("model_path", "log_path", "tmp"):
                values[name] = Path(values[name])
            return cls(**values)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, path: Path) -> None:
        """Replace the file in one step, so that a reader never sees half of it."""
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(json.dumps(asdict(self), default=str, indent=2) + "\n")
        fresh.replace(path)
