"""
Pictures of measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

from .. import units
from ..bench.result import Distribution, Metrics, Percentile, Request, Result
from ..bench.sweep import knee, points
from .base import INK, framed, legend, nothing, time_axis

WAITING, STREAMING, FAILED = "#e69f00", "#0072b2", "#d55e00"
# Okabe and Ito's palette, darker with the percentile.
PERCENTILE_COLOURS = {50: "#56b4e9", 90: "#009e73", 95: "#0072b2", 99: "#cc79a7"}
LIMIT, KNEE = "#d55e00", "#009e73"

MOST_INCHES, FRAME_INCHES = 7.0, 1.2
"""Of a timeline: how high it may be, and what of that its title, axis and legend take."""


def pictures(results: Sequence[Result]) -> dict[str, Figure]:
    """Draw what these results show: of several loads their curves, of each its requests."""
    drawn: dict[str, Figure] = {}
    if len(results) > 1:
        drawn["latency against load"] = against_load(results)
        drawn["throughput and latency"] = curve(results)
    for result in results:
        if not result.requests:
            continue
        which = f", {_load_name(result)}" if len(results) > 1 else ""
        drawn[f"requests{which}"] = timeline(result)
        drawn[f"gaps between tokens{which}"] = itl(result)
    return drawn


def against_load(results: Sequence[Result]) -> Figure:
    """Draw TTFT and TPOT against the load, a line for each percentile, with its interval."""
    ordered = sorted(results, key=_load)
    figure, panels = framed(rows=2, height=5.4)
    for axes, name in zip(panels, ("ttft", "tpot"), strict=True):
        found: list[Distribution | None] = [getattr(each.metrics, name) for each in ordered]
        for percent, colour in PERCENTILE_COLOURS.items():
            _percentile_line(axes, [_load(each) for each in ordered], found, percent, colour)
        _limit(axes, _limit_of(ordered, f"{name}_s"))
        axes.set_ylabel(name.upper(), color=INK)
        # Answers that come whole have a TPOT of nothing, for which a logarithm has no place.
        if max((each.mean.value for each in found if each is not None), default=1.0) > 0:
            axes.set_yscale("log")
            time_axis(axes.yaxis)
        _load_axis(axes, ordered)
    panels[0].tick_params(labelbottom=False)
    panels[1].set_xlabel(_load_label(ordered), color=INK)
    figure.suptitle(_load_finding(ordered), color=INK, x=0.01, ha="left")
    legend(figure, panels[0])
    return figure


def curve(results: Sequence[Result]) -> Figure:
    """Draw what more load buys: output tokens a second against E2E latency, with the knee."""
    ordered = [each for each in sorted(results, key=_load) if _x(each.metrics) is not None]
    if not ordered:
        return nothing("No answer was counted, so there is no throughput to draw")
    figure, (axes,) = framed(rows=1, height=4.0)
    across = [_x(each.metrics) or 0.0 for each in ordered]
    for percent in (50, 95):
        up = [each.metrics.e2el.at(percent) if each.metrics.e2el else None for each in ordered]
        colour = PERCENTILE_COLOURS[percent]
        axes.plot(across, up, "o-", color=colour, markersize=5, label=f"E2E latency p{percent}")  # type: ignore[arg-type]
    for result, x in zip(ordered, across, strict=True):
        assert result.metrics.e2el is not None
        axes.annotate(
            f"{_load(result):g}",
            (x, result.metrics.e2el.median),
            color=INK,
            xytext=(4, -12),
            textcoords="offset points",
        )
    _limit(axes, _limit_of(ordered, "e2el_s"))
    bend = _bend(ordered)
    if bend is not None:
        axes.axvline(_x(bend.metrics) or 0.0, color=KNEE, linestyle=":", label="knee")
    axes.set_yscale("log")
    time_axis(axes.yaxis)
    axes.set_ylabel("E2E latency", color=INK)
    axes.set_xlabel(f"output tokens a second; the numbers are {_load_label(ordered)}", color=INK)
    axes.set_title(_curve_finding(ordered, bend), color=INK, loc="left")
    legend(figure, axes)
    return figure


def timeline(result: Result) -> Figure:
    """Draw each request as a line: waiting for its first token, then streaming."""
    sent = [request for request in result.requests if request.start_s is not None]
    if not sent:
        return nothing("No request was sent")
    height = min(MOST_INCHES, 2.0 + 0.05 * len(sent))
    figure, (axes,) = framed(rows=1, height=height)
    row_points = (height - FRAME_INCHES) * 72 / len(sent)
    width = max(0.5, min(5.0, 0.75 * row_points))
    parts: tuple[tuple[str, str, Callable[[Request], tuple[float, float] | None]], ...] = (
        ("waiting for the first token", WAITING, _waiting),
        ("streaming", STREAMING, _streaming),
        ("failed", FAILED, _failed),
    )
    for label, colour, span_of in parts:
        spans = [
            (row, span)
            for row, request in enumerate(sent)
            if (span := span_of(request)) is not None
        ]
        if spans:
            rows = [row for row, _ in spans]
            begins, ends = [span[0] for _, span in spans], [span[1] for _, span in spans]
            axes.hlines(rows, begins, ends, color=colour, linewidth=width, label=label)
    axes.invert_yaxis()
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("request", color=INK)
    axes.set_xlabel("seconds after the start", color=INK)
    axes.set_title(_timeline_finding(result), color=INK, loc="left")
    legend(figure, axes)
    return figure


def itl(result: Result) -> Figure:
    """Draw the distribution of the gaps between chunks: the share of them that were no longer."""
    found = result.metrics.itl
    gaps = [gap for request in result.requests if request.ok for gap in request.itls_s]
    # A logarithmic axis has no place for what came together.
    apart = [gap for gap in gaps if gap > 0]
    if found is None or not apart:
        return nothing("No answer came in more than one piece")
    figure, (axes,) = framed(rows=1, height=3.6)
    together = len(gaps) - len(apart)
    axes.ecdf(apart, color=STREAMING)
    for percent in (50, 95, 99):
        if (value := found.at(percent)) is not None and value > 0:
            _mark(axes, value, percent)
    axes.set_xscale("log")
    time_axis(axes.xaxis)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share of gaps", color=INK)
    also = f"; {together:,} of {len(gaps):,} came with the one before, and are not drawn"
    axes.set_xlabel(f"ITL{also if together else ''}", color=INK)
    axes.set_title(
        f"Half of {found.count:,} gaps were at most {units.seconds(found.median)}, "
        f"95 of 100 at most {units.seconds(found.at(95))}",
        color=INK,
        loc="left",
    )
    return figure


def _bend(results: Sequence[Result]) -> Result | None:
    """Return the result at the knee; ``None`` where none was passed."""
    found = knee(points(results))
    if found is None or not found.is_reached:
        return None
    closed = (each for each in results if not each.settings.is_open)
    return next(each for each in closed if _load(each) == found.concurrency)


def _percentile_line(
    axes: Axes,
    loads: Sequence[float],
    found: Sequence[Distribution | None],
    percent: int,
    colour: str,
) -> None:
    points: list[tuple[float, Percentile]] = [
        (load, value)
        for load, each in zip(loads, found, strict=True)
        if each is not None and (value := each.percentiles.get(percent)) is not None
    ]
    if not points:
        return
    across, up = [load for load, _ in points], [value.value for _, value in points]
    axes.plot(across, up, "o-", color=colour, markersize=4, label=f"p{percent}")
    for load, each in points:
        if each.low is not None and each.high is not None:
            ends = [each.low, each.high]
            axes.plot([load, load], ends, color=colour, linewidth=1, alpha=0.6)


def _limit(axes: Axes, limit_s: float | None) -> None:
    if limit_s is not None:
        label = f"limit {units.seconds(limit_s)}"
        axes.axhline(limit_s, color=LIMIT, linestyle="--", linewidth=1, label=label)


def _limit_of(results: Sequence[Result], name: str) -> float | None:
    slo = next((each.metrics.slo for each in results if each.metrics.slo), None)
    found: float | None = getattr(slo, name, None)
    return found


def _load(result: Result) -> float:
    settings = result.settings
    return settings.request_rate_rps or float(settings.concurrency or settings.num_prompts)


def _load_name(result: Result) -> str:
    if result.settings.request_rate_rps is not None:
        return f"{_load(result):g} req/s"
    return f"concurrency {_load(result):g}"


def _load_label(results: Sequence[Result]) -> str:
    rates = [each.settings.request_rate_rps is not None for each in results]
    return "requests a second" if all(rates) else "concurrency"


def _load_axis(axes: Axes, results: Sequence[Result]) -> None:
    loads = [_load(each) for each in results]
    if min(loads) > 0 and max(loads) >= 8 * min(loads):
        axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(loads, [f"{load:g}" for load in loads])


def _x(metrics: Metrics) -> float | None:
    return metrics.output_throughput_tps if metrics.e2el else None


def _waiting(request: Request) -> tuple[float, float] | None:
    if not request.ok or request.start_s is None or request.e2el_s is None:
        return None
    waited_s = request.e2el_s if request.ttft_s is None else request.ttft_s
    return request.start_s, request.start_s + waited_s


def _streaming(request: Request) -> tuple[float, float] | None:
    if not request.ok or request.start_s is None:
        return None
    if request.ttft_s is None or request.e2el_s is None:
        return None
    return request.start_s + request.ttft_s, request.start_s + request.e2el_s


def _failed(request: Request) -> tuple[float, float] | None:
    if request.ok or request.start_s is None:
        return None
    return request.start_s, request.start_s + (request.e2el_s or 0.0)


def _mark(axes: Axes, value_s: float, percent: int) -> None:
    share = percent / 100
    axes.plot([value_s, value_s], [0, share], color=INK, linewidth=1, linestyle="--")
    axes.plot([value_s], [share], "o", color=INK, markersize=5)
    axes.annotate(
        f"p{percent} {units.seconds(value_s)}",
        (value_s, share),
        color=INK,
        ha="left" if percent == 99 else "right",
        va="top" if percent == 99 else "bottom",
        xytext=(6, -4) if percent == 99 else (-6, 3),
        textcoords="offset points",
    )


def _load_finding(results: Sequence[Result]) -> str:
    first, last = results[0], results[-1]
    if not first.metrics.ttft or not last.metrics.ttft:
        return "TTFT and TPOT against load"
    return (
        f"Half of the first tokens came within {units.seconds(first.metrics.ttft.median)} at "
        f"{_load_name(first)}, within {units.seconds(last.metrics.ttft.median)} at "
        f"{_load_name(last)}"
    )


def _curve_finding(results: Sequence[Result], bend: Result | None) -> str:
    best = max(results, key=lambda each: _x(each.metrics) or 0.0)
    peak = f"At most {units.rate(_x(best.metrics))}, at {_load(best):g}"
    if bend is None:
        return peak
    return f"{peak}; the knee is at {_load(bend):g} with {units.rate(_x(bend.metrics))}"


def _timeline_finding(result: Result) -> str:
    metrics = result.metrics
    failed = f", {metrics.failed} failed" if metrics.failed else ""
    return (
        f"{metrics.completed} of {metrics.sent} answered in {units.seconds(metrics.duration_s)}, "
        f"up to {metrics.peak_concurrency} at once{failed}"
    )
