"""
A file with a secret that is made once, by whoever comes first, and read by everyone after.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """
    Read the secret, making it first when there is none: mode 0600, whole or not at all.

    Safe in several processes and threads at once; all get the same secret.

    Raises:
        OSError: The file can't be made or read.
    """
    with suppress(FileNotFoundError):
        return path.read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write_new(scratch, make())
        _publish(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    return path.read_bytes()


def api_key(folder: Path) -> str:
    """Return the key of the servers that are started from *folder*, made at the first use."""

    def fresh() -> bytes:
        return f"wb-{secrets.token_urlsafe(32)}\n".encode()

    return read_or_make(folder / "api-key", fresh).decode().strip()


def _publish(scratch: Path, path: Path) -> None:
    try:
        # A link appears with its content or not at all and never replaces: whoever
        # comes second reads the first one's secret.
        os.link(scratch, path)
    except FileExistsError:
        pass
    except OSError:
        # exFAT and some network drives have no hard links. Renaming replaces, so
        # two processes that both get here at once, there, have different secrets.
        if not path.exists():
            scratch.rename(path)


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
