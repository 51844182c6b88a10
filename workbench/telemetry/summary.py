"""
What the recorded requests come to: which of them, and by model. Pure, on the frame.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil, nan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def select(
    frame: pd.DataFrame,
    *,
    model: str | None = None,
    status: str | None = None,
    since: datetime | timedelta | None = None,
    until: datetime | None = None,
) -> pd.DataFrame:
    """
    Keep some of the recorded requests.

    Args:
        status: ``ok``, ``error`` or ``interrupted``.

        since, until: When they were sent; a ``timedelta`` counts back from
            now, and a moment without a time zone is local time.
    """
    kept = frame
    if model is not None:
        kept = kept[kept["model"] == model]
    if status is not None:
        kept = kept[kept["status"] == status]
    if since is not None:
        kept = kept[kept["timestamp"] >= _moment(since)]
    if until is not None:
        kept = kept[kept["timestamp"] < _moment(until)]
    return kept


def by_model(frame: pd.DataFrame) -> pd.DataFrame:
    """
    Sum up requests by model, the most asked first.

    ``error_rate`` is the share that failed; one that its reader stopped did
    not. Quantiles of TTFT and TPOT are over the requests that have one, in
    seconds, and NaN where none has; tokens are as far as the server counted them.
    """
    groups = frame.assign(failed=frame["status"].eq("error").fillna(False)).groupby("model")
    return groups.agg(
        requests=("status", "size"),
        errors=("failed", "sum"),
        error_rate=("failed", "mean"),
        ttft_p50_s=("ttft_s", partial(quantile, share=0.5)),
        ttft_p95_s=("ttft_s", partial(quantile, share=0.95)),
        tpot_p50_s=("tpot_s", partial(quantile, share=0.5)),
        tpot_p95_s=("tpot_s", partial(quantile, share=0.95)),
        input_tokens=("input_tokens", "sum"),
        output_tokens=("output_tokens", "sum"),
    ).sort_values("requests", ascending=False)


def quantile(values: pd.Series[float], share: float) -> float:
    """
    Return the smallest value that *share* of those known do not exceed; NaN of none.

    It is one that was measured, by the nearest rank, and nothing between two of them.
    """
    known = values.dropna().sort_values()
    return float(known.iloc[max(ceil(share * len(known)) - 1, 0)]) if len(known) else nan


def _moment(moment: datetime | timedelta) -> datetime:
    return datetime.now(UTC) - moment if isinstance(moment, timedelta) else moment.astimezone(UTC)
