"""What of a load is the client's own."""

from __future__ import annotations

import pickle
from array import array

import pytest

from workbench.bench.answer import Answer
from workbench.bench.load import Interrupted, Load, Sent


def sent(number: int, *, due_s: float, sent_s: float | None, stamps_s: list[float]) -> Sent:
    answer = Answer()
    answer.stamps_s.extend(stamps_s)
    done_s = stamps_s[-1] if stamps_s else None
    return Sent(number, due_s=due_s, sent_s=sent_s, done_s=done_s, answer=answer)


def load(requests: list[Sent], late_s: list[float], *, kernel_stamps: bool = True) -> Load:
    return Load(
        requests=requests,
        started_s=0.0,
        ended_s=9.0,
        read_late_s=array("d", late_s),
        kernel_stamps=kernel_stamps,
    )


STEADY = [1.0, 1.1, 1.2, 1.3]
"""Gaps of 0.1 s."""


def test_reads_later_than_a_gap_are_the_clients_share():
    """One of four came 0.2 s late, when the next chunk was there too."""
    found = load([sent(0, due_s=0, sent_s=0, stamps_s=STEADY)], [0.01, 0.02, 0.2, 0.03])

    assert found.lag_share == pytest.approx(1 / 4)


def test_without_the_kernels_times_all_lateness_is_in_the_gaps():
    """0.01 s late in the mean, of gaps of 0.1 s."""
    found = load([sent(0, due_s=0, sent_s=0, stamps_s=STEADY)], [0.005, 0.015], kernel_stamps=False)

    assert found.lag_share == pytest.approx(0.1)


def test_sending_late_counts_against_how_long_answers_take():
    """0.13 s late for an answer that took 1.17 s; one that was never sent has no lateness."""
    late = sent(0, due_s=0, sent_s=0.13, stamps_s=STEADY)
    found = load([late, sent(1, due_s=0, sent_s=None, stamps_s=[])], [0.0])

    assert found.send_late_s == [0.13]
    assert found.lag_share == pytest.approx(0.13 / 1.17)


def test_of_nothing_no_share_is_known():
    """Unknown, and not zero."""
    assert load([], []).lag_share is None


def test_an_interruption_goes_to_another_process_with_its_load():
    """As a process of several has to send it."""
    found = load([sent(3, due_s=0, sent_s=0, stamps_s=STEADY)], [0.0])

    again = pickle.loads(pickle.dumps(Interrupted(found))).load

    assert [(each.number, list(each.answer.stamps_s)) for each in again.requests] == [(3, STEADY)]
