"""
Results in the JSON and under the file names of ``vllm bench serve``, and back.

Fields and names are those of ``vllm/benchmarks/serve.py`` (read at 0.32), so
that what reads its results reads these. ``latencies`` and ``queue_times`` are
there without ``--save-detailed`` too, as they are there. What vLLM has no field
for is under ``workbench``, and ``request_ids`` among the arrays. Two values
differ: what is unknown is null (a p99 below 100 requests), and no texts are
kept, so ``generated_texts`` is left out. ``start_times`` count from the run's start.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..reconcile import Flag, Part, Reconciliation
from .intervals import Interval, Z
from .load import Workers
from .result import (
    Distribution,
    Fingerprint,
    Lag,
    Metrics,
    Moment,
    Percentile,
    Request,
    Result,
    ServerSide,
    Settings,
)
from .slo import Slo
from .summary import PERCENTILES, summarize

BACKEND = "openai-chat"
"""vLLM's name for what is asked: ``/v1/chat/completions``."""

NAMES = ("ttft", "tpot", "itl", "e2el")
Json = dict[str, Any]


def file_name(result: Result, *, label: str = "workbench") -> str:
    """Return the name that vLLM would give the file."""
    settings = result.settings
    concurrency = f"-concurrency{settings.concurrency}" if settings.concurrency else ""
    rate: object = settings.request_rate_rps or "inf"
    if ramp := settings.ramp:
        rate = f"ramp-up-{ramp['shape']}-{ramp['start_rps']}qps-{ramp['end_rps']}"
    model = re.sub(r"[^\w.-]", "_", result.fingerprint.model.split("/")[-1])
    return f"{label}-{rate}qps{concurrency}-{model}-{_date(result)}.json"


def to_json(result: Result, *, detailed: bool = False, label: str = "workbench") -> Json:
    """
    Write a result as vLLM does.

    Args:
        detailed: With a value for each request and each token: ``--save-detailed``.
    """
    written = _setup(result, label) | _totals(result)
    if detailed:
        written |= _arrays(result.requests)
    written |= {
        "latencies": [request.e2el_s or 0.0 for request in result.requests],
        "queue_times": [request.queue_s for request in result.requests],
        **_peaks(result.requests),
        "rtfx": 0.0,
    }
    for name in NAMES:
        written |= _statistics(name, getattr(result.metrics, name))
    if result.settings.concurrency is not None:
        written |= _statistics("client_queue_time", result.metrics.queue)
    return written | {"workbench": _own(result)}


def read(path: Path) -> Result:
    """
    Read a result of ours, or one of ``vllm bench serve``.

    Raises:
        ConfigError: It is no such file.
    """
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigError(
            f"{path} cannot be read as a result: {type(exc).__name__}: {exc}.",
            hint="A file of workbench bench --save, or of vllm bench serve --save-result.",
            key="result",
        ) from exc


def from_json(written: Mapping[str, Any]) -> Result:
    """Read what :func:`to_json` or vLLM wrote."""
    requests = _requests(written) if "ttfts" in written else ()
    own = written.get("workbench")
    if own is None:
        return _foreign(written, requests)
    return Result(
        settings=Settings(**own["settings"] | {"burstiness": float(own["settings"]["burstiness"])}),
        fingerprint=Fingerprint(**own["fingerprint"]),
        started_at=datetime.fromisoformat(own["started_at"]),
        metrics=_metrics(own["metrics"]),
        lag=Lag(**own["lag"]),
        requests=requests,
        cold=_metrics(own["cold"]) if own["cold"] else None,
        server=_server(own["server"]) if own["server"] else None,
        interrupted=own["interrupted"],
        workers=_workers(own.get("workers")),  # not in files of before there were any
    )


# --- Writing ---


def _date(result: Result) -> str:
    return result.started_at.astimezone().strftime("%Y%m%d-%H%M%S")


def _setup(result: Result, label: str) -> Json:
    settings = result.settings
    setup: Json = {
        "date": _date(result),
        "endpoint_type": BACKEND,
        "backend": BACKEND,
        "label": label,
        "model_id": result.fingerprint.model,
        "tokenizer_id": None,
        "num_prompts": settings.num_prompts,
        "request_rate": settings.request_rate_rps or "inf",
        "burstiness": _finite(settings.burstiness),
        "max_concurrency": settings.concurrency,
    }
    if ramp := settings.ramp:
        setup |= {
            "ramp_up_strategy": ramp["shape"],
            "ramp_up_start_rps": ramp["start_rps"],
            "ramp_up_end_rps": ramp["end_rps"],
        }
    return setup


