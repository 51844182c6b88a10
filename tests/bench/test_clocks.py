"""What another machine's clock is behind or ahead, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from workbench.bench.clocks import Offset, between, measured


def ticking(times_s: Iterable[float]) -> Callable[[], float]:
    return iter(times_s).__next__


def test_the_shortest_round_trip_tells_most():
    """
    Asked at 10 and heard at 14 with 113 in between: 101, and 2 either way. The next takes from
    20 to 21 and says 120.7: 120.7 - 20.5, and 0.5 either way.
    """
    found = measured(ticking([113.0, 120.7]), rounds=2, now=ticking([10.0, 14.0, 20.0, 21.0]))

    assert found.offset_s == pytest.approx(100.2)
    assert found.error_s == 0.5


@pytest.mark.parametrize("there_s", [0.0, 0.3, 1.0])
def test_the_truth_is_within_the_error_whichever_way_was_slower(there_s: float):
    """The other clock is 50 s ahead; of a round trip of 1 s any part was the way there."""
    found = measured(ticking([5.0 + there_s + 50.0]), rounds=1, now=ticking([5.0, 6.0]))

    assert abs(found.offset_s - 50.0) <= found.error_s + 1e-9


def test_a_clock_that_drifts_is_in_the_middle_with_half_of_the_drift():
    """From 1.0 ± 0.1 to 1.4 ± 0.3: 1.2, and up to 1.7 is 0.5 away."""
    found = between(Offset(offset_s=1.0, error_s=0.1), Offset(offset_s=1.4, error_s=0.3))

    assert found.offset_s == pytest.approx(1.2)
    assert found.error_s == pytest.approx(0.5)
