"""
Rows as a file for other programs.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, MissingDependencyError
from .outbox import record_from
from .reading import Chosen
from .record import COLUMNS

if TYPE_CHECKING:
    from .store import Store

CHUNK_ROWS = 5_000


def write(store: Store, path: Path, chosen: Chosen) -> int:
    """
    Write what is chosen into *path*, oldest first; its ending says how.

    It is there when it is whole: a file of that name is replaced then.

    Returns:
        How many rows.
    """
    make = _WRITERS.get(path.suffix.lower())
    if make is None:
        raise ConfigError(
            f"{path.name} does not say what to write.",
            hint=f"Use one of these endings: {', '.join(_WRITERS)}.",
            key="path",
            source="argument",
        )
    fresh = path.with_name(f".{path.name}.new")
    try:
        count = make(store, fresh, chosen)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return count


def _write_jsonl(store: Store, path: Path, chosen: Chosen) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in _rows(store, chosen):
            file.write(json.dumps(asdict(record_from(row))) + "\n")
            count += 1
    return count


def _write_csv(store: Store, path: Path, chosen: Chosen) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for row in _rows(store, chosen):
            table.writerow(row)
            count += 1
    return count


def _write_parquet(store: Store, path: Path, chosen: Chosen) -> int:
    try:
        import_module("pyarrow")
    except ImportError as exc:
        raise MissingDependencyError(
            "Parquet is written by pyarrow, which is not installed.",
            hint="pip install pyarrow, or export to .jsonl or .csv.",
            key="pyarrow",
            source="import",
            package="pyarrow",
        ) from exc
    frame = store.frame(chosen)
    frame.to_parquet(path)
    return len(frame)


def _rows(store: Store, chosen: Chosen) -> Iterator[tuple[Any, ...]]:
    """Yield rows a chunk at a time; what is written meanwhile may be among them."""
    query = (
        f"SELECT {', '.join(COLUMNS)} FROM requests WHERE {chosen.where} "
        "AND (timestamp, id) > (?, ?) ORDER BY timestamp, id LIMIT ?"
    )
    after = ("", "")
    while rows := store.rows(query, [*chosen.values, *after, CHUNK_ROWS]):
        yield from rows
        after = (rows[-1][COLUMNS.index("timestamp")], rows[-1][COLUMNS.index("id")])


_Write = Callable[["Store", Path, Chosen], int]
_WRITERS: dict[str, _Write] = {
    ".jsonl": _write_jsonl,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
