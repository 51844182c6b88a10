"""Where a load's curve bends."""

from __future__ import annotations

import pytest

from workbench.bench.sweep import Point, knee, sweep


def point(concurrency: int, *tps: float) -> Point:
    return Point(
        concurrency=concurrency, request_rps=tuple(value / 10 for value in tps), output_tps=tps
    )


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


def test_a_sweep_goes_up_and_takes_runs_together():
    """Each concurrency once, in order; two runs are a mean with an interval."""
    asked: list[tuple[int, int]] = []

    def measure(concurrency: int, number: int) -> Point:
        asked.append((concurrency, number))
        return point(concurrency, 100.0 + number)

    points = sweep(measure, [2, 1, 2], repeats=2)

    assert asked == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert points[0].throughput == 100.5
    assert points[0].interval is not None
    # 12.706 × √0.5 / √2 = 6.353
    assert points[0].interval.high == pytest.approx(100.5 + 6.353, abs=1e-3)


def test_one_run_has_no_interval():
    """And says so by ``None``."""
    assert point(1, 100).interval is None
