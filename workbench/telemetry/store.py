"""
The telemetry file. The only module that knows SQLite.

WAL, so that kernels read while others write; ``synchronous=NORMAL``, which may
lose the last rows when the power fails but never the file. A ``Store`` belongs
to the thread that made it. Whatever SQLite raises becomes a ``StoreError`` with
the path and the next thing to do.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from ..errors import StoreError
from .frames import frame_of
from .migrations import APPLICATION_ID, MIGRATIONS, Migration
from .reading import Chosen, read_columns
from .record import COLUMNS, TelemetryRecord, rfc3339

if TYPE_CHECKING:
    import pandas as pd

BUSY_TIMEOUT_S = 3.0
ALL = Chosen()

Execute: TypeAlias = Callable[..., sqlite3.Cursor]
_OPEN_RETRY_S = 0.01

# ON CONFLICT(id) and not OR IGNORE: that would swallow a missing value as well.
_INSERT = (
    f"INSERT INTO requests ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    "ON CONFLICT(id) DO NOTHING"
)
_MIGRATIONS_TABLE = (
    "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY NOT NULL, applied_at TEXT) STRICT"
)

# By primary result code (https://sqlite.org/rescode.html): what failed, what to do.
_TROUBLE = {
    sqlite3.SQLITE_NOTADB: (
        "is not a SQLite database",
        "Move it away: a new one is made at the next request.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "is damaged",
        "Move it away: a new one is made at the next request. `sqlite3 .recover` may save rows.",
    ),
    sqlite3.SQLITE_READONLY: ("is read-only", "Make the file and its folder writable for you."),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened",
        "Check that it is a file and that its folder is writable for you.",
    ),
    sqlite3.SQLITE_BUSY: (
        f"was locked by another program for {BUSY_TIMEOUT_S:g} s",
        "Close what holds it, a database browser for example.",
    ),
    sqlite3.SQLITE_FULL: ("cannot grow: the disk is full", "Free some space or delete the file."),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written",
        "Check the disk: its space, its quota, and that it is a local one.",
    ),
}
# What binding a value, or STRICT, raises; for some it depends on the Python version.
_MISFITS = (OverflowError, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.IntegrityError)
_PRIMARY_CODE = 0xFF  # The higher bits only refine it.


class Store:
    """
    An open telemetry file; made, with its folder, when there is none.

    Args:
        path: The database file. Other processes may open it at the same time,
            the very first time included.

    Raises:
        StoreError: The file is no database, another program's, or out of reach.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            try:
                self._prepare()
                self._file = _identity(path)
            except BaseException:
                self._connection.close()
                raise

    def append(self, records: Sequence[TelemetryRecord]) -> int:
        """
        Write rows in one transaction; those whose id is there already are left out.

        Returns:
            How many were new.

        Raises:
            StoreError: The file can't be written now. Trying again is safe.

            ValueError: A record holds what its column can't; none was written.
        """
        with self.transaction():
            return self.insert(records)

    def insert(self, records: Sequence[TelemetryRecord]) -> int:
        """Write rows as ``append`` does, inside a transaction that is open already."""
        try:
            return self._connection.executemany(_INSERT, map(_row, records)).rowcount
        except _MISFITS as error:
            raise ValueError(f"A record does not fit the table: {error}") from error

    def frame(self, chosen: Chosen = ALL) -> pd.DataFrame:
        """
        Read rows as a DataFrame, oldest first, with the columns of ``TelemetryRecord``.

        Raises:
            StoreError: The file can't be read.
        """
        return frame_of(read_columns(self, chosen))

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        with self._translated():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[Execute]:
        """Write all that is executed inside, or nothing; nobody else writes meanwhile."""
        with self._translated(), self._transaction():
            yield self._connection.execute

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Have all queries inside see the same moment."""
        with self._translated():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def __len__(self) -> int:
        return int(self.rows("SELECT count(*) FROM requests")[0][0])

    def size_bytes(self) -> int:
        """Return what the rows take, without the pages that deleted ones have left free."""
        pages, free, size = (
            int(self.rows(f"PRAGMA {name}")[0][0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def leave_checkpoints(self) -> None:
        """
        Have somebody else bring the log into the file.

        That waits for the disk (fsync), and who writes what must not be lost does not.
        """
        self.rows("PRAGMA wal_autocheckpoint = 0")

    def checkpoint(self) -> None:
        """Bring the log into the file, as far as no reader is in the way."""
        self.rows("PRAGMA wal_checkpoint(PASSIVE)")

    def is_current(self) -> bool:
        """Whether the path still leads to this file: anything in the folder may be deleted."""
        return _identity(self.path) == self._file

    def close(self) -> None:
        """Close the file. Closing twice is fine."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> None:
        self._refuse_foreign()
        deadline_s = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                # Turning WAL on does not wait for a lock as other statements do,
                # so two first openings at once need a second try.
                self._connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline_s:
                    raise
                time.sleep(_OPEN_RETRY_S)
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._migrate()

    def _migrate(self) -> None:
        # Looked at without a lock first: a file that is up to date can then be
        # read while another program holds it, or when it is read-only.
        if self._missing():
            with self._transaction():
                self._connection.execute(_MIGRATIONS_TABLE)
                for migration in self._missing():
                    migration(self._connection.execute)
                    self._connection.execute(
                        "INSERT INTO migrations VALUES (?, ?)",
                        (migration.__name__, rfc3339(datetime.now(UTC))),
                    )

    def _missing(self) -> list[Migration]:
        found = "SELECT count(*) FROM sqlite_master WHERE name = 'migrations'"
        if not self._connection.execute(found).fetchone()[0]:
            return list(MIGRATIONS)
        applied = {row[0] for row in self._connection.execute("SELECT name FROM migrations")}
        return [migration for migration in MIGRATIONS if migration.__name__ not in applied]

    def _refuse_foreign(self) -> None:
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        owner = self._connection.execute("PRAGMA application_id").fetchone()[0]
        if tables and owner != APPLICATION_ID:
            raise StoreError(
                f"{self.path} is another program's database.",
                hint="Choose another file for telemetry.",
                path=self.path,
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # A full disk has rolled back already.
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            what, hint = _TROUBLE.get(_code(error), (f"cannot be used: {error}", None))
            raise StoreError(f"{self.path} {what}.", hint=hint, path=self.path) from error
        except OSError as error:
            raise StoreError(
                f"The folder of {self.path} cannot be made: {error.strerror or error}.",
                hint="Check that its parents are folders and writable for you.",
                path=self.path,
            ) from error


_row = attrgetter(*COLUMNS)


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
