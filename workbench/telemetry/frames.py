"""Rows of the telemetry file as a DataFrame. The only module here that knows pandas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from .record import COLUMNS, TelemetryRecord

if TYPE_CHECKING:
    import pandas as pd


def frame_of(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """
    Give rows, in the order of ``COLUMNS``, the dtypes of ``TelemetryRecord``.

    ``timestamp`` becomes a datetime in UTC, whole numbers ``Int64``, other
    numbers ``float64`` (it plots without conversion; unknown is NaN), truth
    values ``boolean`` and text ``string``. An empty frame has them all too.
    """
    import pandas as pd  # slower to import than all of the workbench

    frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object).astype(_DTYPES)
    times = pd.to_datetime(frame["timestamp"], format="ISO8601", utc=True)
    frame["timestamp"] = times.dt.as_unit("us")  # pandas chooses another unit for no rows
    return frame


def _dtype(annotation: str) -> str:
    kinds = {"int": "Int64", "float": "float64", "bool": "boolean"}
    return kinds.get(annotation.removesuffix(" | None"), "string")


_DTYPES = {item.name: _dtype(str(item.type)) for item in fields(TelemetryRecord)}
