"""
Which rows are read, and by which way: a few from the table, many from the segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from .record import COLUMNS, rfc3339
from .segments import Segment, read_segment, segments

if TYPE_CHECKING:
    from .columns import Column
    from .store import Store

FEW = 5_000
"""Up to here the table's index is quicker than whole segments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """
    Which rows to read.

    Args:
        last: Only the latest so many.

        since: Only those sent at or after it; a ``timedelta`` counts back from now, a
            moment without a time zone is local time.

        model: Only those that asked for, or were answered by, this model.

        status: Only those that ended so: ``ok``, ``error``, ``interrupted``.
    """

    last: int | None = None
    since: datetime | timedelta | None = None
    model: str | None = None
    status: str | None = None

    @property
    def where(self) -> str:
        """The condition, with a place for each of :attr:`values`."""
        conditions = ["timestamp >= ?"]
        conditions += ["? IN (model, served_model)"] if self.model else []
        conditions += ["status = ?"] if self.status else []
        return " AND ".join(conditions)

    @property
    def values(self) -> list[Any]:
        """What stands in the places of :attr:`where`."""
        return [self.first_timestamp, *(each for each in (self.model, self.status) if each)]

    @property
    def first_timestamp(self) -> str:
        """The earliest moment as text; "" is before all."""
        if self.since is None:
            return ""
        moment = self.since
        if isinstance(moment, timedelta):
            moment = datetime.now(UTC) - moment
        return rfc3339(moment.astimezone())


def read_columns(store: Store, chosen: Chosen) -> dict[str, Column]:
    """Read what is chosen, oldest first, by the quicker way."""
    with store.snapshot():
        if _are_few(store, chosen):
            return _from_table(store, chosen)
        return _in_order(_from_segments(store, chosen), chosen)


def _are_few(store: Store, chosen: Chosen) -> bool:
    if chosen.last is not None and chosen.last <= FEW:
        return True
    query = "SELECT count(*) FROM (SELECT 1 FROM requests WHERE timestamp >= ? LIMIT ?)"
    count: int = store.rows(query, (chosen.first_timestamp, FEW + 1))[0][0]
    return count <= FEW


def _from_table(store: Store, chosen: Chosen) -> dict[str, Column]:
    query = f"SELECT {', '.join(COLUMNS)} FROM requests WHERE {chosen.where}"
    query += " ORDER BY timestamp DESC, id DESC LIMIT ?"
    limit = -1 if chosen.last is None else chosen.last
    return _as_columns(store.rows(query, [*chosen.values, limit])[::-1])


def _from_segments(store: Store, chosen: Chosen) -> dict[str, Column]:
    from .columns import KINDS, unknown

    parts = list(_parts(store, chosen.first_timestamp))
    lengths = [part.num_rows if isinstance(part, Segment) else len(part) for part in parts]
    columns = {name: unknown(KINDS[name], sum(lengths)) for name in COLUMNS}
    for part, start in zip(parts, accumulate(lengths, initial=0), strict=False):
        if isinstance(part, Segment):
            read_segment(store, part, columns, start)
        else:
            for name, column in _as_columns(part).items():
                columns[name].put(start, column)
    return columns


def _parts(store: Store, since: str) -> Iterator[Segment | list[tuple[Any, ...]]]:
    """Yield every segment with a row that may be wanted, and the rows between and after them."""
    query = f"SELECT {', '.join(COLUMNS)} FROM requests WHERE seq > ? AND seq < ?"
    query += " AND timestamp >= ? ORDER BY seq"
    before = 0
    for segment in segments(store):
        if rows := store.rows(query, (before, segment.first, since)):
            yield rows
        if segment.last_timestamp >= since:
            yield segment
        before = segment.last
    if rows := store.rows(query, (before, 2**63 - 1, since)):
        yield rows


def _as_columns(rows: list[tuple[Any, ...]]) -> dict[str, Column]:
    from .columns import KINDS, column_of, unknown

    if not rows:
        return {name: unknown(KINDS[name], 0) for name in COLUMNS}
    cells = zip(*rows, strict=True)
    return {name: column_of(KINDS[name], cell) for name, cell in zip(COLUMNS, cells, strict=True)}


def _in_order(columns: dict[str, Column], chosen: Chosen) -> dict[str, Column]:
    """Leave out what was not chosen, and put the rest in the order of time."""
    from .columns import column_of, every, places_of

    first = column_of("time", [chosen.first_timestamp]).values[0] if chosen.since else None
    places = places_of(columns, first, model=chosen.model, status=chosen.status)
    if places is None and chosen.last is None:
        return columns
    if places is None:
        places = every(len(columns["id"]))
    if chosen.last is not None:
        places = places[max(0, len(places) - chosen.last) :]
    return {name: column.taken(places) for name, column in columns.items()}
