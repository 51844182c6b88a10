"""
What each sink has had: a cursor on ``seq``, counts, and what was kept aside.

``seq`` grows in the order in which rows were written, whatever their times say,
so what lies behind a cursor is what is still to be sent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from .record import COLUMNS, TelemetryRecord, rfc3339

if TYPE_CHECKING:
    from .store import Store

LIVE_FOR = timedelta(days=7)
"""A sink that nobody has turned on for so long holds no row back from its end."""

_NOT_REJECTED = "id NOT IN (SELECT id FROM rejected WHERE sink = ?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkStatus:
    """
    How far a sink is.

    Args:
        cursor: ``seq`` of the last row that is done with.

        sent: Records it has accepted, over all processes.

        waiting: Rows that it has not had.

        rejected: Records that it will never accept; they are kept aside.

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


class Outbox:
    """The outbox of one telemetry file."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def admit(self, sink: str, after_seq: int) -> None:
        """Know a sink from now on: a new one gets the rows behind *after_seq*."""
        with self._store.transaction() as execute:
            execute(
                "INSERT INTO sinks (name, cursor, seen_at) VALUES (?, ?, ?) "
                "ON CONFLICT(name) DO UPDATE SET seen_at = excluded.seen_at",
                (sink, after_seq, _now()),
            )

    def waiting(self, sink: str, limit: int) -> list[tuple[int, TelemetryRecord]]:
        """Return the next rows for a sink, each with its ``seq``."""
        rows = self._store.rows(
            f"SELECT seq, {', '.join(COLUMNS)} FROM requests "
            f"WHERE seq > (SELECT cursor FROM sinks WHERE name = ?) AND {_NOT_REJECTED} "
            "ORDER BY seq LIMIT ?",
            (sink, sink, limit),
        )
        return [(row[0], record_from(row[1:])) for row in rows]

    def accepted(self, sink: str, *, up_to: int, count: int) -> None:
        """Note that a sink has had everything up to a ``seq``, *count* records of it now."""
        self._note(
            sink,
            "cursor = max(cursor, ?), sent = sent + ?, last_sent_at = ?, seen_at = ?, "
            "failing_since = NULL, retry_at = NULL, permanent = 0",
            (up_to, count, _now(), _now()),
        )

    def failed(self, sink: str, error: str, *, retry_at: datetime, permanent: bool) -> None:
        """Note that a sink did not accept what it was sent."""
        self._note(
            sink,
            "failing_since = ifnull(failing_since, ?), last_error = ?, retry_at = ?, "
            "permanent = ?, seen_at = ?",
            (_now(), error, rfc3339(retry_at), int(permanent), _now()),
        )

    def set_aside(self, sink: str, records: Sequence[TelemetryRecord], reason: str) -> None:
        """Keep records that a sink will never accept, so that it is not sent them again."""
        with self._store.transaction() as execute:
            for record in records:
                added = execute(
                    "INSERT INTO rejected VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (sink, record.id, _now(), reason, json.dumps(asdict(record))),
                )
                execute(
                    "UPDATE sinks SET rejected = rejected + ?, last_error = ? WHERE name = ?",
                    (added.rowcount, reason, sink),
                )

    def rewind(self, sink: str) -> None:
        """Have a sink sent everything that is there, from the first row."""
        self._note(sink, "cursor = 0", ())

    def statuses(self) -> tuple[SinkStatus, ...]:
        """Return how far every sink is that was ever turned on."""
        names = "name, cursor, sent, rejected, lost, last_sent_at, failing_since, last_error"
        query = f"SELECT {names}, retry_at, permanent, {_WAITING} FROM sinks ORDER BY name"
        fields = [*names.split(", "), "retry_at", "permanent", "waiting"]
        found = [
            SinkStatus(**dict(zip(fields, row, strict=True))) for row in self._store.rows(query)
        ]
        return tuple(replace(each, permanent=bool(each.permanent)) for each in found)

    def _note(self, sink: str, changes: str, values: tuple[Any, ...]) -> None:
        with self._store.transaction() as execute:
            execute(f"UPDATE sinks SET {changes} WHERE name = ?", (*values, sink))


_WAITING = (
    "(SELECT count(*) FROM requests WHERE seq > sinks.cursor "
    "AND id NOT IN (SELECT id FROM rejected WHERE sink = sinks.name))"
)


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
