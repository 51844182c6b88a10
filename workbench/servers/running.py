"""
``server.json``: what was started, so that whoever comes later can find it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .command import ServeSpec
from .processes import ProcessGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One started server: enough to find, judge and stop it, and to start its like again."""

    group: ProcessGroup
    spec: ServeSpec
    log_path: Path
    tmp: Path
    started_at: datetime

    @classmethod
    def read(cls, path: Path) -> Running | None:
        """Read it; a file that is missing or torn means that nothing is known to run."""
        try:
            values: dict[str, Any] = json.loads(path.read_text())
            return cls(
                group=ProcessGroup(**values["group"]),
                spec=ServeSpec.of_json(values["spec"]),
                log_path=Path(values["log_path"]),
                tmp=Path(values["tmp"]),
                started_at=datetime.fromisoformat(values["started_at"]),
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, path: Path) -> None:
        """Replace the file in one step, so that a reader never sees half of it."""
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(json.dumps(asdict(self), default=str, indent=2) + "\n")
        fresh.replace(path)
