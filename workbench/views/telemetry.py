"""
How what happened looks: recorded requests, sinks, and the server's own metrics.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .. import units
from ..display import GAP, View, for_terminal
from .base import signed

if TYPE_CHECKING:
    import pandas as pd

    from ..telemetry import SinkStatus, StoreStatus, TelemetryRecord
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from ..reconcile import Flag, Reconciliation


def telemetry_view(frame: pd.DataFrame) -> View:
    """Show the recorded requests, newest last."""
    # pandas has three ways to say "missing"; here there is one.
    plain = frame.astype(object).where(frame.notna(), None)
    rows = tuple(_telemetry_row(row) for row in plain.to_dict("records"))
    columns = ("time (UTC)", "model", "in", "out", "TTFT", "E2E latency", "status", "ended by")
    return View(
        columns=columns,
        numeric=frozenset(columns[2:6]),
        rows=rows,
        note=None if rows else "Nothing was recorded yet.",
        data=json.loads(frame.to_json(orient="records", date_format="iso")),
    )


def _telemetry_row(row: dict[Any, Any]) -> tuple[str, ...]:
    return (
        f"{row['timestamp']:%m-%d %H:%M:%S}",
        str(row["model"]),
        units.count(row["input_tokens"]),
        units.count(row["output_tokens"]),
        units.seconds(row["ttft_s"]),
        units.seconds(row["e2e_latency_s"]),
        str(row["status"]),
        row["finish_reason"] or row["error_type"] or units.UNKNOWN,
    )


def telemetry_status_view(status: StoreStatus) -> View:
    """Show what is recorded, and a line for each sink."""
    title = (
        f"{status.path}: {status.rows:,} requests, {units.size(status.size_bytes)}"
        f"{f', {_moment(status.first)} to {_moment(status.last)} (UTC)' if status.first else ''}"
    )
    said = [_said(sink) for sink in status.sinks if sink.last_error]
    return View(
        title=title,
        columns=("sink", "sent", "waiting", "rejected", "lost", "state") if status.sinks else (),
        numeric=frozenset({"sent", "waiting", "rejected", "lost"}),
        rows=tuple(_sink_row(sink) for sink in status.sinks),
        note="\n".join(said) or (None if status.sinks else "No sink was turned on yet."),
        data=asdict(status),
    )


def _said(sink: SinkStatus) -> str:
    # A table that says "well" above an error is a riddle.
    when = sink.name if sink.failing_since else f"{sink.name}, the last time"
    return f"{when}: {sink.last_error}"


def _sink_row(sink: SinkStatus) -> tuple[str, ...]:
    counts = (sink.sent, sink.waiting, sink.rejected, sink.lost)
    return (sink.name, *map(units.count, counts), _sink_state(sink))


def _sink_state(sink: SinkStatus) -> str:
    if sink.failing_since is None:
        return "well" if sink.last_sent_at else "nothing sent yet"
    what = "to be corrected, failing" if sink.permanent else "failing"
    return f"{what} since {_moment(sink.failing_since)}, again at {_moment(sink.retry_at)}"


def _moment(timestamp: str | None) -> str:
    return units.UNKNOWN if timestamp is None else timestamp[:19].replace("T", " ")


def record_line(record: TelemetryRecord) -> str:
    """Write a request as a line of a log."""
    parts = (
        _moment(record.timestamp),
        record.model or units.UNKNOWN,
        record.status,
        record.finish_reason or record.error_type or units.UNKNOWN,
        f"{units.count(record.input_tokens)} + {units.count(record.output_tokens)} tokens",
        f"TTFT {units.seconds(record.ttft_s)}",
        f"E2E {units.seconds(record.e2e_latency_s)}",
    )
    return for_terminal(GAP.join(parts))


def record_json(record: TelemetryRecord) -> str:
    """Write a request as a line for programs."""
    return json.dumps(asdict(record))


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
        rows=tuple((part.name, signed(part.ttft_s), signed(part.e2e_s)) for part in found.parts),
        note="\n".join(map(_flag_text, found.flags)) or agreed,
        data=asdict(found) | {"ok": found.ok},
        ok=found.ok,
    )


def _flag_text(flag: Flag) -> str:
    return f"{flag.id}: {flag.seen}.\n  {flag.means}"


def summary_view(by_model: pd.DataFrame) -> View:
    """Show the recorded requests by model."""
    plain = by_model.astype(object).where(by_model.notna(), None)
    columns = (
        *("model", "requests", "failed", "TTFT p50", "TTFT p95"),
        *("TPOT p50", "TPOT p95", "tokens in", "tokens out"),
    )
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