def _totals(result: Result) -> Json:
    metrics = result.metrics
    return {
        "duration": metrics.duration_s,
        "completed": metrics.completed,
        "failed": metrics.failed,
        "total_input_tokens": metrics.input_tokens,
        "total_output_tokens": metrics.output_tokens,
        "request_throughput": metrics.request_throughput_rps,
        "request_goodput": metrics.goodput_rps,
        "output_throughput": metrics.output_throughput_tps,
        "total_token_throughput": metrics.total_throughput_tps,
    }


def _arrays(requests: Sequence[Request]) -> Json:
    return {
        "input_lens": [request.input_tokens for request in requests],
        "output_lens": [_or_zero(request.output_tokens, request) for request in requests],
        "ttfts": [request.ttft_s or 0.0 for request in requests],
        "itls": [list(request.itls_s) for request in requests],
        "start_times": [request.start_s for request in requests],
        "errors": [request.error or "" for request in requests],
        "request_ids": [request.request_id for request in requests],
    }


def _or_zero(count: int | None, request: Request) -> int | None:
    """Return vLLM's zero for what failed; unknown stays null."""
    return 0 if count is None and not request.ok else count


def _statistics(name: str, found: Distribution | None) -> Json:
    if found is None:
        return dict.fromkeys((f"mean_{name}_ms", f"median_{name}_ms", f"std_{name}_ms"))
    return {
        f"mean_{name}_ms": found.mean.value * 1e3,
        f"median_{name}_ms": found.median * 1e3,
        f"std_{name}_ms": found.std * 1e3,
        **{f"p{percent}_{name}_ms": _ms(found.at(percent)) for percent in PERCENTILES},
    }


def _ms(value_s: float | None) -> float | None:
    return None if value_s is None else value_s * 1e3


def _peaks(requests: Sequence[Request]) -> Json:
    """Count as vLLM does: chunks, and requests that were there, in each whole second."""
    done = [request for request in requests if request.ok and request.start_s is not None]
    origin_s = min((request.start_s or 0.0 for request in done), default=0.0)
    tokens: Counter[int] = Counter()
    there: Counter[int] = Counter()
    for request in done:
        start_s = (request.start_s or 0.0) - origin_s
        if request.ttft_s is not None:
            stamps = accumulate(request.itls_s, initial=start_s + request.ttft_s)
            tokens.update(int(at_s) for at_s in stamps)
        there.update(range(int(start_s), int(start_s + (request.e2el_s or 0.0)) + 1))
    return {
        "max_output_tokens_per_s": float(max(tokens.values(), default=0)),
        "max_concurrent_requests": max(there.values(), default=0),
    }


def _own(result: Result) -> Json:
    settings = asdict(result.settings)
    return {
        "settings": settings | {"burstiness": _finite(result.settings.burstiness)},
        "fingerprint": asdict(result.fingerprint),
        "started_at": result.started_at.isoformat(),
        "metrics": asdict(result.metrics),
        "cold": asdict(result.cold) if result.cold else None,
        "lag": asdict(result.lag),
        "server": asdict(result.server) if result.server else None,
        "interrupted": result.interrupted,
        "workers": asdict(result.workers) if result.workers else None,
        "late_times": [request.late_s for request in result.requests],
        "cached_lens": [request.cached_tokens for request in result.requests],
    }


def _finite(value: float) -> float | str:
    """Write infinity as vLLM does: JSON has none."""
    return "inf" if math.isinf(value) else value


# --- Reading ---


def _requests(written: Mapping[str, Any]) -> tuple[Request, ...]:
    own = written.get("workbench") or {}
    count = len(written["ttfts"])
    nothing = [None] * count
    starts = _from_their_first(written) if not own else written["start_times"]
    columns = zip(
        starts,
        written.get("queue_times", [0.0] * count),
        own.get("late_times", [0.0] * count),
        written["ttfts"],
        written["itls"],
        written.get("latencies", nothing),
        written["input_lens"],
        own.get("cached_lens", nothing),
        written["output_lens"],
        written["errors"],
        written.get("request_ids", nothing),
        strict=True,
    )
    return tuple(_request(number, row) for number, row in enumerate(columns))


def _request(number: int, row: tuple[Any, ...]) -> Request:
    start_s, queue_s, late_s, ttft_s, itls_s, e2el_s, asked, cached, output, error, name = row
    if e2el_s is None and ttft_s:  # vLLM before 0.31 wrote no latencies
        e2el_s = ttft_s + sum(itls_s)
    return Request(
        number=number,
        start_s=start_s,
        queue_s=queue_s,
        late_s=late_s,
        ttft_s=ttft_s or None,
        itls_s=array("d", itls_s),
        e2el_s=e2el_s or None,
        input_tokens=asked,
        cached_tokens=cached,
        output_tokens=None if error and not output else output,
        error=error or None,
        request_id=name,
    )


