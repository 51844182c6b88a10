"""What a candidate is, beside the flags from before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.results import request
from tests.tune.trials import flag, run, trial
from workbench.errors import ConfigError
from workbench.tune.quality import Quality
from workbench.tune.trial import (
    GOALS,
    Failure,
    Finding,
    Role,
    costs_of,
    goal_named,
    judge,
    noise,
)

THROUGHPUT = GOALS["throughput"]
BEFORE = trial(None, (99, 100, 101))


def found(rates: tuple[float, ...], **fields: object) -> Finding:
    return judge(trial(flag("x"), rates, **fields), [BEFORE], THROUGHPUT).finding


def test_better_is_beyond_what_runs_differ_by():
    """
    99, 100, 101 and 109, 110, 111: ten more, each side with a variance of 1.

    Welch: four degrees of freedom, t = 2.776, and 2.776 · √(2/3) = 2.27 either way.
    """
    judged = judge(trial(flag("x"), (109, 110, 111)), [BEFORE], THROUGHPUT)

    assert judged.finding is Finding.BETTER
    assert judged.gain.value == pytest.approx(0.10)
    assert judged.gain.low == pytest.approx(0.0773, abs=1e-4)
    assert judged.gain.high == pytest.approx(0.1227, abs=1e-4)


def test_a_change_within_runs_is_none():
    """Two more with the same spread: the interval has zero in it."""
    assert found((101, 102, 103)) is Finding.SAME


def test_less_is_worse():
    """The same, the other way round."""
    assert found((89, 90, 91)) is Finding.WORSE


def test_a_gain_below_what_starts_differ_by_is_none():
    """
    Runs of a start are close together, and two starts of the same flags are 12 % apart.

    Their means are 100 and 112, so 12 / 106 = 11.3 %.
    """
    after = trial(None, (111, 112, 113), role=Role.AFTER)

    assert noise([BEFORE, after], THROUGHPUT) == pytest.approx(12 / 106)
    judged = judge(trial(flag("x"), (114.5, 115, 115.5)), [BEFORE, after], THROUGHPUT)
    assert judged.finding is Finding.SAME


def test_a_shorter_time_is_a_gain():
    """TTFT from 100 ms to 50 ms is 50 % better."""
    quick = tuple(request(number, ttft_s=0.05) for number in range(4))
    faster = replace(BEFORE, runs=tuple(run(100, requests=quick) for _ in range(3)))
    faster = replace(faster, candidate=flag("x"), role=Role.CANDIDATE)

    judged = judge(faster, [BEFORE], GOALS["ttft"])

    assert (judged.finding, judged.gain.value) == (Finding.BETTER, pytest.approx(0.5))


def test_what_got_worse_is_its_cost():
    """More tokens a second, and a first one that takes twice as long."""
    slow = tuple(request(number, ttft_s=0.2) for number in range(4))
    dearer = replace(
        trial(flag("x"), ()), runs=tuple(run(rate, requests=slow) for rate in (119, 120, 121))
    )

    costs = [each.metric for each in costs_of(dearer, [BEFORE], THROUGHPUT)]

    assert judge(dearer, [BEFORE], THROUGHPUT).finding is Finding.BETTER
    assert "TTFT mean" in costs
    assert "output throughput" not in costs


def test_what_may_have_got_worse_is_told_too():
    """First tokens of 50, 100 and 300 ms are 50 % slower than 100 ms, and no test says so."""
    runs = tuple(
        run(120, requests=tuple(request(number, ttft_s=ttft_s) for number in range(4)))
        for ttft_s in (0.05, 0.1, 0.3)
    )

    costs = costs_of(replace(trial(flag("x"), ()), runs=runs), [BEFORE], THROUGHPUT)

    assert {each.metric: each.finding.value for each in costs}["TTFT mean"] == "unsure"


@pytest.mark.parametrize(
    ("quality", "finding"),
    [
        (Quality(same=0, of=10, perplexity=0.5), Finding.SPOILT),
        (Quality(same=9, of=10, wrong=("an empty answer",)), Finding.SPOILT),
        (Quality(same=5, of=10), Finding.UNTOLD),
        (Quality(same=5, of=10, perplexity=0.001), Finding.BETTER),
    ],
)
def test_no_speed_makes_up_for_worse_answers(quality: Quality, finding: Finding):
    """Three times as fast, and not recommended."""
    assert found((299, 300, 301), quality=quality) is finding


def test_what_does_not_start_and_what_fails_are_two_things():
    """The second had started."""
    failure = Failure(cause="It ran out of memory.")

    assert found((), failure=failure, boot_s=None) is Finding.REFUSED
    assert found((), failure=failure) is Finding.FAILING


def test_requests_that_fail_are_no_gain():
    """One of four was not answered, and the others quicker."""
    requests = (
        replace(request(0), error="500", output_tokens=None),
        *(request(number) for number in (1, 2, 3)),
    )
    runs = tuple(run(rate, requests=requests) for rate in (300, 301, 302))

    assert judge(replace(trial(flag("x"), ()), runs=runs), [BEFORE], THROUGHPUT).finding is (
        Finding.FAILING
    )


def test_a_goal_is_what_the_limits_make_it():
    """Goodput with limits, and never without."""
    assert goal_named(None, has_slo=True).name == "goodput"
    assert goal_named(None, has_slo=False).name == "throughput"
    with pytest.raises(ConfigError, match="goodput"):
        goal_named("goodput", has_slo=False)
