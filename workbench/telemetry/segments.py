"""
Runs of rows that are kept once more, column by column, so that many are read at once.

A segment is made when its rows are all there and gone when one of them changes
or is deleted (a trigger sees to both), so it never says anything else than the
table. It takes about a third of its rows' size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .record import COLUMNS, SCHEMA_VERSION

if TYPE_CHECKING:
    from .columns import Column
    from .store import Store

SEGMENT_ROWS = 5_000
CONTENTS = ("prompt", "answer")
"""Long and rarely read: a segment does not have them again."""

SEGMENT_COLUMNS = tuple(name for name in COLUMNS if name not in CONTENTS)


def seal_next(store: Store) -> bool:
    """
    Make the next segment, if there are rows enough.

    Returns:
        Whether it was made: there may be another.
    """
    after = _end(store)
    names = ", ".join(SEGMENT_COLUMNS)
    rows = store.rows(
        f"SELECT seq, timestamp, {names} FROM requests WHERE seq > ? ORDER BY seq LIMIT ?",
        (after, SEGMENT_ROWS),
    )
    if len(rows) < SEGMENT_ROWS:
        return False
    seqs, moments, *cells = zip(*rows, strict=True)
    facts = (seqs[0], seqs[-1], SCHEMA_VERSION, len(rows), min(moments), max(moments))
    data: list[tuple[str, bytes | None]] = list(_packed(cells))
    with store.transaction() as execute:
        if _end(store) != after or len(rows) != _count(store, seqs[0], seqs[-1]):
            return False  # another kernel made it, or rows were deleted meanwhile
        execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)", facts)
        data += [(CONTENTS[0], None)] if _has_contents(store, seqs[0], seqs[-1]) else []
        for name, packed in data:
            execute("INSERT INTO segment_columns VALUES (?, ?, ?)", (seqs[0], name, packed))
    return True


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that can be read: first and last ``seq``, how many rows, the latest of them."""

    first: int
    last: int
    num_rows: int
    last_timestamp: str


def segments(store: Store) -> list[Segment]:
    """List the segments that have every column known here."""
    found = store.rows(
        "SELECT first_seq, last_seq, num_rows, last_timestamp FROM segments "
        "WHERE schema_version >= ? ORDER BY first_seq",
        (SCHEMA_VERSION,),
    )
    return [Segment(*row) for row in found]


def read_segment(store: Store, segment: Segment, into: dict[str, Column], start: int) -> None:
    """Read a segment's columns to *start* and behind, contents from the table."""
    from .columns import unpack

    for name, data in store.rows(
        "SELECT name, data FROM segment_columns WHERE first_seq = ?", (segment.first,)
    ):
        if data is None:
            for each, column in _contents(store, segment.first, segment.last).items():
                into[each].put(start, column)
        elif name in into:
            unpack(data, into[name], start, segment.num_rows)


def _packed(cells: Sequence[Sequence[Any]]) -> Iterator[tuple[str, bytes]]:
    from .columns import KINDS, column_of, packed

    for name, column in zip(SEGMENT_COLUMNS, cells, strict=True):
        if (data := packed(column_of(KINDS[name], column))) is not None:
            yield name, data


def _contents(store: Store, first: int, last: int) -> dict[str, Column]:
    from .columns import column_of

    rows = store.rows(
        f"SELECT {', '.join(CONTENTS)} FROM requests WHERE seq BETWEEN ? AND ? ORDER BY seq",
        (first, last),
    )
    cells = zip(*rows, strict=True)
    return {name: column_of("text", texts) for name, texts in zip(CONTENTS, cells, strict=True)}


def _has_contents(store: Store, first: int, last: int) -> bool:
    query = (
        "SELECT EXISTS (SELECT 1 FROM requests WHERE seq BETWEEN ? AND ? "
        "AND (prompt IS NOT NULL OR answer IS NOT NULL))"
    )
    return bool(store.rows(query, (first, last))[0][0])


def _end(store: Store) -> int:
    return int(store.rows("SELECT ifnull(max(last_seq), 0) FROM segments")[0][0])


def _count(store: Store, first: int, last: int) -> int:
    query = "SELECT count(*) FROM requests WHERE seq BETWEEN ? AND ?"
    return int(store.rows(query, (first, last))[0][0])
