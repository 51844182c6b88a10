"""
How what happened looks: the server's metrics, both sides of requests, and sums by model.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from . import units
from .display import View

if TYPE_CHECKING:
    import pandas as pd

    from .reconcile import Flag, Reconciliation

QUANTILES = ("p50", "p95", "p99")


def server_view(frame: pd.DataFrame, *, window_s: float) -> View:
    """Show a server's metrics over a window; what it never had is left out."""
    plain = frame.astype(object).where(frame.notna(), None)
    rows = [_metric_row(str(name), row) for name, row in plain.iterrows() if _is_shown(name, row)]
    over = f"over {units.seconds(window_s)}" if window_s > 0 else "since the server's start"
    return View(
        title=f"metrics {over}",
        columns=("metric", "now", "count", "rate", "mean", *QUANTILES, "what"),
        numeric=frozenset({"now", "count", "rate", "mean", *QUANTILES}),
        rows=tuple(rows),
        note="< : in the first bucket of vLLM's histogram, which tells no finer.",
        data=json.loads(frame.to_json(orient="index", double_precision=15)),
    )


def _is_shown(name: Any, row: pd.Series[Any]) -> bool:
    """Leave out what is unknown, and reasons for which nothing ended."""
    numbers = [row["now"], row["count"], row["mean"]]
    return any(numbers) if "." in name else any(number is not None for number in numbers)


def _metric_row(name: str, row: pd.Series[Any]) -> tuple[str, ...]:
    unit, rate = row["unit"], row["per_s"]
    return (
        name,
        _amount(row["now"], unit),
        units.UNKNOWN if row["count"] is None else f"{row['count']:,.0f}",
        units.rate(rate, "/s"),
        _amount(row["mean"], unit),
        *(_quantile(row[name], row["resolution"]) for name in QUANTILES),
        row["means"] if unit in ("s", "share") else f"{unit} {row['means']}",
    )


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return units.UNKNOWN
    if unit == "share":
        return f"{value:.1%}"
    return units.seconds(value) if unit == "s" else f"{value:,.0f}"


def _quantile(value_s: float | None, resolution_s: float | None) -> str:
    if value_s is not None and resolution_s is not None and value_s <= resolution_s:
        return f"< {units.seconds(resolution_s)}"
    return units.seconds(value_s)


def reconcile_view(found: Reconciliation) -> View:
    """Show where the time of requests went, and what does not agree."""
    asked = units.count(found.asked, "request")
    if found.asked:
        finished = units.UNKNOWN if found.finished is None else units.count(found.finished)
        title = f"{asked} recorded, {finished} finished by the server, on average:"
    else:
        title = f"No request was recorded in {units.seconds(found.window_s)}."
    agreed = "Both sides agree." if found.asked else None
    return View(
        title=title,
        columns=("", "to the first token", "to the end"),
        numeric=frozenset({"to the first token", "to the end"}),
        rows=tuple((part.name, _signed(part.ttft_s), _signed(part.e2e_s)) for part in found.parts),
        note="\n".join(map(_flag_text, found.flags)) or agreed,
        data=asdict(found) | {"ok": found.ok},
        ok=found.ok,
    )


def _signed(value_s: float | None) -> str:
    """Write a difference too: the client's clock may stop before the server's."""
    if value_s is not None and value_s < 0:
        return f"−{units.seconds(-value_s)}"
    return units.seconds(value_s)


def _flag_text(flag: Flag) -> str:
    return f"{flag.id}: {flag.seen}.\n  {flag.means}"


def summary_view(by_model: pd.DataFrame) -> View:
    """Show the recorded requests by model."""
    plain = by_model.astype(object).where(by_model.notna(), None)
    columns = ("model", "requests", "failed", "TTFT p50", "p95", "TPOT p50", "p95", "in", "out")
    return View(
        columns=columns,
        numeric=frozenset(columns[1:]),
        rows=tuple(
            (
                str(model),
                units.count(row["requests"]),
                f"{row['error_rate']:.1%}",
                *(units.seconds(row[name]) for name in _TIMES),
                units.count(row["input_tokens"]),
                units.count(row["output_tokens"]),
            )
            for model, row in plain.iterrows()
        ),
        note=None if len(by_model) else "Nothing of this kind was recorded.",
        data=json.loads(by_model.to_json(orient="index", double_precision=15)),
    )


_TIMES = ("ttft_p50_s", "ttft_p95_s", "tpot_p50_s", "tpot_p95_s")
