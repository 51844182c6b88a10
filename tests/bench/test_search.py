"""The highest rate that meets a service level."""

from __future__ import annotations

import pytest

from workbench.bench.search import (
    Found,
    Trial,
    Verdict,
    is_saturated,
    requests_to_be_sure,
    search,
)

COUNT = 1000
"""Requests of a trial: 1,000 of 1,000 are surely more than 99 % (381 would do)."""


class Server:
    """Meets the level up to one rate, and keeps up with what is offered up to another."""

    def __init__(self, *, good_to: float, keeps_up_to: float, count: int = COUNT) -> None:
        self.good_to, self.keeps_up_to, self.count = good_to, keeps_up_to, count
        self.asked: list[float] = []

    def __call__(self, rate_rps: float, _number: int) -> Trial:
        self.asked.append(rate_rps)
        return Trial(
            rate_rps=rate_rps,
            achieved_rps=min(rate_rps, self.keeps_up_to),
            requests=self.count,
            good=self.count if rate_rps <= self.good_to else self.count // 2,
            saturated=rate_rps > self.keeps_up_to,
        )


def found(server: Server, **options: float) -> Found:
    return search(server, start_rps=1, **options)  # type: ignore[arg-type]


def test_the_rate_is_doubled_then_the_gap_is_halved():
    """
    A server that is good up to 10: 1, 2, 4, 8 meet, 16 misses; 12 misses, 10 meets, 11 misses;
    then the gap is 1 of 10.
    """
    server = Server(good_to=10, keeps_up_to=100)
    answer = found(server)

    assert server.asked == [1, 2, 4, 8, 16, 12, 10, 11]
    assert (answer.rate_rps, answer.missed_rps) == (10, 11)
    assert answer.interval == (10, 11)
    assert answer.why == "the gap is 10% of the rate"


def test_a_first_guess_that_is_too_high_is_halved():
    """Good up to 0.3: 1 and 0.5 miss, 0.25 meets, and then the gap is halved."""
    server = Server(good_to=0.3, keeps_up_to=100)
    answer = found(server)

    assert server.asked[:3] == [1, 0.5, 0.25]
    assert answer.rate_rps is not None
    assert 0.27 <= answer.rate_rps <= 0.3


def test_no_rate_is_tried_above_one_that_saturated():
    """The queue grows from 5 on: 8 is tried once, and nothing above it."""
    server = Server(good_to=100, keeps_up_to=5)
    answer = found(server)

    assert max(server.asked) == 8
    assert server.asked.count(8) == 1
    assert answer.levels[3].verdict is Verdict.SATURATED
    assert answer.rate_rps is not None
    assert 4.5 <= answer.rate_rps <= 5


def test_what_is_not_clear_is_measured_again_and_called_unsure():
    """
    20 good of 20 are at least 84 % (20 / 23.84), which does not show 99 %: three times, and
    60 of 60 do not either.
    """
    server = Server(good_to=1, keeps_up_to=100, count=20)
    answer = found(server)

    assert server.asked[:3] == [1, 1, 1]
    assert answer.levels[0].is_met
    assert not answer.levels[0].sure
    assert answer.interval[0] is None


def test_a_clear_miss_is_measured_once():
    """Half of a thousand is surely less than 99 %."""
    server = Server(good_to=1, keeps_up_to=100)
    found(server)

    assert server.asked.count(2) == 1


def test_the_search_ends_where_no_rate_meets():
    """Down to a sixteenth of the first rate, and it says so."""
    server = Server(good_to=0, keeps_up_to=100)
    answer = found(server)

    assert server.asked == [1, 0.5, 0.25, 0.125, 0.0625]

    assert answer.rate_rps is None
    assert "requests a second miss it" in answer.why


def test_a_burst_is_no_rate():
    """
    All good, but sent before anything was answered from 4 a second on: that shows no rate, so
    the answer is the highest rate that could be told, and what is above is not surely missed.
    """

    def measure(rate_rps: float, _number: int) -> Trial:
        short = rate_rps > 4
        return Trial(
            rate_rps=rate_rps,
            achieved_rps=4,
            requests=COUNT,
            good=COUNT,
            saturated=None if short else False,
        )

    answer = search(measure, start_rps=1)

    assert answer.rate_rps == 4
    assert {level.verdict for level in answer.levels if level.rate_rps > 4} == {Verdict.TOO_SHORT}
    assert answer.interval == (4, None)


def test_trials_are_bounded():
    """A server that meets anything is not asked for ever."""
    server = Server(good_to=1e9, keeps_up_to=1e9)
    answer = found(server, most_trials=5)

    assert len(server.asked) == 5
    assert answer.why == "5 trials are spent"
    assert answer.rate_rps == 16


def test_time_that_is_spent_ends_it_with_what_was_found():
    """Over after three trials: 1, 2, 4 meet, and the rate that comes next is not tried."""
    server = Server(good_to=10, keeps_up_to=100)
    answer = search(server, start_rps=1, is_over=lambda: len(server.asked) == 3)

    assert server.asked == [1, 2, 4]
    assert (answer.rate_rps, answer.why) == (4, "its time is spent")


def test_no_repeat_begins_when_the_time_is_spent():
    """What one trial of an unclear rate says is what there is, and it is called unsure."""
    server = Server(good_to=1, keeps_up_to=100, count=20)
    answer = search(server, start_rps=1, is_over=lambda: True)

    assert server.asked == [1]
    assert [level.sure for level in answer.levels] == [False]
    assert answer.rate_rps == 1


@pytest.mark.parametrize(("goodput", "count"), [(0.99, 381), (0.9, 35), (0.5, 4)])
def test_so_many_good_ones_are_needed_to_be_sure(goodput: float, count: int):
    """n / (n + 3.8415) > goodput: 381 / 384.84 = 0.99002, and 380 / 383.84 = 0.98999."""
    assert requests_to_be_sure(goodput) == count


def served(rate_rps: float, *, takes_s: float, count: int) -> tuple[list[float], list[float]]:
    """Send *count* evenly to a server that does one at a time, in *takes_s*."""
    sent_s = [number / rate_rps for number in range(count)]
    done_s, free_s = [], 0.0
    for at_s in sent_s:
        free_s = max(free_s, at_s) + takes_s
        done_s.append(free_s)
    return sent_s, done_s


def test_a_queue_that_grows_is_saturation():
    """
    100 at 10 a second, 5 of which are done: 50 are left at the end, 25 in the middle; those 25
    are more than two roots of the 50 that came in between.
    """
    assert is_saturated(*served(10, takes_s=0.2, count=100)) is True


def test_a_server_that_keeps_up_is_not_saturated():
    """9 of 10 tenths of a second are busy, and nobody waits."""
    assert is_saturated(*served(10, takes_s=0.09, count=100)) is False


def test_a_trial_shorter_than_two_answers_cannot_tell():
    """Sent within a second, answered after ten: the number under way only grows."""
    sent_s = [number / 100 for number in range(100)]

    assert is_saturated(sent_s, [at_s + 10 for at_s in sent_s]) is None
    assert is_saturated([0, 1], [1, 2]) is None


def test_one_quick_answer_does_not_make_a_burst_a_rate():
    """Sixteen within a second, of which the first took 0.1 s and the others 0.7 s."""
    sent_s = [number / 16 for number in range(16)]
    done_s = [sent_s[0] + 0.1, *(at_s + 0.7 for at_s in sent_s[1:])]

    assert is_saturated(sent_s, done_s) is None
