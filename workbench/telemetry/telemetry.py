"""
The door of telemetry: ``emit`` in, ``frame`` out, and on to the sinks.

Recording never raises and never waits. Reading may raise a ``StoreError``, as
whoever reads wants to know.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ..records import Outcome
from .contents import NO_CONTENTS, Contents
from .destinations import Destinations
from .dispatcher import Dispatcher
from .export import write
from .hashing import Hasher, PlainHasher
from .keeper import Keeper
from .outbox import Outbox, SinkStatus, last_seq, record_from
from .reading import Chosen
from .record import COLUMNS, NO_TAGS, TelemetryRecord
from .recorder import Recorder
from .retention import Retention
from .store import Store
from .writer import Writer, no_sinks

if TYPE_CHECKING:
    import pandas as pd

MAX_QUEUED = 10_000
FLUSH_TIMEOUT_S = 5.0
DELIVER_TIMEOUT_S = 30.0
LOOK_S = 0.2
"""How often a tail looks for rows; other kernels write them too."""

KEEP_SENSIBLY = Retention()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """
    What is in the file, whoever wrote it, and how far the sinks are.

    Args:
        size_bytes: Of the rows and their indexes.

        first, last: When the first and the last request was sent, RFC 3339.

        sinks: All that were ever turned on.
    """

    path: Path
    rows: int
    size_bytes: int
    first: str | None
    last: str | None
    sinks: tuple[SinkStatus, ...]


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

        tags: Names and values for every row. Assign to it to change them.

        plain_hash: Hash prompts by SHA-256 alone, so that other programs come to the
            same; whoever has the file can then confirm a guess.

        contents: Whether prompts and answers are kept, and how they are redacted.

        retention: When rows are deleted.

        destinations: Where rows are sent to.
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
        tags: Mapping[str, str] = NO_TAGS,
        plain_hash: bool = False,
        contents: Contents = NO_CONTENTS,
        retention: Retention = KEEP_SENSIBLY,
        destinations: Destinations | None = None,
    ) -> None:
        self.path = Path(path).absolute()  # the notebook may change its folder later
        self.session = session
        self.backend = backend
        self.base_url = base_url
        self.tags = tags
        self._recorder = Recorder(
            self.path.with_suffix(".key"),
            session=session,
            user=user,
            hasher=PlainHasher if plain_hash else Hasher,
            contents=contents,
        )
        self._sink_names = destinations.names if destinations else no_sinks
        # Before the writer: what is registered first is called last at exit.
        self._dispatcher = Dispatcher(self.path, destinations) if destinations else None
        self._behind = _Behind(Keeper(self.path, retention), self._dispatcher)
        self._writer = Writer(
            self.path,
            max_queued=max_queued,
            on_written=self._behind.written,
            sink_names=self._sink_names,
        )
        # The garbage collector must not wait for a disk; the writer's own exit hook does.
        weakref.finalize(self, _stop, self._writer, self._behind).atexit = False

    def emit(self, outcome: Outcome) -> None:
        """Record an outcome: microseconds for the caller, and never an exception."""
        # Backend and URL are taken now: the session may have switched when the thread gets to it.
        self._writer.put(partial(self._recorder, outcome, self.backend, self.base_url, self.tags))

    def keep(self, records: Sequence[TelemetryRecord]) -> int:
        """
        Write records that were made elsewhere, before this returns, and have them sent on.

        Returns:
            How many were new: one that is there already is there once.

        Raises:
            StoreError: The file can't be written now. Trying again is safe.

            ValueError: A record holds what its column can't; none was written.
        """
        with Store(self.path) as store:
            new = Outbox(store).append(records, self._sink_names())
        self._behind.written(new)
        return new

    def start_sending(self) -> None:
        """
        Send what earlier processes have left, without waiting for a first row.

        Only who is there for sending needs it: the first row starts it as well.
        """
        if self._dispatcher:
            self._dispatcher.start()

    def flush(self, timeout_s: float = FLUSH_TIMEOUT_S) -> bool:
        """
        Wait until everything emitted so far is in the file, or counted as dropped.

        Returns:
            Whether it is: false when time ran out or the file can't be written.
        """
        return self._writer.flush(timeout_s)

    def frame(
        self,
        *,
        last: int | None = None,
        since: datetime | timedelta | None = None,
        model: str | None = None,
        status: str | None = None,
    ) -> pd.DataFrame:
        """
        Read rows of all sessions, oldest first; what was emitted before is in it.

        Columns and units are those of ``TelemetryRecord``, dtypes those of
        ``frames.frame_of``, arguments those of ``reading.Chosen``.

        Raises:
            StoreError: The file can't be read.
        """
        self.flush()
        with Store(self.path) as store:
            return store.frame(Chosen(last=last, since=since, model=model, status=status))

    def tail(self, *, last: int = 0, follow: bool = True) -> Iterator[TelemetryRecord]:
        """
        Yield the latest records, and then those that come, without end, unless told not to.

        Raises:
            StoreError: The file can't be read.
        """
        self.flush()
        with Store(self.path) as store:
            seq = max(0, last_seq(store) - last)
            query = f"SELECT seq, {', '.join(COLUMNS)} FROM requests WHERE seq > ? ORDER BY seq"
            while True:
                for row in store.rows(query, (seq,)):
                    seq = row[0]
                    yield record_from(row[1:])
                if not follow:
                    return
                time.sleep(LOOK_S)

    def export(self, path: Path, chosen: Chosen = Chosen()) -> int:  # noqa: B008  it is frozen
        """
        Write rows into a file, whose ending says how: ``.jsonl``, ``.csv``, ``.parquet``.

        Returns:
            How many rows are in it.

        Raises:
            ConfigError: It has another ending.

            MissingDependencyError: For Parquet pyarrow is needed.

            StoreError: The telemetry file can't be read.
        """
        self.flush()
        with Store(self.path) as store:
            return write(store, path, chosen)

    def deliver(self, timeout_s: float = DELIVER_TIMEOUT_S, *, from_start: bool = False) -> bool:
        """
        Have the sinks sent everything that was emitted, and wait for it.

        Args:
            from_start: Send all rows that are in the file.

        Returns:
            Whether every sink has had everything.

        Raises:
            WorkbenchError: The sinks cannot be opened, or the file not be read.
        """
        written = self.flush()
        if self._dispatcher is None:
            return written
        return self._dispatcher.deliver(timeout_s, from_start=from_start) and written

    def stored(self) -> StoreStatus:
        """
        Say what is in the file, and how far the sinks are.

        Raises:
            StoreError: The file can't be read.
        """
        self.flush()
        with Store(self.path) as store:
            first, last = store.rows("SELECT min(timestamp), max(timestamp) FROM requests")[0]
            return StoreStatus(
                path=self.path,
                rows=len(store),
                size_bytes=store.size_bytes(),
                first=first,
                last=last,
                sinks=self._with_own_errors(Outbox(store).statuses()),
            )

    @property
    def dropped(self) -> int:
        """How many outcomes were lost."""
        return self._writer.dropped

    @property
    def last_error(self) -> str | None:
        """What went wrong last, or ``None``."""
        errors = (self._writer.last_error, self._recorder.last_error, self._behind.last_error)
        return next((error for error in errors if error), None)

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
        """
        Write what is queued, send it to the sinks that are well, and end the threads.

        A sink that is slow is waited for up to two seconds; what it has not had then
        waits for the next process. Closing twice is fine.
        """
        self._writer.close()
        self._behind.close()

    def _with_own_errors(self, sinks: tuple[SinkStatus, ...]) -> tuple[SinkStatus, ...]:
        """Add what a courier could not write down, because the file is what is wrong."""
        couriers = self._dispatcher.couriers if self._dispatcher else ()
        own = {courier.sink.name: courier.last_error for courier in couriers}
        return tuple(
            replace(each, last_error=own.get(each.name) or each.last_error) for each in sinks
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Behind:
    """What comes after the writer: who looks after the file, and who sends rows on."""

    def __init__(self, keeper: Keeper, dispatcher: Dispatcher | None) -> None:
        self._keeper = keeper
        self._dispatcher = dispatcher

    def written(self, rows: int) -> None:
        """Hear that rows were written; see ``Writer``."""
        self._keeper.written(rows)
        if self._dispatcher:
            self._dispatcher.start()
            self._dispatcher.wake()

    @property
    def last_error(self) -> str | None:
        opening = self._dispatcher.last_error if self._dispatcher else None
        return str(opening) if opening else self._keeper.last_error

    def stop(self) -> None:
        self._keeper.stop()
        if self._dispatcher:
            self._dispatcher.stop()

    def close(self) -> None:
        self._keeper.close()
        if self._dispatcher:
            self._dispatcher.close()


def _stop(writer: Writer, behind: _Behind) -> None:
    writer.stop()
    behind.stop()
