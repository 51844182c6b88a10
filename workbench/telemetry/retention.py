"""
Which rows are deleted: the old ones, and the oldest when there are too many.

A row that a live sink has not had stays longer: to twice its age, or until only
such rows are left and they are too many. Then it is deleted all the same, and
counted as lost for that sink. That a sink refused a row is forgotten with it, so
that all that a file holds is its rows'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from .outbox import LIVE_FOR
from .record import rfc3339

if TYPE_CHECKING:
    from .store import Store

CHUNK_ROWS = 500
"""Deleted in one transaction: a few milliseconds, in which others wait to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """
    How much is kept; ``None`` is without a limit.

    Args:
        max_age_days: Of the request's start.

        max_bytes: Of all rows with their indexes. The file does not shrink; what is
            deleted makes room in it.
    """

    max_age_days: float | None = 365.0
    max_bytes: int | None = 2 * 2**30


def expire(store: Store, retention: Retention, *, pause: Callable[[], object]) -> int:
    """
    Delete what is beyond the limits.

    Args:
        pause: Called between two transactions.

    Returns:
        How many rows were deleted.
    """
    deleted = 0
    while chunk := _expire_some(store, retention):
        deleted += chunk
        pause()
    return deleted


def _expire_some(store: Store, retention: Retention) -> int:
    if retention.max_age_days is not None:
        age = timedelta(days=retention.max_age_days)
        deleted = _delete(store, before=_ago(age), had=True) or _delete(
            store, before=_ago(2 * age), had=False
        )
        if deleted:
            return deleted
    if retention.max_bytes is not None and store.size_bytes() > retention.max_bytes:
        return _delete(store, had=True) or _delete(store, had=False)
    return 0


def _delete(store: Store, *, had: bool, before: str = "~") -> int:
    """
    Delete the oldest rows, as many as one transaction may.

    Args:
        had: Only those that every live sink has had.

        before: Only those that were sent before; "~" is after all times.
    """
    with store.transaction() as execute:
        seqs = [
            seq
            for seq, moment in execute(
                f"SELECT seq, timestamp FROM requests WHERE seq <= {_HAD if had else '?'} "
                "ORDER BY seq LIMIT ?",
                (_ago(LIVE_FOR) if had else 2**63 - 1, CHUNK_ROWS),
            )
            if moment < before
        ]
        if not seqs:
            return 0
        places = ", ".join("?" * len(seqs))
        execute(f"UPDATE sinks SET lost = lost + {_LOST.format(places)}", seqs)
        execute(_DELETE_REJECTED.format(places), seqs)
        execute(f"DELETE FROM requests WHERE seq IN ({places})", seqs)
    return len(seqs)


_HAD = f"(SELECT ifnull(min(cursor), {2**63 - 1}) FROM sinks WHERE seen_at >= ?)"
_LOST = "(SELECT count(*) FROM requests WHERE seq IN ({}) AND seq > sinks.cursor)"
# By both columns of its key, which is its only index.
_DELETE_REJECTED = (
    "DELETE FROM rejected WHERE sink IN (SELECT name FROM sinks) "
    "AND id IN (SELECT id FROM requests WHERE seq IN ({}))"
)


def _ago(age: timedelta) -> str:
    return rfc3339(datetime.now(UTC) - age)
