"""
Sink ``jsonl``: a line for each record in the file ``WORKBENCH_TELEMETRY_JSONL``.

Several processes may write to one file: whoever writes holds ``FILE.lock``. A
file that has grown too large becomes ``FILE.1``, that one ``FILE.2``, and the
oldest is deleted. A file can't be asked for an id, so records that come again
are looked for among the last ones only: that is where a repeat after a crash is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from ...errors import SinkError
from ...filelock import only_one
from ...settings import Settings
from ..record import TelemetryRecord
from .base import Sink
from .document import compact, document_of

NAME = "jsonl"
MAX_BYTES = 64 * 2**20
KEPT = 5
TAIL_BYTES = 4 * 2**20
"""More than two batches of the largest records."""

MANY = 10_000
"""So many ids are remembered before the oldest are forgotten."""


def is_on(settings: Settings) -> bool:
    """Tell whether a setting asks for it."""
    return settings.telemetry_jsonl is not None


def open_sink(settings: Settings) -> Sink:
    """Make the sink that the settings describe; nothing is made on disk yet."""
    assert settings.telemetry_jsonl is not None  # is_on
    return JsonlSink(settings.telemetry_jsonl)


class JsonlSink:
    """
    Appends to *path*.

    Args:
        max_bytes: A file that would grow beyond it is put aside first.

        kept: How many files are kept besides.
    """

    name = NAME
    max_batch = 500

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.kept = kept
        self._recent: set[str] = set()
        self._left: tuple[int, int] | None = None  # the file as this sink left it

    def send(self, records: Sequence[TelemetryRecord]) -> None:
        """Append those that are not there yet, as whole lines, and have the disk keep them."""
        try:
            with only_one(self.path.with_name(f"{self.path.name}.lock")):
                self._append(records)
        except OSError as exc:
            raise SinkError(
                f"{self.path} cannot be written: {exc.strerror or exc}.",
                hint="Make room for it, or name another file: WORKBENCH_TELEMETRY_JSONL.",
                sink=self.name,
            ) from exc

    def close(self) -> None:
        """Do nothing: the file is closed after each batch."""

    def _append(self, records: Sequence[TelemetryRecord]) -> None:
        if self._state() != self._left:
            self._recent = _ids_in(self._numbered(1)) | _ids_in(self.path)
        fresh = {each.id: each for each in records if each.id not in self._recent}
        lines = b"".join(compact(document_of(each)) + b"\n" for each in fresh.values())
        if lines:
            self._rotate_for(len(lines))
            _append_whole(self.path, lines)
        before = self._recent if len(self._recent) < MANY else set()
        self._recent = before | {each.id for each in records}
        self._left = self._state()

    def _state(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size

    def _rotate_for(self, more_bytes: int) -> None:
        size = self.path.stat().st_size if self.path.exists() else 0
        if size == 0 or size + more_bytes <= self.max_bytes:
            return
        self._numbered(self.kept).unlink(missing_ok=True)
        for number in range(self.kept - 1, 0, -1):
            if self._numbered(number).exists():
                self._numbered(number).rename(self._numbered(number + 1))
        self.path.rename(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def _append_whole(path: Path, lines: bytes) -> None:
    """Write all of *lines* or nothing."""
    # O_APPEND, so that another program that writes there too loses nothing.
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        before = os.fstat(descriptor).st_size
        if before and os.pread(descriptor, 1, before - 1) != b"\n":
            lines = b"\n" + lines  # a power failure has cut the last line
        try:
            _write_all(descriptor, lines)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:  # a disk that is nearly full takes a part
        rest = rest[os.write(descriptor, rest) :]


def _ids_in(path: Path) -> set[str]:
    """Return the ids of the last records of a file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return set()
    return {found for line in lines if (found := _id_of(line))}


def _id_of(line: bytes) -> str | None:
    try:
        value = json.loads(line)
    except ValueError:  # cut, or the first one of what was read
        return None
    return str(value.get("id")) if isinstance(value, dict) else None
