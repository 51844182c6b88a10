"""
Rows turned into columns: arrays to count with, and bytes to keep them as. The only numpy here.

Reading a million rows cell by cell makes forty million Python objects, which
takes longer than everything else together. A column that was packed once is
read back as one array.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

import numpy as np

from .record import TelemetryRecord

Kind: TypeAlias = Literal["time", "int", "float", "bool", "text"]


def _kind(name: str, annotation: str) -> Kind:
    known: dict[str, Kind] = {"int": "int", "float": "float", "bool": "bool"}
    return "time" if name == "timestamp" else known.get(annotation.removesuffix(" | None"), "text")


KINDS: dict[str, Kind] = {
    item.name: _kind(item.name, str(item.type)) for item in fields(TelemetryRecord)
}

_TYPES: dict[Kind, str] = {"time": "i8", "int": "i8", "float": "f8", "bool": "i1", "text": "O"}
_NARROW = ("i1", "i2", "i4", "i8")
_PACKED, _PLAIN = b"z", b"p"
_WORTH_PACKING = 0.4
"""Below this share of its size a column is kept packed; hashes do not get there."""
_BETWEEN = "\0"
_JOINED, _JSON = b"j", b"J"


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column's values in the order of its rows.

    Args:
        values: Microseconds since 1970, whole numbers, other numbers, 0 and 1, or objects.

        missing: Where it has none, for times and whole numbers. Other numbers are NaN there,
            texts ``None``.
    """

    kind: Kind
    values: np.ndarray[Any, Any]
    missing: np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.values)

    def put(self, start: int, part: Column) -> None:
        """Copy *part* to *start* and behind."""
        self.values[start : start + len(part)] = part.values
        self.missing[start : start + len(part)] = part.missing

    def taken(self, places: np.ndarray[Any, Any]) -> Column:
        """Return the rows at *places*, or where *places* is true."""
        return Column(self.kind, self.values[places], self.missing[places])


def column_of(kind: Kind, cells: Sequence[Any]) -> Column:
    """Turn what SQLite gave into an array."""
    if kind == "time":
        moments = np.array([cell.removesuffix("Z") for cell in cells], dtype="M8[us]")
        return Column(kind, moments.astype("i8"), np.zeros(len(cells), dtype=bool))
    if kind == "text":
        texts = np.array(cells, dtype=object)
        return Column(kind, texts, np.zeros(len(cells), dtype=bool))
    if kind == "float":  # numpy reads None as NaN
        numbers = np.array(cells, dtype="f8")
        return Column(kind, numbers, np.isnan(numbers))
    missing = np.array([cell is None for cell in cells], dtype=bool)
    if missing.any():
        cells = [0 if cell is None else cell for cell in cells]
    return Column(kind, np.array(cells, dtype=_TYPES[kind]), missing)


def unknown(kind: Kind, length: int) -> Column:
    """Return a column without a value."""
    empty = {"float": np.nan, "text": None}.get(kind, 0)
    values = np.full(length, empty, dtype=_TYPES[kind])
    return Column(kind, values, np.full(length, kind != "text"))


def packed(column: Column) -> bytes | None:
    """Write a column as bytes; ``None`` for one without a value."""
    if column.kind == "text":
        content = _packed_text(column.values)
    elif column.missing.all():
        content = None
    elif column.kind == "float":
        content = b"f8" + column.values.astype("<f8").tobytes()
    else:
        content = _packed_whole(column)
    if content is None:
        return None
    small = zlib.compress(content, 1)
    return _PACKED + small if len(small) < _WORTH_PACKING * len(content) else _PLAIN + content


def unpack(data: bytes, into: Column, start: int, length: int) -> None:
    """Read what :func:`packed` wrote of so many rows, to *start* and behind."""
    content = zlib.decompress(data[1:]) if data[:1] == _PACKED else data[1:]
    values = into.values[start : start + length]
    missing = into.missing[start : start + length]
    if into.kind == "text":
        _unpack_text(content, values)
    elif into.kind == "float":
        values[:] = np.frombuffer(content, "<f8", offset=2)
        np.isnan(values, out=missing)
    else:
        bits = (length + 7) // 8
        mask = np.frombuffer(content, "u1", count=bits, offset=2)
        values[:] = np.frombuffer(content, "<" + content[:2].decode(), offset=2 + bits)
        missing[:] = np.unpackbits(mask, count=length)


def _packed_whole(column: Column) -> bytes:
    values = column.values
    narrow = next(
        each
        for each in _NARROW
        if np.iinfo(each).min <= values.min() and values.max() <= np.iinfo(each).max
    )
    mask = np.packbits(column.missing).tobytes()
    return narrow.encode() + mask + values.astype("<" + narrow).tobytes()


def _packed_text(texts: np.ndarray[Any, Any]) -> bytes | None:
    places: dict[str | None, int] = {None: 0}
    codes = [places.setdefault(text, len(places)) for text in texts]
    words = [text for text in places if text is not None]
    if not words:
        return None
    # Splitting is twice as fast as reading JSON, which is there for texts with a NUL.
    if any(_BETWEEN in word for word in words):
        how, written = _JSON, json.dumps(words).encode()
    else:
        how, written = _JOINED, _BETWEEN.join(words).encode()
    return b"".join(
        (how, len(written).to_bytes(8, "little"), written, np.array(codes, dtype="<u2").tobytes())
    )


def _unpack_text(content: bytes, texts: np.ndarray[Any, Any]) -> None:
    end = 9 + int.from_bytes(content[1:9], "little")
    written = content[9:end].decode()
    words = json.loads(written) if content[:1] == _JSON else written.split(_BETWEEN)
    codes = np.frombuffer(content, "<u2", offset=end)
    # Without a mode it would copy once more, to leave the array as it is if a code were wrong.
    np.take(np.array([None, *words], dtype=object), codes, out=texts, mode="clip")


def places_of(
    columns: dict[str, Column], first: int | None, *, model: str | None, status: str | None
) -> np.ndarray[Any, Any] | None:
    """Return where the rows are that are wanted, in the order of time; ``None``: as they are."""
    times = columns["timestamp"].values
    wanted = np.full(len(times), True) if first is None else times >= first
    if model:
        wanted &= (columns["model"].values == model) | (columns["served_model"].values == model)
    if status:
        wanted &= columns["status"].values == status
    places = np.flatnonzero(wanted)
    if (times[places][1:] < times[places][:-1]).any():
        places = places[np.argsort(times[places], kind="stable")]
    elif len(places) == len(times):
        return None
    return places


def every(length: int) -> np.ndarray[Any, Any]:
    """Return the places of so many rows."""
    return np.arange(length)
