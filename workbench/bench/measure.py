"""
Measure a server: warm it up at the measured load, send the load, work out what came.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

from .. import units
from ..records import Progress
from . import http1, processes, ray_workers
from .arrivals import Times
from .asked_server import Address, Watch, identified
from .load import Interrupted, Load, Sent
from .load import Progress as HowFar
from .plan import Plan
from .result import Fingerprint, Metrics, Request, Result, Settings
from .slo import Slo
from .summary import lag, summarize
from .workload import Prompt

PATH = "/chat/completions"
NEVER_ENDED = "It was interrupted before its end."

OnProgress = Callable[[Progress], None]


def measure(
    base_url: str,
    plan: Plan,
    *,
    api_key: str | None = None,
    slo: Slo | None = None,
    known: Fingerprint | None = None,
    on_progress: OnProgress | None = None,
) -> Result:
    """
    Measure the server at *base_url*.

    An interrupt (Ctrl-C) ends the run, and what came until then is the result.

    Args:
        base_url: With ``/v1``; plain HTTP.

        slo: What goodput is counted by.

        known: What the caller knows of the server besides what it says.

    Raises:
        ServerUnreachableError: Nothing answers.

        AuthenticationError: It wants another key.

        ServerFailureError: It lists no model, and none was named.

        ConfigError: The address is not plain HTTP.
    """
    to = Address(base_url.rstrip("/"), api_key)
    target = http1.target(to.base_url, api_key=api_key)
    fingerprint = identified(to, plan, known)
    sender = _Sender(
        target,
        plan,
        body={"model": fingerprint.model, **plan.body},
        tell=on_progress or (lambda _progress: None),
    )
    cold = None
    if warming := cold_prompts(plan):
        load = sender.send(warming, plan.warmup_due_s(), "warming up")
        cold = _metrics(_rows(load, plan.warmup_due_s()), load, slo=slo, seed=plan.seed)
        if sender.interrupted:
            found = _result(plan, fingerprint, _nothing_of(load), slo=slo, cold=cold)
            return replace(found, interrupted=True)
    with Watch(to) as watch:
        load = sender.send(plan.prompts, plan.due_s(), "measuring")
    found = _result(plan, fingerprint, load, slo=slo, cold=cold)
    seen = watch.seen(found.requests, began_s=load.started_s)
    return replace(found, server=seen, interrupted=sender.interrupted)


def cold_prompts(plan: Plan) -> list[Prompt]:
    """
    Return what warms the server up: as long as what is measured, and without it.

    They begin with another word each, so that the prefix cache knows nothing of
    what is measured, and nothing of what an earlier run asked.
    """
    chosen = [plan.prompts[n % len(plan.prompts)] for n in range(plan.warmup_requests)]
    mark = time.time_ns()
    return [
        Prompt(f"{mark + n} {prompt.text}", prompt.output_tokens)
        for n, prompt in enumerate(chosen)
    ]  # fmt: skip


def request_body(prompt: Prompt, body: Mapping[str, object]) -> dict[str, object]:
    """Write a request for a chat completion, streamed and counted."""
    roles = ("user", "assistant")
    said = [
        {"role": roles[number % 2], "content": text}
        for number, text in enumerate((*prompt.history, prompt.text))
    ]
    return {
        "messages": said,
        "max_tokens": prompt.output_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        **body,
    }


def row(sent: Sent, *, began_s: float, due_s: Times) -> Request:
    """
    Turn what the loop noted of a request into what people read.

    Args:
        due_s: When the arrivals had each request, after *began_s*.
    """
    answer, at_s = sent.answer, sent.sent_s
    error = answer.error if sent.done_s is not None else answer.error or NEVER_ENDED
    usage = answer.usage
    first_s = answer.stamps_s[0] if answer.stamps_s else None
    last_s = answer.stamps_s[-1] if answer.stamps_s else sent.done_s
    return Request(
        number=sent.number,
        start_s=None if at_s is None else at_s - began_s,
        queue_s=0.0 if at_s is None else at_s - began_s - due_s[sent.number],
        late_s=0.0 if at_s is None else at_s - sent.due_s,
        ttft_s=None if at_s is None or first_s is None else first_s - at_s,
        itls_s=array("d", (later - earlier for earlier, later in pairwise(answer.stamps_s))),
        e2el_s=None if at_s is None or last_s is None else last_s - at_s,
        input_tokens=usage.input_tokens if usage else None,
        cached_tokens=usage.cached_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
        error=error,
        request_id=answer.request_id,
    )


class _Sender:
    """Sends loads to one server, and remembers whether somebody has had enough."""

    def __init__(
        self,
        target: http1.Target,
        plan: Plan,
        *,
        body: Mapping[str, object],
        tell: OnProgress,
    ) -> None:
        self._target, self._plan, self._body, self._tell = target, plan, body, tell
        workers = plan.workers
        self._run = partial(ray_workers.run, address=workers) if workers else processes.run
        self.interrupted = False

    def send(self, prompts: Sequence[Prompt], due_s: Times, label: str) -> Load:
        """Send prompts when they are due; return what came, all of it or until an interrupt."""
        total = len(prompts)
        self._tell(Progress(label=label, done=0, total=total, unit="requests", detail="preparing"))
        try:
            load = self._run(
                self._target,
                [http1.post(self._target, PATH, request_body(e, self._body)) for e in prompts],
                due_s,
                processes=self._plan.processes,
                concurrency=self._plan.concurrency,
                stop_s=self._plan.duration_s,
                on_progress=lambda far: self._tell(_told(far, label, total)),
            )
        except Interrupted as exc:
            self.interrupted = True
            return exc.load
        ended = len(load.requests)
        self._tell(Progress(label=label, done=ended, total=total, unit="requests", detail="done"))
        return load


def _told(far: HowFar, label: str, total: int) -> Progress:
    """Write how far a load is, with what it reads a second."""
    rates = (
        [
            units.rate(far.done / far.elapsed_s, "req/s"),
            units.rate(far.tokens / far.elapsed_s),
            f"{far.sent - far.done} under way",
            *([f"{far.failed} failed"] if far.failed else []),
        ]
        if far.elapsed_s > 0
        else [f"{far.sent} under way"]
    )
    return Progress(
        label=label, done=far.done, total=total, unit="requests", detail=", ".join(rates)
    )  # fmt: skip


def _rows(load: Load, due_s: Times) -> tuple[Request, ...]:
    return tuple(row(sent, began_s=load.started_s, due_s=due_s) for sent in load.requests)


def _metrics(requests: Sequence[Request], load: Load, *, slo: Slo | None, seed: int) -> Metrics:
    return summarize(requests, duration_s=load.ended_s - load.started_s, slo=slo, seed=seed)


def _nothing_of(load: Load) -> Load:
    """Return what was measured of a run that was ended while it warmed up."""
    return replace(load, requests=[], started_s=load.ended_s, read_late_s=array("d"))


def _result(
    plan: Plan, fingerprint: Fingerprint, load: Load, *, slo: Slo | None, cold: Metrics | None
) -> Result:
    requests = _rows(load, plan.due_s())
    metrics = _metrics(requests, load, slo=slo, seed=plan.seed)
    return Result(
        settings=_settings(plan),
        fingerprint=fingerprint,
        started_at=datetime.now(UTC) - timedelta(seconds=time.monotonic() - load.started_s),
        metrics=metrics,
        lag=lag(load.read_late_s, requests, kernel_stamps=load.kernel_stamps),
        requests=requests,
        cold=cold,
        workers=load.workers,
    )


def _settings(plan: Plan) -> Settings:
    return Settings(
        num_prompts=len(plan.prompts),
        concurrency=plan.concurrency,
        request_rate_rps=plan.request_rate_rps,
        burstiness=plan.burstiness,
        ramp=asdict(plan.ramp) if plan.ramp else None,
        trace=plan.trace is not None,
        duration_s=plan.duration_s,
        warmup=plan.warmup_requests,
        seed=plan.seed,
        body=dict(plan.body),
    )
