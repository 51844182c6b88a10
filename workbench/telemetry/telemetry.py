"""
The door of telemetry: ``emit`` in, ``frame`` out.

Recording never raises and never waits. Reading may raise a ``StoreError``, as
whoever reads wants to know.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ..records import Outcome
from .hashing import Hasher, load_or_make_key
from .record import TelemetryRecord, record_of
from .store import Store
from .writer import Writer

if TYPE_CHECKING:
    import pandas as pd

MAX_QUEUED = 10_000
FLUSH_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryStatus:
    """
    How recording is going in this process.

    Args:
        written: Rows that are in the file.

        queued: Rows that wait for it, a moment or until the disk is well again.

        dropped: Rows that are lost: too many waited, or one could not be stored.

        last_error: What went wrong last, kept after it went well again.
    """

    path: Path
    session: str
    written: int
    queued: int
    dropped: int
    last_error: str | None


class Telemetry:
    """
    Records the outcomes of one session.

    Nothing is opened or made on disk before the first outcome. What is queued
    when the interpreter exits is written first.

    Args:
        path: The database, usually ``.workbench/telemetry.db``. The key of its
            hashes lies beside it, with the ending ``.key``.

        session: Names the session in every row.

        user: Who asks; only a keyed hash is stored.

        backend: What runs the server. Assign to it when another is attached.

        base_url: For failures that don't know where they were sent. Assign as well.

        max_queued: How many outcomes may wait before further ones are dropped.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        session: str,
        user: str | None = None,
        backend: str | None = None,
        base_url: str | None = None,
        max_queued: int = MAX_QUEUED,
    ) -> None:
        self.path = Path(path).absolute()  # the notebook may change its folder later
        self.session = session
        self.backend = backend
        self.base_url = base_url
        self._recorder = _Recorder(self.path.with_suffix(".key"), session=session, user=user)
        self._writer = Writer(self.path, max_queued=max_queued)
        # The garbage collector must not wait for a disk; the writer's own exit hook does.
        weakref.finalize(self, self._writer.stop).atexit = False

    def emit(self, outcome: Outcome) -> None:
        """Record an outcome: microseconds for the caller, and never an exception."""
        # Backend and URL are taken now: the session may have switched when the thread gets to it.
        self._writer.put(partial(self._recorder, outcome, self.backend, self.base_url))

    def flush(self, timeout_s: float = FLUSH_TIMEOUT_S) -> bool:
        """
        Wait until everything emitted so far is in the file, or counted as dropped.

        Returns:
            Whether it is: false when time ran out or the file can't be written.
        """
        return self._writer.flush(timeout_s)

    def frame(
        self, *, last: int | None = None, since: datetime | timedelta | None = None
    ) -> pd.DataFrame:
        """
        Read rows of all sessions, oldest first; what was emitted before is in it.

        Columns and units are those of ``TelemetryRecord``, dtypes those of
        ``frames.frame_of``, arguments those of ``Store.frame``.

        Raises:
            StoreError: The file can't be read.
        """
        self.flush()
        with Store(self.path) as store:
            return store.frame(last=last, since=since)

    @property
    def dropped(self) -> int:
        """How many outcomes were lost."""
        return self._writer.dropped

    @property
    def last_error(self) -> str | None:
        """What went wrong last, or ``None``."""
        return self._writer.last_error

    def status(self) -> TelemetryStatus:
        """Say how recording is going; never raises."""
        return TelemetryStatus(
            path=self.path,
            session=self.session,
            written=self._writer.written,
            queued=self._writer.queued,
            dropped=self.dropped,
            last_error=self.last_error,
        )

    def close(self) -> None:
        """Write what is queued and end the thread. Closing twice is fine."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Recorder:
    """Makes records in the writer's thread; the key is read when the first one needs it."""

    def __init__(self, key_path: Path, *, session: str, user: str | None) -> None:
        self._key_path = key_path
        self._session = session
        self._user = user
        self._hasher: Hasher | None = None

    def __call__(
        self, outcome: Outcome, backend: str | None, base_url: str | None
    ) -> TelemetryRecord:
        if self._hasher is None:
            self._hasher = Hasher(load_or_make_key(self._key_path))
        return record_of(
            outcome,
            session=self._session,
            prompt_hash=self._hasher.prompt(outcome.messages),
            user_hash=None if self._user is None else self._hasher.user(self._user),
            backend=backend,
            base_url=base_url,
        )
