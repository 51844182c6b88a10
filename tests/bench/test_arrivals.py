"""When requests are due."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean, pstdev

import pytest

from workbench.bench import arrivals
from workbench.errors import ConfigError


def gaps(times: arrivals.Times) -> list[float]:
    return [later - earlier for earlier, later in zip((0.0, *times), times, strict=False)]


def test_constant_arrivals_are_evenly_spaced():
    """Four a second: one every quarter."""
    assert arrivals.constant(4, 3) == (0.25, 0.5, 0.75)


def test_random_arrivals_end_where_their_rate_says():
    """A hundred at 20 a second take five seconds, whatever the seed."""
    for seed in range(3):
        assert arrivals.random(20, 100, seed=seed)[-1] == pytest.approx(5.0)


@pytest.mark.parametrize(("burstiness", "spread"), [(1.0, 1.0), (0.25, 2.0), (4.0, 0.5)])
def test_burstiness_is_the_gamma_shape(burstiness: float, spread: float):
    """A gamma distribution's deviation is its mean / √shape; 1 is Poisson's exponential gap."""
    found = gaps(arrivals.random(10, 20_000, burstiness=burstiness, seed=1))

    assert pstdev(found) / fmean(found) == pytest.approx(spread, rel=0.05)


def test_the_same_seed_gives_the_same_arrivals():
    """And another one others."""
    assert arrivals.random(10, 50, seed=7) == arrivals.random(10, 50, seed=7)
    assert arrivals.random(10, 50, seed=7) != arrivals.random(10, 50, seed=8)


@pytest.mark.parametrize("shape", ["linear", "exponential"])
def test_a_ramp_goes_from_one_rate_to_the_other(shape: arrivals.Ramp):
    """Nearly without chance (a shape of a million) the first gap is 1/2 s, the last 1/50 s."""
    found = gaps(arrivals.ramp(2, 50, 200, shape=shape, burstiness=1e6))

    assert (found[0], found[-1]) == pytest.approx((1 / 2, 1 / 50), rel=0.01)


def test_half_way_an_exponential_ramp_is_at_the_geometric_mean():
    """From 1 to 100 a second it passes 10 at the middle request of three."""
    found = gaps(arrivals.ramp(1, 100, 3, shape="exponential", burstiness=1e6))

    assert found[1] == pytest.approx(1 / 10, rel=0.01)


def test_a_trace_is_replayed_from_its_first_request():
    """Clock and order of the file do not matter."""
    assert arrivals.replay([1005.0, 1000.0, 1001.0]) == (0.0, 1.0, 5.0)
    assert arrivals.replay([0.0, 3.0], faster=2) == (0.0, 1.5)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: arrivals.constant(0, 1),
        lambda: arrivals.random(-1, 1),
        lambda: arrivals.random(float("nan"), 1),
        lambda: arrivals.random(1, 1, burstiness=0),
        lambda: arrivals.ramp(1, 0, 2),
        lambda: arrivals.replay([1.0], faster=0),
    ],
)
def test_what_cannot_come_is_refused(wrong: Callable[[], object]):
    """No rate of zero, and nothing that is no number."""
    with pytest.raises(ConfigError):
        wrong()


def test_no_requests_need_no_time():
    """An empty load is no division by zero."""
    assert arrivals.random(1, 0) == arrivals.replay([]) == ()
