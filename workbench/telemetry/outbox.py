"""
What each sink has had: a cursor on ``seq``, counts, and which records it refused.

``seq`` grows in the order in which rows were written, whatever their times say,
so what lies behind a cursor is what is still to be sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from .record import COLUMNS, TelemetryRecord, rfc3339

if TYPE_CHECKING:
    from .store import Execute, Store

LIVE_FOR = timedelta(days=7)
"""A sink that nobody has turned on for so long holds no row back from its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkStatus:
    """
    How far a sink is.

    Args:
        cursor: ``seq`` of the last row that is done with.

        sent: Records it has accepted, over all processes.

        waiting: Rows that it has not had.

        rejected: Records that it will never accept; those that are known by id stand in the
            table ``rejected``, with the reason.

        lost: Rows that were deleted before it had them, by age or size.

        failing_since: When the first of the failures since its last success was;
            ``None``: it is well.

        last_error: What went wrong last, kept after it went well again.

        retry_at: When it is tried again.

        permanent: Somebody has to correct something first.
    """

    name: str
    cursor: int
    sent: int
    waiting: int
    rejected: int
    lost: int
    last_sent_at: str | None
    failing_since: str | None
    last_error: str | None
    retry_at: str | None
    permanent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    What a sink has done with the rows that it was sent.

    Args:
        up_to: ``seq`` of the last row that it is done with.

        count: Records that it took.

        num_rejected: Records that it never will take.

        rejected: The reason by id, where these are known.

        said: What it said of them.
    """

    up_to: int
    count: int
    num_rejected: int = 0
    rejected: Mapping[str, str] = field(default_factory=dict)
    said: str | None = None


class Outbox:
    """The outbox of one telemetry file."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, records: Sequence[TelemetryRecord], sinks: Sequence[str]) -> int:
        """
        Write rows, as ``Store.append`` does, and know these sinks from then on.

        One that was never turned on before is due these rows and none of those before.
        """
        with self._store.transaction() as execute:
            for sink in sinks:
                self._admit(execute, sink)
            return self._store.insert(records)

    def admit(self, sink: str) -> None:
        """Know a sink from now on: a new one is due the rows that come."""
        with self._store.transaction() as execute:
            self._admit(execute, sink)

    def waiting(
        self, sink: str, limit: int, *, without: Collection[str] = ()
    ) -> list[tuple[int, TelemetryRecord]]:
        """
        Return the next rows for a sink, each with its ``seq``.

        Args:
            without: Ids to pass over.
        """
        rows = self._store.rows(
            f"SELECT seq, {', '.join(COLUMNS)} FROM requests "
            "WHERE seq > (SELECT cursor FROM sinks WHERE name = ?) ORDER BY seq LIMIT ?",
            (sink, limit + len(without)),
        )
        found = ((row[0], record_from(row[1:])) for row in rows)
        return [(seq, record) for seq, record in found if record.id not in without][:limit]

    def done(self, sink: str, progress: Progress) -> None:
        """Note how far a sink has come."""
        with self._store.transaction() as execute:
            execute(
                "UPDATE sinks SET cursor = max(cursor, ?), sent = sent + ?, "
                "rejected = rejected + ?, last_error = ifnull(?, last_error), last_sent_at = ?, "
                "seen_at = ?, failing_since = NULL, retry_at = NULL, permanent = 0 WHERE name = ?",
                (
                    *(progress.up_to, progress.count, progress.num_rejected, progress.said),
                    *(_now(), _now(), sink),
                ),
            )
            for id_, reason in progress.rejected.items():
                execute(
                    "INSERT INTO rejected VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (sink, id_, _now(), reason),
                )

    def failed(self, sink: str, error: str, *, retry_at: datetime, permanent: bool) -> None:
        """Note that a sink did not accept what it was sent."""
        self._note(
            sink,
            "failing_since = ifnull(failing_since, ?), last_error = ?, retry_at = ?, "
            "permanent = ?, seen_at = ?",
            (_now(), error, rfc3339(retry_at), int(permanent), _now()),
        )

    def rewind(self, sink: str) -> None:
        """Have a sink sent everything that is there, from the first row, also what it refused."""
        with self._store.transaction() as execute:
            execute("DELETE FROM rejected WHERE sink = ?", (sink,))
            execute("UPDATE sinks SET cursor = 0, rejected = 0 WHERE name = ?", (sink,))

    def statuses(self) -> tuple[SinkStatus, ...]:
        """Return how far every sink is that was ever turned on."""
        names = "name, cursor, sent, rejected, lost, last_sent_at, failing_since, last_error"
        query = f"SELECT {names}, retry_at, permanent, {_WAITING} FROM sinks ORDER BY name"
        fields = [*names.split(", "), "retry_at", "permanent", "waiting"]
        found = [
            SinkStatus(**dict(zip(fields, row, strict=True))) for row in self._store.rows(query)
        ]
        return tuple(replace(each, permanent=bool(each.permanent)) for each in found)

    def _admit(self, execute: Execute, sink: str) -> None:
        execute(
            "INSERT INTO sinks (name, cursor, seen_at) VALUES (?, ?, ?) "
            "ON CONFLICT(name) DO UPDATE SET seen_at = excluded.seen_at",
            (sink, last_seq(self._store), _now()),
        )

    def _note(self, sink: str, changes: str, values: tuple[Any, ...]) -> None:
        with self._store.transaction() as execute:
            execute(f"UPDATE sinks SET {changes} WHERE name = ?", (*values, sink))


_WAITING = "(SELECT count(*) FROM requests WHERE seq > sinks.cursor)"


def last_seq(store: Store) -> int:
    """Return the highest ``seq`` that was ever given."""
    found = store.rows("SELECT seq FROM sqlite_sequence WHERE name = 'requests'")
    return int(found[0][0]) if found else 0


def record_from(row: Sequence[Any]) -> TelemetryRecord:
    """Make a row, in the order of ``COLUMNS``, a record again."""
    facts = dict(zip(COLUMNS, row, strict=True))
    if facts["streamed"] is not None:
        facts["streamed"] = bool(facts["streamed"])
    return TelemetryRecord(**facts)


def _now() -> str:
    return rfc3339(datetime.now(UTC))
