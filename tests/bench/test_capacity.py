"""The search on a server."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from tests.bench.test_compare import run
from workbench.bench.capacity import capacity, trial_of
from workbench.bench.result import Result
from workbench.bench.slo import Slo, read_slo
from workbench.bench.summary import summarize


class Served:
    """A session whose answers take longer from 4 requests a second on; says what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def bench(self, *, slo: str, request_rate_rps: float, **load: Any) -> tuple[Result]:
        self.asked.append({"rate": request_rate_rps, "slo": slo, **load})
        base = run(0.1 if request_rate_rps <= 4 else 0.9, count=500)
        spaced = tuple(
            replace(each, start_s=number / request_rate_rps)
            for number, each in enumerate(base.requests)
        )
        return (
            replace(
                base,
                requests=spaced,
                settings=replace(base.settings, request_rate_rps=request_rate_rps),
                metrics=summarize(spaced, duration_s=500.0, slo=read_slo(slo)),
            ),
        )


def test_each_trial_asks_something_new_at_its_rate():
    """1, 2, 4 keep to 200 ms, 8 does not; each has a seed of its own, and the preset's lengths."""
    served = Served()
    found = capacity(
        SimpleNamespace(bench=served.bench),  # type: ignore[arg-type]
        preset="chat",
        slo="ttft=200ms",
        seed=7,
    )

    assert [each["rate"] for each in served.asked[:4]] == [1, 2, 4, 8]
    assert [each["seed"] for each in served.asked[:4]] == [7, 8, 9, 10]
    assert served.asked[0]["input_len"] == 512
    assert found.found.rate_rps == 4
    assert found.slo == Slo(ttft_s=0.2)
    assert len(found.results) == len(served.asked)


def test_a_trial_sends_no_longer_than_there_is_time():
    """And no more requests than it would without a limit; a shorter duration stays."""
    served = Served()

    def bench(**asked: Any) -> tuple[Result]:
        (result,) = served.bench(**asked)
        return (replace(result, interrupted=True),)  # the first trial is enough

    session: Any = SimpleNamespace(bench=bench)
    capacity(session, slo="ttft=200ms", budget_s=60, num_prompts=7)
    capacity(session, slo="ttft=200ms", budget_s=60)
    capacity(session, slo="ttft=200ms", budget_s=60, duration_s=5)
    first = served.asked

    assert all(59 < each["duration_s"] <= 60 for each in first[:2])
    assert [each["num_prompts"] for each in first] == [7, 100, None]
    assert first[2]["duration_s"] == 5


def test_an_interrupt_keeps_what_was_found():
    """The third trial is ended by somebody: two rates are known."""
    served = Served()

    def bench(**asked: Any) -> tuple[Result]:
        (result,) = served.bench(**asked)
        return (replace(result, interrupted=len(served.asked) == 3),)

    found = capacity(SimpleNamespace(bench=bench), slo="ttft=200ms")  # type: ignore[arg-type]

    assert found.found.rate_rps == 2
    assert found.found.why == "it was interrupted"


def test_a_trial_counts_failures_as_not_good():
    """One of twenty failed: nineteen are good, of twenty."""
    base = run(0.1)
    requests = (replace(base.requests[0], error="503"), *base.requests[1:])
    metrics = summarize(requests, duration_s=20.0, slo=Slo(ttft_s=0.2))
    trial = trial_of(replace(base, requests=requests, metrics=metrics))

    assert (trial.good, trial.requests) == (19, 20)
