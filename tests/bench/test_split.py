"""A load in shares, and together again."""

from __future__ import annotations

from array import array

from tests.bench.test_load import STEADY, load, sent
from workbench.bench import http1
from workbench.bench.split import Share, merged, shifted, split, unanswered

TARGET = http1.target("http://127.0.0.1:9/v1")


def whole(count: int, **options: float) -> Share:
    requests = [b"%d" % number for number in range(count)]
    due_s = array("d", range(count))
    return Share(target=TARGET, requests=requests, due_s=due_s, **options)


def test_every_request_is_in_one_share_with_its_time():
    """Seven by three, a concurrency of five as two, two and one."""
    shares = split(whole(7, concurrency=5), 3)

    assert [share.requests for share in shares] == [
        (b"0", b"3", b"6"),
        (b"1", b"4"),
        (b"2", b"5"),
    ]
    assert list(shares[0].due_s) == [0, 3, 6]
    assert [share.concurrency for share in shares] == [2, 2, 1]


def test_together_the_numbers_are_the_whole_loads():
    """The second request of the first of two was the third of all."""
    parts = [
        load([sent(n, due_s=0, sent_s=0, stamps_s=STEADY) for n in range(2)], [0.1])
        for _ in range(2)
    ]
    found = merged(parts)

    assert [each.number for each in found.requests] == [0, 1, 2, 3]
    assert list(found.read_late_s) == [0.1, 0.1]


def test_times_move_together_to_another_clock():
    """All by the same, and what was never sent stays so."""
    one = sent(0, due_s=1.0, sent_s=None, stamps_s=STEADY)
    found = shifted(load([one], []), 100.0)
    (moved,) = found.requests

    assert (moved.due_s, moved.sent_s, moved.done_s) == (101.0, None, 101.3)
    assert list(moved.answer.stamps_s) == [101.0, 101.1, 101.2, 101.3]
    assert (found.started_s, found.ended_s) == (100.0, 109.0)


def test_what_was_lost_is_errors():
    """All that was to be sent; of a load that ends by the clock what is known to have been."""
    all_of_it = unanswered(whole(3), "It is gone.", began_s=50.0)
    by_the_clock = unanswered(whole(3), "It is gone.", began_s=50.0, sent=2)

    assert [each.answer.error for each in all_of_it.requests] == ["It is gone."] * 3
    assert [each.due_s for each in all_of_it.requests] == [50, 51, 52]
    assert [each.sent_s for each in all_of_it.requests] == [None] * 3
    assert len(by_the_clock.requests) == 2
