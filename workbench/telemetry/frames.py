"""Columns of the telemetry file as a DataFrame. The only module here that knows pandas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from .columns import Column


def frame_of(columns: Mapping[str, Column]) -> pd.DataFrame:
    """
    Give columns the dtypes of ``TelemetryRecord``.

    ``timestamp`` becomes a datetime in UTC, whole numbers ``Int64``, other
    numbers ``float64`` (it plots without conversion; unknown is NaN), truth
    values ``boolean`` and text ``string``. An empty frame has them all too.
    """
    import pandas as pd  # slower to import than all of the workbench

    return pd.DataFrame({name: _series(column) for name, column in columns.items()}, copy=False)


def _series(column: Column) -> Any:
    import pandas as pd

    if column.kind == "time":
        return pd.Series(column.values.view("M8[us]")).dt.tz_localize("UTC")
    if column.kind == "int":
        return pd.arrays.IntegerArray(column.values, column.missing)
    if column.kind == "bool":
        return pd.arrays.BooleanArray(column.values.astype(bool), column.missing)
    if column.kind == "float":
        return column.values
    # Checks the texts in place, where pd.array would convert one by one.
    return pd.arrays.StringArray(column.values)