def _from_their_first(written: Mapping[str, Any]) -> list[float]:
    """Let vLLM's times, of a clock that began at some time, begin at nothing."""
    starts: list[float] = written["start_times"]
    return [start - min(starts) for start in starts]


def _metrics(written: Mapping[str, Any]) -> Metrics:
    found = {name: _distribution(written[name]) for name in (*NAMES, "queue")}
    slo = Slo(**written["slo"]) if written["slo"] else None
    return Metrics(**{**written, **found, "slo": slo})


def _distribution(written: Mapping[str, Any] | None) -> Distribution | None:
    if written is None:
        return None
    return Distribution(
        count=written["count"],
        mean=Interval(**written["mean"]),
        std=written["std"],
        percentiles={
            int(percent): Percentile(**found) if found else None
            for percent, found in written["percentiles"].items()
        },
    )


def _server(written: Mapping[str, Any]) -> ServerSide:
    sides = written["sides"]
    parts = tuple(Part(**part) for part in sides["parts"])
    flags = tuple(Flag(**flag) for flag in sides["flags"])
    read = {
        "sides": Reconciliation(**sides | {"parts": parts, "flags": flags}),
        "moments": tuple(Moment(**moment) for moment in written["moments"]),
    }
    return ServerSide(**{**written, **read})


def _workers(written: Mapping[str, Any] | None) -> Workers | None:
    if written is None:
        return None
    names, lost = tuple(written["names"]), tuple(written["lost"])
    return Workers(**{**written, "names": names, "lost": lost})


def _foreign(written: Mapping[str, Any], requests: tuple[Request, ...]) -> Result:
    """Read a file of vLLM's own: what it does not say is unknown."""
    rate = written.get("request_rate")
    ramp = written.get("ramp_up_strategy")
    return Result(
        settings=Settings(
            num_prompts=written["num_prompts"],
            concurrency=written.get("max_concurrency"),
            request_rate_rps=None if rate in (None, "inf") else float(rate),
            burstiness=float(written.get("burstiness", 1.0)),
            ramp={
                "shape": ramp,
                "start_rps": written["ramp_up_start_rps"],
                "end_rps": written["ramp_up_end_rps"],
            }
            if ramp
            else None,
        ),
        fingerprint=Fingerprint(model=written["model_id"], base_url=""),
        started_at=datetime.strptime(written["date"], "%Y%m%d-%H%M%S").astimezone(UTC),
        metrics=summarize(requests, duration_s=written["duration"])
        if requests
        else _foreign_metrics(written),
        lag=Lag(
            kernel_stamps=False,
            read_mean_s=None,
            read_p99_s=None,
            send_mean_s=None,
            send_p99_s=None,
            share=0.0,
        ),
        requests=requests,
    )


def _foreign_metrics(written: Mapping[str, Any]) -> Metrics:
    completed, failed = written["completed"], written.get("failed", 0)
    found: Json = {name: _foreign_distribution(written, name, completed) for name in NAMES}
    return Metrics(
        duration_s=written["duration"],
        sent=completed + failed,
        completed=completed,
        failed=failed,
        unanswered=0,
        counted=completed,
        input_tokens=written["total_input_tokens"],
        output_tokens=written["total_output_tokens"],
        **found,
        peak_concurrency=written.get("max_concurrent_requests", 0),
    )


def _foreign_distribution(written: Mapping[str, Any], name: str, count: int) -> Distribution | None:
    mean_ms = written.get(f"mean_{name}_ms")
    if mean_ms is None or not count:
        return None
    # The normal's interval, since the values are not there for Student's.
    reach_ms = Z * written[f"std_{name}_ms"] / math.sqrt(count)
    known = {50: written[f"median_{name}_ms"]} | {
        percent: written[f"p{percent}_{name}_ms"]
        for percent in PERCENTILES
        if written.get(f"p{percent}_{name}_ms") is not None
    }
    return Distribution(
        count=count,
        mean=Interval(mean_ms, mean_ms - reach_ms, mean_ms + reach_ms).scaled(1e-3),
        std=written[f"std_{name}_ms"] / 1e3,
        percentiles={
            percent: Percentile(value=known[percent] / 1e3) if percent in known else None
            for percent in PERCENTILES
        },
    )
