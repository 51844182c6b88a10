"""
What is to be measured: what is asked, when, and how often.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import ConfigError
from . import arrivals
from .arrivals import Times
from .workload import Prompt

WARMUP_AT_A_RATE = 16
"""The most that are sent to warm a server up at a rate, unless more are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """A rate that grows or falls, from the first request to the last."""

    start_rps: float
    end_rps: float
    shape: arrivals.Ramp = "linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    One measurement. Exactly one of *request_rate_rps*, *ramp*, *trace* or none of them.

    Args:
        prompts: One for each request, in this order.

        concurrency: The most under way at once. Without a rate it is the closed
            loop's: a request follows as soon as one has ended. ``None`` with a
            rate: as many as are due; without one: all at once.

        request_rate_rps: The open loop's arrivals a second.

        burstiness: vLLM's: 1 is a Poisson process, less comes in bursts;
            infinite: evenly spaced.

        trace: When each request is due, in seconds after the start.

        duration_s: Send nothing more after so long.

        warmup: Requests before those that are measured, in the same way;
            ``None``: as many as are under way at once.

        model: As the server names it; ``None``: the first that it lists.

        body: What each request says besides its prompt: ``temperature``, ``ignore_eos`` …

        workload: What the prompts are, in a few plain values; with the seed it says which.

        processes: Into how many the load is split; ``None``: what suits it and this machine.

        workers: Address of a Ray cluster whose nodes send it, so many processes on each.
    """

    prompts: tuple[Prompt, ...]
    concurrency: int | None = None
    request_rate_rps: float | None = None
    burstiness: float = 1.0
    ramp: Ramp | None = None
    trace: Times | None = None
    duration_s: float | None = None
    warmup: int | None = None
    seed: int = 0
    model: str | None = None
    body: Mapping[str, object] = field(default_factory=dict)
    workload: Mapping[str, object] = field(default_factory=dict)
    processes: int | None = None
    workers: str | None = None

    def __post_init__(self) -> None:
        if not self.prompts:
            raise ConfigError("There is nothing to ask.", key="num_prompts")
        ways = (self.request_rate_rps, self.ramp, self.trace)
        if sum(way is not None for way in ways) > 1:
            raise ConfigError("A rate, a ramp or a trace: one of them.", key="request_rate")
        if self.concurrency is not None and self.concurrency < 1:
            raise ConfigError(
                f"At least one request is under way, not {self.concurrency}.", key="concurrency"
            )
        if self.trace is not None and len(self.trace) != len(self.prompts):
            raise ConfigError(
                f"The trace has {len(self.trace)} times for {len(self.prompts)} requests.",
                key="trace",
            )

    @property
    def is_open(self) -> bool:
        """Whether requests come by the clock, and not as others end."""
        return (self.request_rate_rps, self.ramp, self.trace) != (None, None, None)

    @property
    def warmup_requests(self) -> int:
        """How many requests come before those that are measured."""
        if self.warmup is not None:
            return self.warmup
        if not self.is_open:
            return min(len(self.prompts), self.concurrency or len(self.prompts))
        return min(len(self.prompts), WARMUP_AT_A_RATE)

    @property
    def workload_hash(self) -> str:
        """The same for the same prompts, lengths and body, whatever they are called."""
        told = hashlib.sha256(repr(sorted(self.body.items())).encode())
        for prompt in self.prompts:
            told.update(repr((prompt.history, prompt.text, prompt.output_tokens)).encode())
        return told.hexdigest()[:16]

    def due_s(self) -> Times:
        """Say when each request is due, in seconds after the start."""
        return self._due_s(len(self.prompts))

    def warmup_due_s(self) -> Times:
        """Say the same of the requests that warm up; a trace's and a ramp's begin as it does."""
        if self.trace is not None:
            return self.trace[: self.warmup_requests]
        return self._due_s(max(1, self.warmup_requests))[: self.warmup_requests]

    def _due_s(self, count: int) -> Times:
        if self.trace is not None:
            return self.trace
        how = {"burstiness": self.burstiness, "seed": self.seed}
        if self.ramp is not None:
            ends = (self.ramp.start_rps, self.ramp.end_rps)
            return arrivals.ramp(*ends, count, shape=self.ramp.shape, **how)  # type: ignore[arg-type]
        if self.request_rate_rps is None:
            return arrivals.at_once(count)
        if math.isinf(self.burstiness):
            return arrivals.constant(self.request_rate_rps, count)
        return arrivals.random(self.request_rate_rps, count, **how)  # type: ignore[arg-type]
