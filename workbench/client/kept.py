"""
Answers kept in a file, so that a batch that died goes on where it was.

One JSON object a line, the first says what the file is. A line is written at
once and whole or torn; a torn last one is dropped. Knows lines, their keys and
who answered only: what an answer is, is the batch's business.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from ..errors import ConfigError
from ..records import fields_of

HEADER = b'{"file": "answers of workbench map", "version": 1}\n'

HINT_OTHER = "Name a new file, or one that map has made."
HINT_BUSY = "Wait for it, or name another file."
HINT_PATH = "Name a file that you may read and write."

# Some network drives know no locks; there two batches on one file ask twice.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


class KeptAnswers:
    """
    The answers in one file; a context manager that holds it for one batch.

    Flushed to the system with every answer: the end of this process loses
    none, a power cut the last few.

    Args:
        base_url: Of the server that answers. What others have answered stays in
            the file and is passed over, except in lines of a time when the server
            was not written down: the batch took those then, and goes on with them.

    Raises:
        ConfigError: It cannot be opened or written, something else is in it,
            or another batch is writing to it.
    """

    def __init__(self, path: str | os.PathLike[str], *, base_url: str) -> None:
        self.path = Path(path)
        self._base_url = base_url
        self._lines: dict[str, list[bytes]] = {}
        with _translated(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self.path.open("a+b")
        try:
            with _translated(self.path):
                self._lock()
                self._read()
        except BaseException:
            self._file.close()
            raise

    def take(self, key: str) -> dict[str, Any] | None:
        """Return an answer with this *key* that was not taken yet, if there is one."""
        lines = self._lines.get(key)
        answer: dict[str, Any] | None = json.loads(lines.pop(0)) if lines else None
        return answer

    def add(self, key: str, answer: Mapping[str, Any]) -> None:
        """Write an answer, or with its ``error_type`` that there was none."""
        # ASCII, because a model can end inside a surrogate pair, which UTF-8 refuses.
        whole = {"key": key, "base_url": self._base_url, **answer}
        line = json.dumps(whole, default=fields_of).encode("ascii") + b"\n"
        with _translated(self.path):
            self._file.write(line)
            self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise _refused(f"Another batch is writing to {self.path}.", HINT_BUSY) from exc
        except OSError as exc:
            if exc.errno not in _NO_LOCKS:
                raise

    def _read(self) -> None:
        """Index what is there by key, and cut off a torn end."""
        self._file.seek(0)
        head = self._file.read(len(HEADER))
        if head != HEADER:
            if not HEADER.startswith(head):
                raise _refused(f"{self.path} holds something else than answers of map.", HINT_OTHER)
            self._file.truncate(0)  # new, or torn in its first line
            self._file.write(HEADER)
            self._file.flush()
        end = len(HEADER)
        for line in self._file:
            if not line.endswith(b"\n"):
                self._file.truncate(end)
                break
            end += len(line)
            if (key := _key_of_good(line, self._base_url)) is not None:
                self._lines.setdefault(key, []).append(line)


def key_of(question: Mapping[str, object]) -> str:
    """
    Return the SHA-256 of all that an answer depends on.

    Raises:
        TypeError: There is something in it that JSON has no form for.
    """
    text = json.dumps(question, default=fields_of, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _key_of_good(line: bytes, base_url: str) -> str | None:
    try:
        answer = json.loads(line)
    except ValueError:  # damaged by something else than us: asked again
        return None
    if not isinstance(answer, dict) or answer.get("error_type") is not None:
        return None
    if answer.get("base_url", base_url) != base_url:
        return None
    key = answer.get("key")
    return key if isinstance(key, str) and isinstance(answer.get("text"), str) else None


def _refused(message: str, hint: str) -> ConfigError:
    return ConfigError(message, hint=hint, key="keep", source="argument")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise _refused(f"{path} cannot be used: {exc.strerror or exc}.", HINT_PATH) from exc
