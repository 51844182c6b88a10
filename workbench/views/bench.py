"""
How measurements look: a table, and below it what one has to know of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import units
from ..display import View
from .base import signed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..bench.load import Workers
    from ..bench.result import Distribution, Metrics, Percentile, Result

SHOWN_ERRORS = 3
CACHED_SHARE = 0.05
"""From so many prompt tokens found in the prefix cache on it is said; a template is a few."""

MEANINGS = (
    "TTFT: first text - sent. TPOT: (last text - first) / (output tokens - 1). "
    "ITL: gaps between chunks, which may hold several tokens. E2EL: last text - sent. "
    "± and [ ] are 95 % intervals within this run."
)
NAMES = {"ttft": "TTFT", "tpot": "TPOT", "itl": "ITL", "e2el": "E2EL"}


@dataclass(frozen=True, kw_only=True)
class BenchView(View):
    """Measurements as a table, with the results themselves and their pictures at hand."""

    results: tuple[Result, ...]

    def pictures(self) -> dict[str, Figure]:
        """Draw them: by name, each as a notebook shows it."""
        from ..plots.bench import pictures

        return pictures(self.results)

    def report(self) -> str:
        """Write one HTML page with everything in it, that opens without a network."""
        from .bench_report import report

        return report(self)


def bench_view(results: Sequence[Result]) -> BenchView:
    """Show one measurement in full, or several a line each."""
    from ..bench import vllm_json  # takes longer to import than a status takes

    shown = one_view(results[0]) if len(results) == 1 else several_view(results)
    data = [vllm_json.to_json(result) for result in results]
    return BenchView(
        title=shown.title,
        columns=shown.columns,
        rows=shown.rows,
        note=shown.note,
        numeric=shown.numeric,
        data=data[0] if len(data) == 1 else data,
        ok=all(result.metrics.completed for result in results),
        unsure=any(result.lag.is_loud for result in results),
        results=tuple(results),
    )


def one_view(result: Result) -> View:
    """Show all of a measurement."""
    metrics = result.metrics
    columns = ("", "mean", "median", "p90", "p95", "p99", "of")
    found = {name: getattr(metrics, key) for key, name in NAMES.items()}
    return View(
        title=f"{_headline(result)}\n{throughput_line(metrics)}",
        columns=columns,
        numeric=frozenset(columns[1:]),
        rows=tuple(_row(name, each) for name, each in found.items()),
        note="\n".join([*warnings(result), *_facts(result), MEANINGS]),
    )


def several_view(results: Sequence[Result]) -> View:
    """Show a measurement a line."""
    with_slo = any(result.metrics.slo for result in results)
    columns = (
        *("load", "req/s", "tok/s", "TTFT p50", "p95", "TPOT p50", "p95", "E2EL p50"),
        *("failed", "lag"),
        *(("good",) if with_slo else ()),
    )
    return View(
        title=f"{results[0].fingerprint.model} at {results[0].fingerprint.base_url}",
        columns=columns,
        numeric=frozenset(columns[1:]),
        rows=tuple(_line(result, with_slo=with_slo) for result in results),
        note="\n".join(
            [
                *(f"{load_of(result)}: {line}" for result in results for line in warnings(result)),
                MEANINGS,
            ]
        ),
    )


def load_of(result: Result) -> str:
    """Say how the load came."""
    settings = result.settings
    if settings.trace:
        return "trace"
    if ramp := settings.ramp:
        return f"{ramp['start_rps']:g} to {ramp['end_rps']:g} req/s"
    if settings.request_rate_rps:
        return f"{settings.request_rate_rps:g} req/s"
    return f"concurrency {settings.concurrency or settings.num_prompts}"


def throughput_line(metrics: Metrics) -> str:
    """Say how much was done: requests and tokens a second, and how much failed."""
    parts = [
        f"{metrics.completed} of {metrics.sent} answered in {units.seconds(metrics.duration_s)}",
        units.rate(metrics.request_throughput_rps, "req/s"),
        f"{units.rate(metrics.output_throughput_tps)} out",
        f"{units.rate(metrics.total_throughput_tps)} in and out",
    ]
    if metrics.slo and metrics.slo_attainment is not None:
        good = f"{units.rate(metrics.goodput_rps, 'req/s')}, {metrics.slo_attainment:.1%}"
        parts.append(f"good ({metrics.slo}): {good}")
    if metrics.failed:
        parts.append(f"{metrics.error_rate:.1%} FAILED")
    return " · ".join(parts)


def warnings(result: Result) -> Iterator[str]:
    """Say what makes the numbers doubtful, the loudest first."""
    metrics, lag = result.metrics, result.lag
    if result.interrupted:
        planned = result.settings.num_prompts
        yield f"INTERRUPTED after {metrics.sent} of {planned} requests: this is what came."
    if result.workers and result.workers.lost:
        names = ", ".join(result.workers.lost)
        yield f"LOST: {names} went away; what it was to send is counted as failed."
    if lag.is_loud:
        yield (
            f"WARNING: the client's own lag may be {lag.share:.1%} of what is measured, and above "
            "1 % the numbers are the client's too. Fewer at once, or the client on other cores."
        )
    if metrics.failed:
        yield from _errors(result)
    if metrics.counted < metrics.completed:
        uncounted = metrics.completed - metrics.counted
        yield (
            f"The server sent no usage with {uncounted} of {metrics.completed} answers: tokens, "
            "TPOT of these and throughput are unknown. Chunks are not counted instead."
        )
    if metrics.unanswered:
        yield f"{metrics.unanswered} answers had no text, and so no TTFT."
    yield from _cached(result)
    if result.server:
        for flag in result.server.sides.flags:
            yield f"{flag.id}: {flag.seen}. {flag.means}"


def lag_line(result: Result) -> str:
    """Say how late the client was."""
    lag = result.lag
    stamps = "the kernel's" if lag.kernel_stamps else "its own"
    return (
        f"client lag: read {units.seconds(lag.read_mean_s)} late on average, "
        f"{units.seconds(lag.read_p99_s)} p99; sent {units.seconds(lag.send_p99_s)} p99; times are "
        f"{stamps}: {lag.share:.2%} of what is measured"
    )


def _headline(result: Result) -> str:
    mark = result.fingerprint
    server = f"{mark.server} {mark.server_version}" if mark.server else "no vLLM"
    return f"{mark.model} at {mark.base_url} ({server}): {load_of(result)}"


def _row(name: str, found: Distribution | None) -> tuple[str, ...]:
    if found is None:
        return (name, *[units.UNKNOWN] * 5, "0")
    reach = (found.mean.high - found.mean.low) / 2
    mean = units.seconds(found.mean.value) + (f" ± {units.seconds(reach)}" if reach else "")
    median, p90, p95, p99 = (found.percentiles.get(percent) for percent in (50, 90, 95, 99))
    # Four intervals are wider than a terminal; the file has them all.
    without = units.seconds(p90.value if p90 else None)
    cells = [_percentile(median), without, _percentile(p95), _percentile(p99)]
    return (name, mean, *cells, units.count(found.count))


def _percentile(found: Percentile | None) -> str:
    if found is None:
        return units.UNKNOWN
    if found.low is None or found.high is None:
        return units.seconds(found.value)
    return f"{units.seconds(found.value)} [{units.seconds(found.low)}, {units.seconds(found.high)}]"


def _line(result: Result, *, with_slo: bool) -> tuple[str, ...]:
    metrics = result.metrics
    good = metrics.slo_attainment
    return (
        load_of(result),
        units.rate(metrics.request_throughput_rps, "").strip(),
        units.rate(metrics.output_throughput_tps, "").strip(),
        *_two(metrics.ttft),
        *_two(metrics.tpot),
        _two(metrics.e2el)[0],
        str(metrics.failed),
        f"{result.lag.share:.2%}",
        *((units.UNKNOWN if good is None else f"{good:.1%}",) if with_slo else ()),
    )


def _two(found: Distribution | None) -> tuple[str, str]:
    if found is None:
        return (units.UNKNOWN, units.UNKNOWN)
    return (units.seconds(found.median), units.seconds(found.at(95)))


def _errors(result: Result) -> Iterator[str]:
    counts: dict[str, int] = {}
    for request in result.requests:
        if request.error:
            counts[request.error] = counts.get(request.error, 0) + 1
    most = sorted(counts.items(), key=lambda item: -item[1])
    yield f"{result.metrics.failed} requests failed, and are in no average:"
    for error, count in most[:SHOWN_ERRORS]:
        yield f"  {count} × {error}"
    if len(most) > SHOWN_ERRORS:
        yield f"  and {len(most) - SHOWN_ERRORS} other errors"


def _cached(result: Result) -> Iterator[str]:
    share = result.server.prefix_cache_hit_share if result.server else None
    asked = result.fingerprint.workload
    expected = asked.get("shared_prefix") or asked.get("turns", 1) != 1
    if share is not None and share >= CACHED_SHARE and not expected:
        yield (
            f"{share:.0%} of the prompts' tokens came from the server's prefix cache: it had seen "
            "them. Another --seed asks something new."
        )


def workers_line(workers: Workers) -> str:
    """Say which machines sent, and how well their clocks are known."""
    return (
        f"sent by {units.count(len(workers.names), 'worker')}, processes {workers.processes}: "
        f"{', '.join(workers.names)}; their clocks are known within "
        f"{units.seconds(workers.clock_error_s)}, which is in no latency: each is of one machine"
    )


def _facts(result: Result) -> Iterator[str]:
    yield lag_line(result)
    if result.workers:
        yield workers_line(result.workers)
    if cold := result.cold:
        first = cold.ttft.mean.value if cold.ttft else None
        yield (
            f"warm-up, left out above: {units.count(cold.sent, 'request')}, TTFT "
            f"{units.seconds(first)} on average, {cold.failed} failed"
        )
    if result.server:
        yield from server_lines(result)


def server_lines(result: Result) -> Iterator[str]:
    """Say where time went, by what the server counted."""
    server = result.server
    if server is None:
        return
    parts = [
        f"{part.name} {signed(part.e2e_s)}"
        for part in server.sides.parts[1:]
        if part.e2e_s is not None
    ]
    if parts:
        yield f"where a request's time went: {', '.join(parts)}"
    running = [moment.running for moment in server.moments if moment.running is not None]
    waiting = [moment.waiting for moment in server.moments if moment.waiting is not None]
    cache = [
        moment.kv_cache_usage for moment in server.moments if moment.kv_cache_usage is not None
    ]
    said = []
    if running:
        said.append(f"up to {max(running):.0f} running")
    if waiting:
        said.append(f"up to {max(waiting):.0f} waiting")
    if cache:
        said.append(f"KV cache up to {max(cache):.0%} full")
    if server.preemptions is not None:
        said.append(f"{server.preemptions:.0f} preemptions")
    if server.prefix_cache_hit_share is not None:
        said.append(f"{server.prefix_cache_hit_share:.0%} of prompts from the prefix cache")
    if said:
        yield f"the server: {', '.join(said)}"
