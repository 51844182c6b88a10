"""
The server's side of what happened: its metrics over a window, and beside the client's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from . import scrapes
from .errors import ServerFailureError, ServerUnreachableError
from .metric_names import METRICS, Kind, Metric
from .reconcile import Asked, Reconciliation, finished, reconcile
from .records import Generation, Scrape
from .servers.base import Server
from .servers.metrics_page import ask_page, read_page, text_of
from .urls import root_url

if TYPE_CHECKING:
    import pandas as pd

    from .telemetry import Telemetry

SETTLES_WITHIN_S = 2.0
"""vLLM counts a request a moment after its last token is sent, and telemetry writes in its own."""

LOOK_EVERY_S = 0.05

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def scrape(server: Server) -> Scrape:
    """
    Read a server's metrics now.

    Raises:
        ServerUnreachableError: Nothing answers.

        ServerFailureError: There is no page, or it has nothing of vLLM's.
    """
    root = root_url(server.base_url)
    at, at_s = datetime.now(UTC), time.monotonic()
    answer = ask_page(root, api_key=server.api_key)
    if answer.status == 0:
        raise ServerUnreachableError(
            f"Nothing answers at {root}/metrics: {answer.error}.",
            hint="See: workbench status",
            base_url=server.base_url,
        )
    found = read_page(text_of(answer), at=at, at_s=at_s)
    if not found.series:
        raise ServerFailureError(
            f"{root}/metrics answers with status {answer.status} and nothing of vLLM's.",
            hint="vLLM counts unless it is started with --disable-log-stats; a proxy before it "
            "may not pass /metrics on.",
            base_url=server.base_url,
        )
    return found


def window(server: Server, window_s: float) -> tuple[Scrape, Scrape]:
    """
    Read a server's metrics twice, *window_s* apart.

    Args:
        window_s: 0 waits for nothing, and means the time since the server's start.

    Raises:
        ServerFailureError: The page does not say when the server started, and there is no window.
    """
    if window_s > 0:
        before = scrape(server)
        time.sleep(window_s)
        return before, scrape(server)
    after = scrape(server)
    start = scrapes.at_start(after)
    if start is None:
        raise ServerFailureError(
            f"{root_url(server.base_url)}/metrics does not say when the server started.",
            hint="Give a window in seconds: --window 10",
            base_url=server.base_url,
        )
    return start, after


def frame(before: Scrape, after: Scrape) -> pd.DataFrame:
    """
    Lay out what a server did between two pages, a metric a row, several engines added up.

    Columns: ``means`` and ``unit`` (``metric_names``); ``now`` of a gauge;
    ``count`` and ``per_s`` of what was counted or observed; ``mean``, ``p50``,
    ``p95`` and ``p99`` of a histogram, in its unit; a quantile below
    ``resolution`` lies in the first bucket, and is only known to be below that. Unknown is NaN.
    ``prefix_cache_hit_share`` is hits over queries, and ``finished.stop`` and
    the like are its parts by reason.
    """
    import pandas as pd  # slower to import than all of the workbench

    rows = [_row(metric, before, after) for metric in METRICS]
    rows += _by_reason(before, after)
    rows.append(_hit_share(before, after))
    columns = ["metric", "means", "unit", "now", "count", "per_s", "mean", *QUANTILES, "resolution"]
    table = pd.DataFrame(rows, columns=columns).set_index("metric")
    numbers = columns[3:]
    return table.astype(dict.fromkeys(numbers, "float64"))


def _row(metric: Metric, before: Scrape, after: Scrape) -> dict[str, Any]:
    row: dict[str, Any] = {"metric": metric.name, "means": metric.means, "unit": metric.unit}
    if metric.kind is Kind.GAUGE:
        return row | {"now": scrapes.now(after, metric.name)}
    if metric.kind is Kind.COUNTER:
        return row | _counted(scrapes.increase(before, after, metric.name), before, after)
    seen = scrapes.observed(before, after, metric.name)
    quantiles = {name: scrapes.quantile(seen, share) for name, share in QUANTILES.items()}
    count = None if seen is None else seen.count
    sizes = {"mean": scrapes.mean(seen), "resolution": scrapes.resolution(seen)}
    return row | _counted(count, before, after) | sizes | quantiles


def _counted(count: float | None, before: Scrape, after: Scrape) -> dict[str, float | None]:
    window_s = after.at_s - before.at_s
    per_s = count / window_s if count is not None and window_s > 0 else None
    return {"count": count, "per_s": per_s}


def _by_reason(before: Scrape, after: Scrape) -> list[dict[str, Any]]:
    labels = [dict(key) for key in after.series.get("finished", {})]
    reasons = dict.fromkeys(label.get("finished_reason", "") for label in labels)
    rows = []
    for reason in filter(None, reasons):
        count = scrapes.increase(before, after, "finished", finished_reason=reason)
        row = {"metric": f"finished.{reason}", "means": f"by {reason}", "unit": "requests"}
        rows.append(row | _counted(count, before, after))
    return rows


def _hit_share(before: Scrape, after: Scrape) -> dict[str, Any]:
    hits = scrapes.increase(before, after, "prefix_cache_hits")
    queries = scrapes.increase(before, after, "prefix_cache_queries")
    share = hits / queries if queries and hits is not None else None
    means = "of prompts' tokens found in the prefix cache"
    return {
        "metric": "prefix_cache_hit_share", "means": means, "unit": "share", "mean": share
    }  # fmt: skip


def reconcile_one(server: Server, ask: Callable[[], Generation]) -> Reconciliation:
    """
    Send one request between two pages, and lay both sides beside each other.

    It is one request only if nobody else asks meanwhile; the result says so if not.
    """
    before = scrape(server)
    answer = ask()
    after = _settled(server, before, at_least=1)
    return reconcile([_asked(answer)], before, after)


def _settled(server: Server, before: Scrape, *, at_least: int) -> Scrape:
    """Read the page until the server has counted what it has answered."""
    deadline_s = time.monotonic() + SETTLES_WITHIN_S
    after = scrape(server)
    while (finished(before, after) or 0) < at_least and time.monotonic() < deadline_s:
        time.sleep(LOOK_EVERY_S)
        after = scrape(server)
    return after


def _asked(answer: Generation) -> Asked:
    assert answer.e2e_latency_s is not None  # a generation that came to its end has one
    return Asked(ttft_s=answer.ttft_s, e2e_latency_s=answer.e2e_latency_s)


def reconcile_between(
    server: Server, telemetry: Telemetry, before: Scrape, after: Scrape
) -> Reconciliation:
    """Lay the requests recorded between two pages beside what the server counted."""
    deadline_s = time.monotonic() + SETTLES_WITHIN_S
    asked = _recorded(telemetry, server, before, after)
    while len(asked) < (finished(before, after) or 0) and time.monotonic() < deadline_s:
        time.sleep(LOOK_EVERY_S)
        asked = _recorded(telemetry, server, before, after)
    return reconcile(asked, before, after)


def _recorded(telemetry: Telemetry, server: Server, before: Scrape, after: Scrape) -> list[Asked]:
    """Read the requests to this server that began and ended between two pages."""
    import pandas as pd

    rows = telemetry.frame(since=before.at)
    ended = rows["timestamp"] + pd.to_timedelta(rows["duration_s"], unit="s")
    theirs = rows["base_url"].map(lambda url: root_url(str(url)) == root_url(server.base_url))
    whole = rows["status"] == "ok"
    within = rows[whole & theirs.astype(bool) & (ended <= pd.Timestamp(after.at))]
    return [
        Asked(ttft_s=None if pd.isna(ttft_s) else ttft_s, e2e_latency_s=latency_s)
        for ttft_s, latency_s in zip(within["ttft_s"], within["e2e_latency_s"], strict=True)
    ]
