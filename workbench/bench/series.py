"""
From what somebody wants to measure to plans, one for each load; and the measurements themselves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import starmap
from pathlib import Path

from ..errors import ConfigError
from . import arrivals, ray_workers, workload
from .arrivals import Times
from .asked_server import Address, is_vllm, tokenizer
from .measure import OnProgress, measure
from .plan import Plan, Ramp
from .result import Fingerprint, Result
from .slo import Slo
from .workload import CountTokens, Lengths, Prompt, Talk

NUM_PROMPTS = 100
"""From so many requests on there is a p99."""

INPUT_LEN, OUTPUT_LEN = 512, 128

ANSWERS_PER_S = 20
"""More answers a second than this on each connection end a closed loop before its duration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """
    What to measure, as it is said in a shell: loads × a workload.

    Args:
        concurrency: A measurement for each; with a rate, one: the most at once.

        num_prompts: Default: 100; with a duration: as many as it may need.

        prompts: A file (:func:`~workbench.bench.workload.read`), or texts such
            as a DataFrame's column; ``None``: random words.

        turns: Of each conversation.

        trace: A file of JSON lines: ``timestamp`` in milliseconds,
            ``input_length``, ``output_length``; as Mooncake's traces.

        body: What each request says besides. ``temperature`` is 0 unless it is
            said, and a vLLM is told ``ignore_eos`` where prompts are random.

        workers: Address of a Ray cluster whose nodes send the load: ``ray://HOST:PORT``,
            or on one of them ``auto``.
    """

    concurrency: tuple[int, ...] = ()
    request_rate_rps: float | None = None
    burstiness: float = 1.0
    ramp: Ramp | None = None
    trace: Path | None = None
    num_prompts: int | None = None
    input_len: int = INPUT_LEN
    output_len: int = OUTPUT_LEN
    spread: float = 0.0
    shared_prefix: int = 0
    turns: int = 1
    prompts: Path | tuple[str, ...] | None = None
    duration_s: float | None = None
    warmup: int | None = None
    seed: int = 0
    model: str | None = None
    body: Mapping[str, object] = field(default_factory=dict)
    processes: int | None = None
    workers: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests come by the clock."""
        return (self.request_rate_rps, self.ramp, self.trace) != (None, None, None)

    @property
    def is_random(self) -> bool:
        """Whether prompts are made up."""
        return self.prompts is None

    def plans(self, *, count: CountTokens | None = None, vllm: bool = False) -> Iterator[Plan]:
        """
        Make a plan for each load.

        Each has another seed, so that the prefix cache does not know the prompts
        of the one before.

        Args:
            count: Of the server's tokenizer.

            vllm: The server is one, and knows its own parameters.

        Raises:
            ConfigError: What is asked for makes no load.
        """
        many = self.concurrency or ((None,) if self.is_open else (1,))
        if self.is_open and len(many) > 1:
            raise ConfigError(
                "With a rate there is one concurrency, the most at once.", key="concurrency"
            )
        body = {"temperature": 0, **({"ignore_eos": True} if vllm and self.is_random else {})}
        for index, concurrency in enumerate(many):
            seed = self.seed + index
            due_s, prompts = self._asked(seed, concurrency, count)
            yield Plan(
                prompts=prompts,
                concurrency=concurrency,
                request_rate_rps=self.request_rate_rps,
                burstiness=self.burstiness,
                ramp=self.ramp,
                trace=due_s,
                duration_s=self.duration_s,
                warmup=self.warmup,
                seed=seed,
                model=self.model,
                body=body | dict(self.body),
                workload=self.described(),
                processes=self.processes,
                workers=self.workers,
            )

    def described(self) -> dict[str, object]:
        """Say what is asked, for the fingerprint; a file by its name, its content by the hash."""
        if self.trace is not None:
            return {"kind": "trace", "file": self.trace.name}
        lengths: dict[str, object] = {"output_len": self.output_len, "turns": self.turns}
        if isinstance(self.prompts, Path):
            return {"kind": "file", "file": self.prompts.name, **lengths}
        if self.prompts is not None:
            return {"kind": "own", **lengths}
        return {
            "kind": "random",
            "input_len": self.input_len,
            "spread": self.spread,
            "shared_prefix": self.shared_prefix,
            **lengths,
        }

    def _asked(
        self, seed: int, concurrency: int | None, count: CountTokens | None
    ) -> tuple[Times | None, tuple[Prompt, ...]]:
        if self.trace is not None:
            return _read_trace(self.trace, self.num_prompts, seed=seed, count=count)
        number = self._number(concurrency)
        talks = self._talks(-(-number // self.turns), seed, count)
        return None, workload.by_turns(talks)[:number]

    def _talks(self, number: int, seed: int, count: CountTokens | None) -> tuple[Talk, ...]:
        if self.prompts is None:
            lengths = Lengths(
                input=self.input_len,
                output=self.output_len,
                spread=self.spread,
                shared_prefix=self.shared_prefix,
            )
            return workload.talks(number, lengths, turns=self.turns, seed=seed, count=count)
        if isinstance(self.prompts, Path):
            given = workload.read_talks(
                self.prompts, turns=self.turns, output_tokens=self.output_len, count=count
            )
        else:
            own = workload.own(self.prompts, output_tokens=self.output_len)
            given = tuple((prompt,) for prompt in own)
        if not given:
            raise ConfigError("There is nothing to ask.", key="prompts")
        return workload.drawn(given, number, seed=seed)

    def _number(self, concurrency: int | None) -> int:
        if self.num_prompts is not None or self.duration_s is None:
            return self.num_prompts or NUM_PROMPTS
        if self.ramp is not None:
            rate_rps = max(self.ramp.start_rps, self.ramp.end_rps)
        else:
            rate_rps = self.request_rate_rps or ANSWERS_PER_S * (concurrency or 1)
        # A Poisson process has more than its mean half of the time.
        return math.ceil(self.duration_s * rate_rps * 1.2) + 10


def run_series(
    base_url: str,
    series: Series,
    *,
    api_key: str | None = None,
    slo: Slo | None = None,
    known: Fingerprint | None = None,
    on_progress: OnProgress | None = None,
    on_result: Callable[[Result], None] = lambda _result: None,
) -> tuple[Result, ...]:
    """
    Measure each load of a series; an interrupt ends it, with what there is.

    Args:
        on_result: Told of each as soon as it is there.

    Raises:
        WorkbenchError: As :func:`~workbench.bench.measure.measure`.
    """
    to = Address(base_url.rstrip("/"), api_key)
    results: list[Result] = []
    with ray_workers.connected(series.workers):
        count = tokenizer(to, series.model)
        for plan in series.plans(count=count, vllm=is_vllm(to)):
            result = measure(
                base_url, plan, api_key=api_key, slo=slo, known=known, on_progress=on_progress
            )
            results.append(result)
            on_result(result)
            if result.interrupted:
                break
    return tuple(results)


def _read_trace(
    path: Path, most: int | None, *, seed: int, count: CountTokens | None
) -> tuple[Times, tuple[Prompt, ...]]:
    """Read when requests came, and how long they were."""
    try:
        lines = filter(str.strip, path.read_text(encoding="utf-8").splitlines())
        rows = [json.loads(line) for line in lines]
        lengths = [(int(row["input_length"]), int(row["output_length"])) for row in rows]
        stamps_s = [float(row["timestamp"]) / 1000 for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ConfigError(
            f"{path} cannot be read as a trace: {type(exc).__name__}: {exc}.",
            hint="JSON lines with `timestamp` (milliseconds), `input_length`, `output_length`.",
            key="trace",
        ) from exc
    order = sorted(range(len(rows)), key=stamps_s.__getitem__)[:most]

    def prompt(number: int, at: int) -> Prompt:
        asked, answered = lengths[at]
        of = Lengths(input=max(1, asked), output=max(1, answered))
        return workload.synthetic(1, of, seed=seed * 1_000_003 + number, count=count)[0]

    if not order:
        raise ConfigError(f"{path} has no request.", key="trace")
    times = arrivals.replay(stamps_s[at] for at in order)
    return times, tuple(starmap(prompt, enumerate(order)))
