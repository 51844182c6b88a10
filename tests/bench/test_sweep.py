"""Where a load's curve bends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.results import result
from workbench.bench.result import Settings
from workbench.bench.sweep import Point, knee, points


def point(concurrency: int, tps: float) -> Point:
    return Point(concurrency=concurrency, throughput=tps)


def test_the_knee_is_where_power_is_greatest():
    """
    100, 200, 380, 480, 500 tokens a second at 1, 2, 4, 8, 16.

    Squares over concurrency: 10,000, 20,000, 36,100, 28,800, 15,625. So it is at 4,
    between 2 and 8, with 380 of 500 tokens a second.
    """
    found = knee([point(1, 100), point(2, 200), point(4, 380), point(8, 480), point(16, 500)])

    assert found is not None
    assert found.concurrency == 4
    assert found.between == (2, 8)
    assert found.of_peak == pytest.approx(0.76)
    assert found.is_reached


def test_a_curve_that_still_rises_has_no_knee_yet():
    """100, 190, 360: power 10,000, 18,050, 32,400; the greatest is the last, so go on."""
    found = knee([point(1, 100), point(2, 190), point(4, 360)])

    assert found is not None
    assert found.between == (2, None)
    assert not found.is_reached


def test_a_server_that_one_request_fills_has_its_knee_there():
    """100 whatever the concurrency: nothing is below it."""
    found = knee([point(4, 100), point(1, 100), point(2, 100)])

    assert found is not None
    assert found.concurrency == 1
    assert found.between == (None, 2)


def test_two_points_show_no_bend():
    """A line goes through any two."""
    assert knee([point(1, 100), point(2, 150)]) is None


def test_only_closed_loops_are_points_of_a_curve():
    """A rate with a limit on what is under way is none; all at once is as many as there are."""
    closed = replace(result(), settings=Settings(num_prompts=9, concurrency=2))
    all_at_once = replace(result(), settings=Settings(num_prompts=9))
    rated = replace(result(), settings=Settings(num_prompts=9, concurrency=2, request_rate_rps=1.0))

    assert [each.concurrency for each in points([closed, all_at_once, rated])] == [2, 9]
