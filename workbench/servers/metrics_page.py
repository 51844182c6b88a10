"""
A server's ``/metrics``: the only reader of that page, and of Prometheus' text format.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from math import inf
from typing import NamedTuple

from ..metric_names import BY_NAME, METRICS, STARTED, Kind, Metric
from ..records import Histogram, Labels, Scrape, Value
from .base import PROBE_TIMEOUT_S, Answer, ask

_SUFFIX = re.compile(r"(_total|_bucket|_sum|_count)$")
_LOAD = ("running", "waiting")


class _Sample(NamedTuple):
    suffix: str
    labels: dict[str, str]
    value: float


def ask_page(root: str, *, api_key: str | None, timeout_s: float = PROBE_TIMEOUT_S) -> Answer:
    """Get the page from a server's root URL; with the key, which a proxy may want."""
    return ask(f"{root}/metrics", api_key=api_key, timeout_s=timeout_s)


def requests_under_way(root: str, *, api_key: str | None) -> int | None:
    """
    Count the requests that run or wait on a server.

    Returns:
        ``None`` where its page does not have the number.
    """
    return count_requests(text_of(ask_page(root, api_key=api_key)), *_LOAD)


def count_requests(page: str, *names: str) -> int | None:
    """Add up the gauges *names*, over all engines; ``None`` if the page has none of them."""
    wanted = [BY_NAME[name] for name in names]
    values = [
        value
        for series in _series(page, wanted).values()
        for value in series.values()
        if isinstance(value, float)
    ]
    return round(sum(values)) if values else None


def text_of(answer: Answer) -> str:
    """Return the page, or nothing of an answer that is none."""
    return answer.body.decode(errors="replace") if answer.status == 200 else ""


def read_page(page: str, *, at: datetime, at_s: float) -> Scrape:
    """
    Read what the table of names knows; the rest of the page is passed over.

    Args:
        at: When it was asked for, in UTC.

        at_s: The same by ``time.monotonic``.
    """
    started = [sample.value for sample in _samples(page, [STARTED]).get(STARTED, ())]
    return Scrape(
        at=at,
        at_s=at_s,
        series=_series(page, METRICS),
        started_s=started[0] if started else None,
    )


def cache_settings(page: str) -> Mapping[str, str]:
    """Read how the KV cache is set up: the labels of ``vllm:cache_config_info``, all text."""
    name = "vllm:cache_config_info"
    found = _samples(page, [name]).get(name, ())
    return found[0].labels if found else {}


def _series(page: str, metrics: Iterable[Metric]) -> dict[str, Mapping[Labels, Value]]:
    metrics = list(metrics)
    samples = _samples(page, [name for metric in metrics for name in metric.names])
    found: dict[str, Mapping[Labels, Value]] = {}
    for metric in metrics:
        theirs = next((samples[name] for name in metric.names if name in samples), None)
        if theirs:
            read = _histograms if metric.kind is Kind.HISTOGRAM else _numbers
            found[metric.name] = read(theirs)
    return found


def _samples(page: str, names: Iterable[str]) -> dict[str, list[_Sample]]:
    """Parse the lines of some metrics only: of a page of 400 lines that is a third of the time."""
    # Takes a tenth of a second to import, and a status has 0.3 s for everything.
    from prometheus_client.parser import text_string_to_metric_families

    names = frozenset(names)
    lines = [line for line in page.splitlines() if _name_in(line) in names]
    found: defaultdict[str, list[_Sample]] = defaultdict(list)
    if lines:
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for sample in family.samples:
                name, suffix = _split(sample.name)
                # The parser makes an int of "1".
                found[name].append(_Sample(suffix, sample.labels, float(sample.value)))
    return dict(found)


def _name_in(line: str) -> str:
    return _split(re.split(r"[{ ]", line, maxsplit=1)[0])[0]


def _split(name: str) -> tuple[str, str]:
    """Tell a metric's name from what the format adds to it."""
    suffix = _SUFFIX.search(name)
    return (name[: suffix.start()], suffix.group()) if suffix else (name, "")


def _numbers(samples: Iterable[_Sample]) -> dict[Labels, Value]:
    return {_labels(sample.labels): sample.value for sample in samples}


def _histograms(samples: Iterable[_Sample]) -> dict[Labels, Value]:
    parts: defaultdict[Labels, list[_Sample]] = defaultdict(list)
    for sample in samples:
        parts[_labels(sample.labels)].append(sample)
    return {labels: _histogram(theirs) for labels, theirs in parts.items()}


def _histogram(samples: Iterable[_Sample]) -> Histogram:
    buckets: dict[float, float] = {}
    whole = {"_count": 0.0, "_sum": 0.0}
    for suffix, labels, value in samples:
        if suffix == "_bucket":
            buckets[float(labels["le"])] = value
        else:
            whole[suffix] = value
    count = whole["_count"] or buckets.get(inf, 0.0)
    return Histogram(tuple(sorted(buckets.items())), count, whole["_sum"])


def _labels(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted((name, value) for name, value in labels.items() if name != "le"))


def vllm_names(page: str) -> Iterator[str]:
    """Yield the names of vLLM's own metrics, whether the table knows them or not."""
    for line in page.splitlines():
        if line.startswith("# TYPE vllm:"):
            yield line.split()[2]
