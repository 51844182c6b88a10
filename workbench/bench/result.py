"""
What a measurement found.

Times are seconds. A request's are after the start of the run, by a clock that
only goes forward; ``Result.started_at`` joins them to the calendar.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..reconcile import Reconciliation
from .intervals import Interval
from .load import Workers
from .slo import Slo

LOUD_SHARE = 0.01
"""From this share of what is measured on, the client's own lag is not passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One request as the client saw it.

    Args:
        start_s: When it was sent; ``None``: it never was.

        queue_s: From when the arrivals had it until it was sent, a wait for room
            included: in a closed loop, where all are due at once, since the start.
            vLLM's, and no part of TTFT.

        late_s: How much of that was the client's own lateness.

        ttft_s: ``None``: no chunk had text.

        itls_s: Gaps between the chunks with text: of tokens only where a chunk is a token.

        e2el_s: Until the last chunk with text; of an answer without, until its end.

        output_tokens: As the server's ``usage`` counts them, and never chunks.

        error: A sentence; ``None``: it was answered to the end.

        request_id: As the server named it.
    """

    number: int
    start_s: float | None
    queue_s: float = 0.0
    late_s: float = 0.0
    ttft_s: float | None = None
    itls_s: array[float] = field(default_factory=lambda: array("d"))
    e2el_s: float | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    error: str | None = None
    request_id: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it was answered to the end."""
        return self.error is None

    @property
    def tpot_s(self) -> float | None:
        """Time per output token after the first; ``None`` below two tokens, or uncounted."""
        if not self.output_tokens or self.output_tokens < 2:
            return None
        if self.ttft_s is None or self.e2el_s is None:
            return None
        return (self.e2el_s - self.ttft_s) / (self.output_tokens - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile:
    """
    A percentile, and where it lies with 95 % confidence.

    Args:
        low, high: ``None`` where so few values cannot tell.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """
    One kind of duration over all requests that have it, in seconds.

    Args:
        mean: With an interval from two values on.

        percentiles: By number: 50, 90, 95, 99; one that so few values do not
            have is ``None``.
    """

    count: int
    mean: Interval
    std: float
    percentiles: Mapping[int, Percentile | None]

    @property
    def median(self) -> float:
        """The value in the middle."""
        middle = self.percentiles[50]
        assert middle is not None
        return middle.value

    def at(self, percent: int) -> float | None:
        """Return a percentile's value."""
        found = self.percentiles.get(percent)
        return None if found is None else found.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """
    The numbers people compare; definitions are vLLM's (CONTRIBUTING has the table).

    Args:
        duration_s: From the first request's time to the last answer's end.

        completed: Answered to the end. Only these are in the distributions.

        failed: All others; ``error_rate`` is their share.

        unanswered: Of those completed, how many had no text.

        counted: Of those completed, how many had a ``usage``.

        input_tokens, output_tokens: ``None`` unless all completed ones were counted.

        good: Completed requests that kept to every limit of *slo*.
    """

    duration_s: float
    sent: int
    completed: int
    failed: int
    unanswered: int
    counted: int
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None = None
    ttft: Distribution | None = None
    tpot: Distribution | None = None
    itl: Distribution | None = None
    e2el: Distribution | None = None
    queue: Distribution | None = None
    peak_concurrency: int = 0
    slo: Slo | None = None
    good: int | None = None

    @property
    def error_rate(self) -> float:
        """The share of what was sent that was not answered to the end."""
        return self.failed / self.sent if self.sent else 0.0

    @property
    def request_throughput_rps(self) -> float:
        """Completed requests a second."""
        return self._per_s(self.completed) or 0.0

    @property
    def output_throughput_tps(self) -> float | None:
        """Output tokens a second, over all requests."""
        return self._per_s(self.output_tokens)

    @property
    def total_throughput_tps(self) -> float | None:
        """Input and output tokens a second."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self._per_s(self.input_tokens + self.output_tokens)

    @property
    def goodput_rps(self) -> float | None:
        """Good requests a second."""
        return self._per_s(self.good)

    @property
    def slo_attainment(self) -> float | None:
        """The share of what was sent that was good: one that failed is not."""
        return None if self.good is None or not self.sent else self.good / self.sent

    def _per_s(self, count: int | None) -> float | None:
        if count is None or self.duration_s <= 0:
            return None
        return count / self.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """
    How late the client itself was.

    Args:
        kernel_stamps: Whether times are the kernel's, when a packet came. Then
            reading late moves a token's time only where two of one answer are
            read together.

        read_mean_s, read_p99_s: How long what was read had lain there; ``None``: nothing was.

        send_mean_s, send_p99_s: How much later than due requests were sent.

        share: What it may have moved, as a share of what is measured: of a gap
            between tokens (else of the TTFT), or of the requests' times.
    """

    kernel_stamps: bool
    read_mean_s: float | None
    read_p99_s: float | None
    send_mean_s: float | None
    send_p99_s: float | None
    share: float

    @property
    def is_loud(self) -> bool:
        """Whether the numbers are the client's more than they should be."""
        return self.share > LOUD_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the server said of itself during the run; ``None``: it does not say."""

    at_s: float
    running: float | None
    waiting: float | None
    kv_cache_usage: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSide:
    """
    What the server counted, beside what the client saw.

    Args:
        sides: Where time went, a request on average: queue, prefill, decode, rest, outside.

        moments: About each second.

        preemptions: ``None`` where it does not count them, as with the others.
    """

    sides: Reconciliation
    moments: tuple[Moment, ...] = ()
    prompt_tokens: float | None = None
    generation_tokens: float | None = None
    preemptions: float | None = None
    prefix_cache_hit_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """
    What was measured, so that two results can be told apart or compared; unknown is ``None``.

    Args:
        model: As the server names it; *model_root* is where it loaded it from.

        server: ``vllm`` or ``None``.

        flags: How the server was started, as its recipe has it.

        card: The accelerator, or the processor.

        workload: What was asked; *workload_hash* is of the very prompts.
    """

    model: str
    base_url: str
    model_root: str | None = None
    model_revision: str | None = None
    max_model_len: int | None = None
    server: str | None = None
    server_version: str | None = None
    backend: str | None = None
    flags: Mapping[str, object] | None = None
    image_digest: str | None = None
    card: str | None = None
    driver: str | None = None
    prefix_caching: bool | None = None
    workload: Mapping[str, object] = field(default_factory=dict)
    workload_hash: str | None = None
    seed: int = 0
    client_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the load came: a :class:`~workbench.bench.plan.Plan` without its prompts."""

    num_prompts: int
    concurrency: int | None = None
    request_rate_rps: float | None = None
    burstiness: float = 1.0
    ramp: Mapping[str, object] | None = None
    trace: bool = False
    duration_s: float | None = None
    warmup: int = 0
    seed: int = 0
    body: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    A measurement.

    Args:
        requests: A row each, as sent; empty of a file that was saved without them.

        metrics: Of these requests, which came after the warm-up.

        cold: Of the requests before: the server's first, at the same load.

        server: ``None``: it has no ``/metrics``.

        interrupted: Somebody ended it before its time; what was under way is an error.

        workers: The machines that sent it; ``None``: this one.
    """

    settings: Settings
    fingerprint: Fingerprint
    started_at: datetime
    metrics: Metrics
    lag: Lag
    requests: tuple[Request, ...] = ()
    cold: Metrics | None = None
    server: ServerSide | None = None
    interrupted: bool = False
    workers: Workers | None = None
