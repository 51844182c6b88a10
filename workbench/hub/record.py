"""
What lies in a model's folder of a fetch: ``fetched.json``, and what is told of it.

The file is there from the first moment of a fetch, so that the folder is known to be the
workbench's; ``fetched_at`` is filled in when all is whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .facts import HubFile

FILE = "fetched.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """
    A file of the hub, as it lies in the folder.

    Args:
        sha256: Of every file; ``None`` until it is here.

        mtime_ns: When it was written; a file with this time and this size is not read again.
    """

    name: str
    size_bytes: int
    key: str
    sha256: str | None = None
    mtime_ns: int | None = None

    def is_untouched(self, folder: Path) -> bool:
        """Whether it lies there as it was left."""
        try:
            found = (folder / self.name).stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size_bytes, self.mtime_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """
    A model that was fetched, or is being fetched.

    Args:
        revision: What was asked for; the commit is what that was at the time.

        fetched_at: ``None`` while something is missing.

        come_bytes: What this fetch brought over the network.

        mended: Files that were here with another content, and were fetched again.
    """

    repo: str
    folder: Path
    revision: str
    commit: str
    files: tuple[StoredFile, ...]
    fetched_at: datetime | None = None
    come_bytes: int = 0
    mended: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def is_whole(self) -> bool:
        """Whether all files are here as they were left."""
        untouched = all(file.is_untouched(self.folder) for file in self.files)
        return self.fetched_at is not None and untouched

    @property
    def missing(self) -> tuple[StoredFile, ...]:
        """What is not here, or not as it was left."""
        return tuple(file for file in self.files if not file.is_untouched(self.folder))

    def file(self, wanted: HubFile) -> StoredFile | None:
        """Find what is known of this content."""
        known = (wanted.name, wanted.key)
        return next((file for file in self.files if (file.name, file.key) == known), None)


def read(folder: Path) -> Fetched | None:
    """Read what a fetch left in *folder*; ``None``: nothing, or nothing that can be read."""
    try:
        said = json.loads((folder / FILE).read_text())
        return _from(said, folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(found: Fetched) -> None:
    """Write it, whole or not at all."""
    said = asdict(found) | {"fetched_at": found.fetched_at and found.fetched_at.isoformat()}
    for name in ("folder", "come_bytes", "mended"):
        del said[name]
    scratch = found.folder / f".{FILE}"
    scratch.write_text(json.dumps(said, indent=2) + "\n")
    scratch.replace(found.folder / FILE)


def _from(said: Mapping[str, Any], folder: Path) -> Fetched:
    at = said["fetched_at"]
    return Fetched(
        repo=said["repo"],
        folder=folder,
        revision=said["revision"],
        commit=said["commit"],
        files=tuple(StoredFile(**file) for file in said["files"]),
        fetched_at=at and datetime.fromisoformat(at),
    )
