"""What a load was."""

from __future__ import annotations

import pickle
from array import array

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


def test_an_interruption_goes_to_another_process_with_its_load():
    """As a process of several has to send it."""
    found = load([sent(3, due_s=0, sent_s=0, stamps_s=STEADY)], [0.0])

    again = pickle.loads(pickle.dumps(Interrupted(found))).load

    assert [(each.number, list(each.answer.stamps_s)) for each in again.requests] == [(3, STEADY)]
