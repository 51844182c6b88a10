"""
What vLLM's ``/metrics`` says, under one name for every version. Pure.

vLLM renames metrics: a page of 0.9.2 and one of 0.33 say the same in other
words. Everything here that reads such a page, or writes a query for one, takes
the names from this table. The names were read in vLLM's sources,
``vllm/v1/metrics/loggers.py`` of 0.9.2, 0.11.2, 0.12.0, 0.16.0, 0.24.0, 0.32.0
and 0.33.0, and ``vllm/engine/metrics.py`` of 0.9.2 for its older engine (V0);
what is said about other versions lies between two of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a metric is read: as it is, as what was added, or as a distribution."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """
    One thing that a server says about itself.

    Args:
        name: Our name of it.

        means: What it is, in a line.

        unit: ``s``, ``tokens``, ``requests`` …; ``share`` is from 0 to 1.

        names: vLLM's, the newest first. Where a page has two it is the same
            number twice, so that one is read and they are never added up. A
            counter's name stands without the ``_total`` that the page adds.

        fullest: Of several engines the highest counts, and not the sum.
    """

    name: str
    means: str
    unit: str
    kind: Kind
    names: tuple[str, ...]
    fullest: bool = False


def _gauge(name: str, unit: str, means: str, *names: str, fullest: bool = False) -> Metric:
    return Metric(name=name, means=means, unit=unit, kind=Kind.GAUGE, names=names, fullest=fullest)


def _counter(name: str, unit: str, means: str, *names: str) -> Metric:
    return Metric(name=name, means=means, unit=unit, kind=Kind.COUNTER, names=names)


def _time(name: str, means: str, *names: str) -> Metric:
    return Metric(name=name, means=means, unit="s", kind=Kind.HISTOGRAM, names=names)


METRICS = (
    _gauge("running", "requests", "in the batch that is computed", "vllm:num_requests_running"),
    _gauge("waiting", "requests", "waiting for a place in it", "vllm:num_requests_waiting"),
    # 0.9.2's V1 has both, its V0 the old one only; hidden in 0.11, gone in 0.12.
    _gauge(
        "kv_cache_usage",
        "share",
        "how full the KV cache is",
        "vllm:kv_cache_usage_perc",
        "vllm:gpu_cache_usage_perc",
        fullest=True,
    ),
    # As kv_cache_usage; V0 has neither.
    _counter(
        "prefix_cache_queries",
        "tokens",
        "looked for in the prefix cache",
        "vllm:prefix_cache_queries",
        "vllm:gpu_prefix_cache_queries",
    ),
    _counter(
        "prefix_cache_hits",
        "tokens",
        "found there",
        "vllm:prefix_cache_hits",
        "vllm:gpu_prefix_cache_hits",
    ),
    _counter(
        "preemptions",
        "times",
        "a request was put back because the KV cache was full",
        "vllm:num_preemptions",
    ),
    _counter("prompt_tokens", "tokens", "of prompts", "vllm:prompt_tokens"),
    _counter("generation_tokens", "tokens", "decoded", "vllm:generation_tokens"),
    _counter(
        "finished",
        "requests",
        "that ended, by reason: stop, length, abort, error …",
        "vllm:request_success",
    ),
    _time("ttft", "arrival to first token", "vllm:time_to_first_token_seconds"),
    # Renamed in 0.11 (both there), the old one hidden in 0.12, gone by 0.16. The old name meant
    # the gaps between tokens too, and not the mean of a request, which has its own since.
    _time(
        "itl",
        "gap between two tokens",
        "vllm:inter_token_latency_seconds",
        "vllm:time_per_output_token_seconds",
    ),
    _time(
        "tpot",
        "mean gap of a request; not in 0.9.2",
        "vllm:request_time_per_output_token_seconds",
    ),
    _time("e2e", "arrival to the end", "vllm:e2e_request_latency_seconds"),
    _time("queue", "waiting for the engine", "vllm:request_queue_time_seconds"),
    _time("prefill", "scheduled to first token", "vllm:request_prefill_time_seconds"),
    _time("decode", "first token to last", "vllm:request_decode_time_seconds"),
    _time("inference", "prefill and decode", "vllm:request_inference_time_seconds"),
)

BY_NAME = {metric.name: metric for metric in METRICS}

STARTED = "process_start_time_seconds"
"""Not vLLM's but Prometheus' own: tells one start of a server from the next."""
