"""Bytes and the time that the rest may take, from a clock that the test moves."""

from __future__ import annotations

import pytest

from workbench.hub.meter import Meter
from workbench.records import Progress


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_rest_takes_as_long_as_its_bytes_at_the_rate_of_late(clock: Clock):
    """100 bytes a second from the second on which the first came; what was here counts not."""
    meter = Meter(2000, lambda _progress: None, clock=clock)
    meter.begin("weights", 1500)
    meter.here(500)
    assert meter.eta_s is None
    meter.come(100)
    for _ in range(4):
        clock.now_s += 1
        meter.come(100)

    assert (meter.done_bytes, meter.come_bytes) == (1000, 500)
    assert meter.eta_s == pytest.approx(10)


def test_a_network_that_became_slow_is_believed(clock: Clock):
    """Only the last 20 s count."""
    meter = Meter(100_000, lambda _progress: None, clock=clock)
    meter.come(50_000)
    for _ in range(30):
        clock.now_s += 1
        meter.come(10)

    assert meter.eta_s == pytest.approx((100_000 - 50_300) / 10)


def test_it_tells_when_a_file_begins_and_ten_times_a_second(clock: Clock):
    """More is not seen by anybody."""
    told: list[Progress] = []
    meter = Meter(1000, told.append, clock=clock)
    meter.begin("weights", 1000)
    for _ in range(100):
        clock.now_s += 0.01
        meter.come(5)

    assert 9 <= len(told) <= 11
    assert (told[0].label, told[0].done, told[0].total) == ("weights", 0, 1000)
    assert told[-1].fraction == told[-1].done / 1000
