"""
Pictures of recorded requests, from ``Telemetry.frame``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .. import units
from ..telemetry.summary import quantile
from .base import INK, framed, legend, nothing, time_axis

if TYPE_CHECKING:
    import pandas as pd

# Okabe and Ito's palette, which people with any colour vision tell apart, without its black and
# yellow. https://jfly.uni-koeln.de/color/
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9")
ERROR = "#d55e00"
OTHERS = "others"
TOKEN_COLOURS = dict(
    zip(("input", "input, from the prefix cache", "output"), COLOURS, strict=False)
)

NOTHING = "Nothing was recorded"


def latency(frame: pd.DataFrame) -> Figure:
    """
    Draw TTFT and E2E latency over time, a colour for each model.

    A request that failed or was stopped is a cross at the time it took.
    """
    if not len(frame):
        return nothing(NOTHING)
    figure, (above, below) = framed(rows=2, height=5.0)
    _over_time(above, frame, "ttft_s", "TTFT")
    _over_time(below, frame, "e2e_latency_s", "E2E latency")
    _failures(below, frame)
    for each in (above, below):
        time_axis(each.yaxis)
    above.tick_params(labelbottom=False)
    above.sharex(below)
    if frame["timestamp"].nunique() == 1:  # a moment has no width to put ticks on
        moment, around = frame["timestamp"].iloc[0], timedelta(minutes=1)
        below.set_xlim(moment - around, moment + around)
    _date_ticks(below)
    figure.suptitle(_latency_finding(frame), color=INK, x=0.01, ha="left")
    legend(figure, below)
    return figure


def ttft(frame: pd.DataFrame) -> Figure:
    """Draw the distribution of TTFT: the share of requests that had their first token by then."""
    shown = frame["ttft_s"].dropna()
    if not len(shown):
        return nothing("No answer was streamed, so no TTFT is known")
    figure, (axes,) = framed(rows=1, height=3.6)
    models = _by_model(frame, "ttft_s")
    for colour, (model, values) in zip(COLOURS, models, strict=False):
        axes.ecdf(values, color=colour, label=model)
    axes.set_xscale("log")
    if len(models) > 1:
        axes.ecdf(shown, color=INK, linewidth=2.5, label="all")
    for share in (0.5, 0.95):
        _mark(axes, quantile(shown, share), share)
    axes.set_ylabel("share of requests", color=INK)
    axes.set_ylim(0, 1.02)
    time_axis(axes.xaxis)
    axes.set_xlabel("TTFT", color=INK)
    axes.set_title(_ttft_finding(shown), color=INK, loc="left")
    legend(figure, axes)
    return figure


def tokens(frame: pd.DataFrame) -> Figure:
    """Draw the tokens of each model: read from the prefix cache, read anew, written."""
    sums = frame.groupby("model")[["input_tokens", "cached_tokens", "output_tokens"]].sum()
    sums = sums.fillna(0).astype("float64").sort_values("output_tokens", ascending=False)
    sums = sums[sums.any(axis="columns")]  # a model that nobody serves has a row, and no bar
    if not len(sums):
        return nothing("No tokens were counted")
    figure, (axes,) = framed(rows=1, height=1.6 + 0.5 * len(sums))
    parts = {
        "input": sums["input_tokens"] - sums["cached_tokens"],
        "input, from the prefix cache": sums["cached_tokens"],
        "output": sums["output_tokens"],
    }
    told = bool(frame["cached_tokens"].notna().any())
    if not told:
        del parts["input, from the prefix cache"]
    left = sums["output_tokens"] * 0.0
    for name, sizes in parts.items():
        colour = TOKEN_COLOURS[name]
        axes.barh(range(len(sums)), sizes, left=left, height=0.6, color=colour, label=name)
        left = left + sizes
    axes.set_yticks(range(len(sums)), [str(model) for model in sums.index])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("tokens", color=INK)
    axes.set_title(_tokens_finding(sums, cached=told), color=INK, loc="left")
    legend(figure, axes)
    return figure


def errors(frame: pd.DataFrame) -> Figure:
    """Draw how often each kind of error was met; what a reader stopped is none."""
    failed = frame[frame["status"] == "error"]
    counts = failed["error_type"].fillna("unknown").value_counts()
    if not len(counts):
        return nothing(
            f"None of {units.count(len(frame), 'request')} failed" if len(frame) else NOTHING
        )
    figure, (axes,) = framed(rows=1, height=1.2 + 0.4 * len(counts))
    bars = axes.barh(range(len(counts)), counts.to_numpy(), height=0.6, color=ERROR)
    axes.bar_label(bars, color=INK, padding=4)
    axes.set_yticks(range(len(counts)), [str(name) for name in counts.index])
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("requests", color=INK)
    axes.set_title(_errors_finding(frame, counts), color=INK, loc="left")
    return figure


def _by_model(frame: pd.DataFrame, column: str) -> list[tuple[str, pd.Series[Any]]]:
    """Split a column by model, the most asked first; those without a colour go together."""
    known = frame[["model", "timestamp", column]].dropna()
    order = list(known["model"].value_counts().index)
    own = order[: len(COLOURS) - (len(order) > len(COLOURS))]
    named = known["model"].where(known["model"].isin(own), OTHERS)
    groups = [(name, known[named == name]) for name in [*own, OTHERS]]
    return [(name, rows.set_index("timestamp")[column]) for name, rows in groups if len(rows)]


def _over_time(axes: Axes, frame: pd.DataFrame, column: str, name: str) -> None:
    for colour, (model, values) in zip(COLOURS, _by_model(frame, column), strict=False):
        axes.plot(values.index, values, "o", color=colour, markersize=4, label=model)
    axes.set_yscale("log")
    axes.set_ylabel(name, color=INK)


def _failures(axes: Axes, frame: pd.DataFrame) -> None:
    failed = frame[frame["status"] != "ok"]
    if len(failed):
        label = "failed or stopped"
        took = failed["duration_s"]
        axes.plot(failed["timestamp"], took, "x", color=ERROR, markersize=6, label=label)


def _date_ticks(axes: Axes) -> None:
    locator = AutoDateLocator(maxticks=8)  # type: ignore[no-untyped-call]
    written = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    # Within a minute it writes seconds alone, and "24.5" is no time to anybody.
    written.formats[-1], written.zero_formats[-1] = "%H:%M:%S.%f", "%H:%M:%S"
    written.offset_formats[-1] = "%Y-%b-%d"
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(written)
    axes.xaxis.get_offset_text().set_color(INK)
    axes.tick_params(axis="x", pad=8)  # the first one would touch the lowest duration
    axes.set_xlabel("time of sending (UTC)", color=INK)


def _mark(axes: Axes, value_s: float, share: float) -> None:
    axes.plot([value_s, value_s], [0, share], color=INK, linewidth=1, linestyle="--")
    axes.plot([value_s], [share], "o", color=INK, markersize=5)
    text = f"p{share * 100:.0f} {units.seconds(value_s)}"
    axes.annotate(
        text, (value_s, share), color=INK, ha="right", xytext=(-6, 3), textcoords="offset points"
    )


def _latency_finding(frame: pd.DataFrame) -> str:
    shown, failed = frame["e2e_latency_s"].dropna(), int((frame["status"] == "error").sum())
    some = units.count(len(frame), "request")
    slow = f": half were done in {units.seconds(quantile(shown, 0.5))}" if len(shown) else ""
    return f"{some}{slow}, {failed} failed" if slow else f"{some}: {failed} failed"


def _ttft_finding(shown: pd.Series[float]) -> str:
    p95 = units.seconds(quantile(shown, 0.95))
    return f"95 of 100 readers had the first token within {p95} ({len(shown)} streams)"


def _tokens_finding(sums: pd.DataFrame, *, cached: bool) -> str:
    read, written = sums["input_tokens"].sum(), sums["output_tokens"].sum()
    if not cached or not read:  # the server does not say how many were in its cache
        return f"{read:,.0f} tokens read, {written:,.0f} written"
    share = sums["cached_tokens"].sum() / read
    return f"{read:,.0f} tokens read, {share:.0%} of them from the cache; {written:,.0f} written"


def _errors_finding(frame: pd.DataFrame, counts: pd.Series[int]) -> str:
    failed = f"{counts.sum() / len(frame):.1%} of {len(frame):,} requests failed"
    if list(counts).count(counts.iloc[0]) > 1:
        return failed  # none is the most frequent
    return f"{failed}, most by {counts.index[0]}"
