"""Results whose numbers are known, for what shows them."""

from __future__ import annotations

from array import array
from dataclasses import replace
from datetime import UTC, datetime

from workbench.bench.result import Fingerprint, Lag, Request, Result, Settings
from workbench.bench.slo import Slo
from workbench.bench.summary import summarize

QUIET = Lag(
    kernel_stamps=True,
    read_mean_s=5e-5,
    read_p99_s=2e-4,
    send_mean_s=1e-5,
    send_p99_s=3e-5,
    share=0.0012,
)


def request(number: int, *, start_s: float = 0.0, ttft_s: float = 0.1) -> Request:
    """Three tokens 20 ms apart, to a prompt of ten."""
    return Request(
        number=number,
        start_s=start_s,
        ttft_s=ttft_s,
        itls_s=array("d", [0.02, 0.02]),
        e2el_s=ttft_s + 0.04,
        input_tokens=10,
        output_tokens=3,
        request_id=f"chatcmpl-{number}",
    )


def result(
    *,
    concurrency: int = 2,
    requests: tuple[Request, ...] | None = None,
    duration_s: float = 2.0,
    slo: Slo | None = None,
    **fields: object,
) -> Result:
    """Four requests that took 100 ms to their first token, unless others are given."""
    kept = requests or tuple(request(number, start_s=number / 4) for number in range(4))
    made = Result(
        settings=Settings(num_prompts=len(kept), concurrency=concurrency, seed=7),
        fingerprint=Fingerprint(
            model="pocket",
            base_url="http://127.0.0.1:8000/v1",
            server="vllm",
            server_version="0.32.0",
        ),
        started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        metrics=summarize(kept, duration_s=duration_s, slo=slo),
        lag=QUIET,
        requests=kept,
    )
    return replace(made, **fields)
