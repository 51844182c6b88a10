"""From requests to numbers, against what is worked out by hand."""

from __future__ import annotations

from array import array

import pytest

from workbench.bench.result import Request
from workbench.bench.slo import Slo
from workbench.bench.summary import distribution, lag, peak_concurrency, ranks, summarize


def request(number: int = 0, **fields: object) -> Request:
    """A request of four tokens: the first after 0.1 s, then one each 0.02 s."""
    given = {
        "start_s": 0.0,
        "ttft_s": 0.1,
        "itls_s": array("d", [0.02, 0.02, 0.02]),
        "e2el_s": 0.16,
        "input_tokens": 10,
        "output_tokens": 4,
    }
    return Request(number=number, **given | fields)


def test_tpot_leaves_out_the_first_token():
    """(0.16 - 0.1) / (4 - 1)."""
    assert request().tpot_s == pytest.approx(0.02)


@pytest.mark.parametrize("unknown", [{"output_tokens": 1}, {"output_tokens": None}])
def test_tpot_is_unknown_below_two_tokens_and_without_a_count(unknown: dict):
    """Chunks are not counted instead."""
    assert request(**unknown).tpot_s is None


def test_throughputs_are_per_second_of_the_run():
    """Two requests of 10 and 4 tokens in half a second."""
    metrics = summarize([request(0), request(1)], duration_s=0.5)

    assert metrics.request_throughput_rps == pytest.approx(4)
    assert metrics.output_throughput_tps == pytest.approx(16)
    assert metrics.total_throughput_tps == pytest.approx(56)


def test_errors_are_counted_apart_and_in_no_average():
    """The failed one had a TTFT of ten seconds."""
    failed = request(1, ttft_s=10.0, error="HTTP 500: no")

    metrics = summarize([request(0), failed], duration_s=1)

    assert (metrics.sent, metrics.completed, metrics.failed) == (2, 1, 1)
    assert metrics.error_rate == 0.5
    assert metrics.ttft.mean.value == pytest.approx(0.1)
    assert metrics.output_tokens == 4


def test_tokens_that_not_every_answer_counted_are_unknown():
    """A part of the tokens is no throughput."""
    metrics = summarize([request(0), request(1, output_tokens=None)], duration_s=1)

    assert (metrics.completed, metrics.counted) == (2, 1)
    assert metrics.output_tokens is None
    assert metrics.output_throughput_tps is None


def test_an_answer_without_text_has_no_ttft_and_is_told():
    """It was answered to its end, and is no error."""
    metrics = summarize([request(ttft_s=None, itls_s=array("d"))], duration_s=1)

    assert (metrics.completed, metrics.unanswered) == (1, 1)
    assert metrics.ttft is None


def test_goodput_needs_every_limit():
    """One keeps to both, one is slow at first, one failed: one good of three in two seconds."""
    requests = [request(0), request(1, ttft_s=0.3, e2el_s=0.36), request(2, error="cut")]

    metrics = summarize(requests, duration_s=2, slo=Slo(ttft_s=0.2, tpot_s=0.05))

    assert metrics.good == 1
    assert metrics.goodput_rps == pytest.approx(0.5)
    assert metrics.slo_attainment == pytest.approx(1 / 3)


def test_percentiles_are_numpys():
    """Linear between neighbours: of 1 to 11, the median is 6 and p95 10.5; of the population."""
    found = distribution(range(1, 12))

    assert found.median == 6
    assert found.at(95) == pytest.approx(10.5)
    assert found.std == pytest.approx(10**0.5)


@pytest.mark.parametrize(("count", "is_there"), [(99, False), (100, True)])
def test_there_is_no_p99_below_a_hundred(count: int, is_there: bool):
    """It would be the slowest one."""
    assert (distribution(range(count)).percentiles[99] is not None) == is_there


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    # n = 10, p = 0.5: P(B ≤ 1) = 11/1024 = 1.07 %, P(B ≤ 2) = 5.5 %: ranks 2 and 9.
    # n = 5: P(B ≤ 0) = 3.1 % > 2.5 %: not even the ends hold it.
    # n = 6: P(B ≤ 0) = 1.6 %: from the first to the last.
    [(10, 0.5, (2, 9)), (5, 0.5, (0, 6)), (6, 0.5, (1, 6))],
)
def test_a_percentile_lies_between_two_ranks(count: int, share: float, expected: tuple):
    """The binomial's tails, by hand."""
    assert ranks(count, share) == expected


def test_the_ranks_near_the_normal_are_those_of_the_binomial():
    """At 1,000 values both ways are at hand, and a rank apart at most."""
    exact, near = ranks(1000, 0.9), ranks(1001, 0.9)

    assert exact == pytest.approx(near, abs=2)


def test_the_gaps_of_an_answer_are_drawn_together():
    """Two answers with gaps of 1 and of 3: the mean is 2, and lies anywhere from 1 to 3."""
    answers = [
        request(0, itls_s=array("d", [1.0] * 50)),
        request(1, itls_s=array("d", [3.0] * 50)),
    ]

    itl = summarize(answers, duration_s=1).itl

    assert (itl.mean.value, itl.mean.low, itl.mean.high) == (2, 1, 3)
    assert itl.count == 100
    assert itl.percentiles[99].value == 3


def test_the_same_requests_have_the_same_intervals():
    """The bootstrap is seeded."""
    answers = [request(n, itls_s=array("d", [n, n + 1])) for n in range(9)]

    assert summarize(answers, duration_s=1) == summarize(answers, duration_s=1)


def test_the_peak_counts_those_under_way_at_once():
    """From 0 to 3, from 1 to 2, and from 2 on: two, since one ends as the third begins."""
    spans = [(0.0, 3.0), (1.0, 1.0), (2.0, 1.0)]

    requests = [request(start_s=start_s, e2el_s=took_s) for start_s, took_s in spans]

    assert peak_concurrency(requests) == 2


def test_a_late_reader_with_its_own_clock_moves_what_it_measures():
    """Mean 1 ms late, against gaps of 20 ms: 5 %, which is loud."""
    found = lag([0.0, 0.002], [request()], kernel_stamps=False)

    assert found.share == pytest.approx(0.05)
    assert found.is_loud


def test_by_the_kernels_clock_a_late_reader_moves_nothing_it_reads_alone():
    """Ten times later than a gap, and no two tokens were read together."""
    found = lag([0.2], [request()], kernel_stamps=True)

    assert found.share == 0


def test_by_the_kernels_clock_tokens_read_together_are_told():
    """A third of the gaps is nothing, and reading was 5 gaps later than a gap is long."""
    together = request(itls_s=array("d", [0.0, 0.02, 0.02]))

    found = lag([0.12], [together], kernel_stamps=True)

    assert found.share == pytest.approx(1 / 3)


def test_requests_sent_late_are_lag_too():
    """10 ms of a TTFT of 100 ms."""
    found = lag([], [request(late_s=0.01)], kernel_stamps=True)

    assert found.share == pytest.approx(0.1)
