"""
One file from the hub onto the disk: goes on where it was cut, and is checked byte by byte.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from .. import units
from ..errors import DamagedFileError, HubUnreachableError
from .api import Hub, patiently
from .facts import HubFile
from .meter import Meter
from .record import Fetched, StoredFile

PARTS = ".parts"
"""Below the model's folder: vLLM looks at its first level only."""

READ_BYTES = 1 << 20


class Checksum:
    """The hashes of a file while it comes: the hub's for it, and the one that is recorded."""

    def __init__(self, file: HubFile) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        # Git's own, over a header and the content: what the hub has for its small files.
        self._blob = hashlib.sha1(f"blob {file.size_bytes}\0".encode(), usedforsecurity=False)

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._sha256.update(data)
        if self._file.sha256 is None:
            self._blob.update(data)

    @property
    def sha256(self) -> str:
        """What is recorded."""
        return self._sha256.hexdigest()

    @property
    def mismatch(self) -> tuple[str, str] | None:
        """Name the expected and the real hash where they differ."""
        expected, real = self._file.sha256, self.sha256
        if expected is None:
            expected, real = self._file.blob_id, self._blob.hexdigest()
        return None if expected is None or expected == real else (expected, real)


def stored(folder: Path, file: HubFile) -> StoredFile | None:
    """Read what lies there under the file's name; ``None`` if it has another content."""
    path = folder / file.name
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return None
    checksum = Checksum(file)
    _read_into(checksum, path)
    return None if checksum.mismatch else _as_stored(folder, file, checksum)


def damaged(found: Fetched) -> tuple[StoredFile, ...]:
    """Read all files of a model, and name those that are not what they were."""
    return tuple(file for file in found.files if _sha256(found.folder / file.name) != file.sha256)


def _sha256(path: Path) -> str:
    if not path.is_file():
        return "not here"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Part:
    """
    A file that is coming: its bytes so far, and the hash of them.

    It lies under the name of its content, so that another revision's is not taken for it.
    """

    def __init__(self, folder: Path, file: HubFile) -> None:
        self.name = file.name
        self.path = folder / PARTS / file.key
        self._file = file
        self.checksum = Checksum(file)

    @property
    def size_bytes(self) -> int:
        """What is here of it."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are here; whether they are the right ones is another question."""
        return self.path.exists() and self.size_bytes >= self._file.size_bytes

    def take_up(self) -> int:
        """Read what an earlier fetch left, and return how much that is."""
        self.path.parent.mkdir(exist_ok=True)
        if self.path.exists():
            _read_into(self.checksum, self.path)
        return self.size_bytes

    def drop(self) -> int:
        """Begin anew, and return how much is lost."""
        lost = self.size_bytes
        self.path.unlink(missing_ok=True)
        self.checksum = Checksum(self._file)
        return lost

    def place(self, folder: Path) -> StoredFile:
        """Move it to where it belongs."""
        target = folder / self._file.name
        target.parent.mkdir(exist_ok=True)
        self.path.replace(target)
        return _as_stored(folder, self._file, self.checksum)

    def append(self, pieces: Iterable[bytes], on_bytes: Callable[[int], None]) -> None:
        """Add what comes, as it comes."""
        with self.path.open("ab", buffering=0) as part:
            for piece in pieces:
                part.write(piece)
                self.checksum.update(piece)
                on_bytes(len(piece))
            os.fsync(part.fileno())


def download(hub: Hub, commit: str, file: HubFile, folder: Path, meter: Meter) -> Part:
    """
    Fetch a file, or the rest of it if a part is here, and check it; its place it gets later.

    Raises:
        DamagedFileError: It came twice with another checksum than the hub's.

        HubUnreachableError: No more comes; the part is kept.
    """
    meter.begin(file.name, file.size_bytes)
    part = Part(folder, file)
    meter.here(part.take_up())
    _complete(hub, commit, file, part, meter)
    if part.checksum.mismatch:
        meter.say(f"{file.name} came damaged, once more")
        meter.here(-part.drop())
        _complete(hub, commit, file, part, meter)
    if part.checksum.mismatch:
        raise _damaged(hub, file, *part.checksum.mismatch)
    return part


def _complete(hub: Hub, commit: str, file: HubFile, part: Part, meter: Meter) -> None:
    """Fetch until all bytes are here; an attempt that brought some is none that failed."""

    def attempt() -> None:
        before = part.size_bytes
        try:
            _append(hub, commit, file, part, meter)
        except HubUnreachableError:
            if part.size_bytes == before:
                raise

    def on_wait(exc: HubUnreachableError, wait_s: float) -> None:
        status = f" (HTTP {exc.status_code})" if exc.status_code else ""
        meter.say(f"the hub does not answer{status}, again in {units.seconds(wait_s)}")

    while not part.is_whole:
        patiently(attempt, on_wait=on_wait)


def _append(hub: Hub, commit: str, file: HubFile, part: Part, meter: Meter) -> None:
    begin = part.size_bytes
    with hub.opened(commit, file.name, first_byte=begin) as response:
        if begin and response.status_code != 206:
            meter.here(-part.drop())  # all of it comes: the server knows no ranges
        part.append(response.iter_bytes(), meter.come)


def _damaged(hub: Hub, file: HubFile, expected: str, real: str) -> DamagedFileError:
    return DamagedFileError(
        f"{file.name} of {hub.repo} came twice with another content: its hash is {real[:12]}…, "
        f"and the hub's {expected[:12]}….",
        hint="Something between here and the hub changes files: look at the proxy.",
        repo=hub.repo,
        file=file.name,
    )


def _read_into(checksum: Checksum, path: Path) -> None:
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            checksum.update(piece)


def _as_stored(folder: Path, file: HubFile, checksum: Checksum) -> StoredFile:
    return StoredFile(
        name=file.name,
        size_bytes=file.size_bytes,
        key=file.key,
        sha256=checksum.sha256,
        mtime_ns=(folder / file.name).stat().st_mtime_ns,
    )
