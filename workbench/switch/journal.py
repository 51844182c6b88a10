"""
``switch.json``: how far a switch is, for whoever comes after one that was killed.

Whoever switches holds a lock, which the kernel takes back when its process
dies: a journal that nobody holds is of a switch that was cut off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..filelock import is_held, only_one
from ..servers.base import Recipe


class Stage(StrEnum):
    """What may run by now: the old one; the old, the new or nothing; the old again, or nothing."""

    DRAIN = "drain"
    REPLACE = "replace"
    BACK = "back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Underway:
    """
    A switch that has begun and not ended.

    Args:
        arguments: The settings of the session that it switches to.

        before: What ran, to be brought back if it fails; ``None``: nothing did.

        name: What that was called.
    """

    model: str
    arguments: Mapping[str, Any]
    before: Recipe | None
    name: str | None
    stage: Stage
    at: datetime


class Journal:
    """
    The journal of one state folder.

    Looking at it costs microseconds while there is none, because every request does.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "switch.json"
        self._lock = state_dir / "switch.lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one who switches here; whoever comes second waits."""
        with only_one(self._lock):
            yield

    def begin(self, underway: Underway) -> None:
        """Say what is about to be done. Only for who holds it."""
        self._write(underway)

    def note(self, stage: Stage) -> None:
        """Say how far it is, before it goes there."""
        if underway := self.read():
            self._write(replace(underway, stage=stage))

    def end(self) -> None:
        """The switch is over, either way."""
        self._path.unlink(missing_ok=True)

    def is_there(self) -> bool:
        """Tell whether a switch is under way or was cut off, readable or not."""
        return self._path.exists()

    def read(self) -> Underway | None:
        """Read what is under way or was cut off; ``None``: nothing, or nothing readable."""
        try:
            values: dict[str, Any] = json.loads(self._path.read_text())
            values["stage"] = Stage(values["stage"])
            values["at"] = datetime.fromisoformat(values["at"])
            return Underway(**values)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def going_on(self) -> Underway | None:
        """Read the switch that somebody is at work on now."""
        return self.read() if self._path.exists() and is_held(self._lock) else None

    def cut_off(self) -> Underway | None:
        """Read the switch that was killed before its end."""
        return None if not self._path.exists() or is_held(self._lock) else self.read()

    def _write(self, underway: Underway) -> None:
        fresh = self._path.with_name(f".{self._path.name}.new")
        # Extra arguments of a server are in it, and may be anything.
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(underway), file, default=str, indent=2)
        fresh.replace(self._path)


def now() -> datetime:
    """Return the time that a switch begins at."""
    return datetime.now(UTC)
