"""How sure a number is."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.bench import intervals


def test_the_interval_of_a_mean_is_students():
    """
    1 … 5: mean 3, standard deviation √2.5; t(0.975, 4) is 2.776 in every table.

    3 ± 2.776 × √2.5 / √5 = 3 ± 1.963
    """
    found = intervals.of_mean([1, 2, 3, 4, 5])

    assert found is not None
    assert found.value == 3
    assert found.low == pytest.approx(3 - 1.963, abs=1e-3)
    assert found.high == pytest.approx(3 + 1.963, abs=1e-3)


@pytest.mark.parametrize(
    ("count", "quantile"), [(2, 12.706), (3, 4.303), (11, 2.228), (31, 2.042), (1001, 1.962)]
)
def test_students_quantile_is_that_of_the_tables(count: int, quantile: float):
    """Values of a spread of 1 have a standard error of 1/√n; the tables give the rest."""
    values = np.linspace(-1, 1, count)
    values = values / values.std(ddof=1)
    found = intervals.of_mean(values.tolist())

    assert found is not None
    assert found.high * np.sqrt(count) == pytest.approx(quantile, abs=1e-3)


def test_one_value_says_nothing_of_its_noise():
    """There is no spread of one."""
    assert intervals.of_mean([3.0]) is None
    assert intervals.difference([3.0], [4.0]) is None


def test_a_share_of_all_is_not_certain():
    """
    100 of 100: Wilson's lower end is n / (n + z²) = 100 / 103.84 = 0.963.
    """
    found = intervals.of_share(100, 100)

    assert found is not None
    assert found.value == 1
    assert found.low == pytest.approx(0.9630, abs=1e-4)
    assert found.high == pytest.approx(1)
    assert intervals.of_share(0, 0) is None


def test_wilsons_interval_of_a_half():
    """
    5 of 10, z = 1.96: middle 0.5, reach 1.96 √(0.025 + 0.0096) / 1.384 = 0.2634.
    """
    found = intervals.of_share(5, 10)

    assert found is not None
    assert found.low == pytest.approx(0.2366, abs=1e-4)
    assert found.high == pytest.approx(0.7634, abs=1e-4)


def test_a_difference_of_two_samples_is_welchs():
    """
    1, 2, 3 and 4, 6, 8: means 2 and 6, variances 1 and 4 over 3 each: error √(5/3) = 1.291;

    degrees (5/3)² / ((1/3)²/2 + (4/3)²/2) = 2.941; t(0.975, 2.941) is 3.22 by interpolation
    between 4.303 (2) and 3.182 (3).
    """
    found = intervals.difference([1, 2, 3], [4, 6, 8])

    assert found is not None
    assert found.value == 4
    assert found.high - 4 == pytest.approx(3.22 * 1.291, rel=0.01)
    assert 4 - found.low == pytest.approx(found.high - 4)
    assert not found.tells_from_zero or found.low > 0


def test_one_value_is_measured_by_the_others_spread():
    """
    1, 2, 3 and then 9: 7 more, and 4.303 × 1 × √(1 + 1/3) = 4.969 either way.
    """
    found = intervals.difference([1, 2, 3], [9])

    assert found is not None
    assert (found.value, found.low) == (7, pytest.approx(7 - 4.969, abs=1e-3))
    assert found.tells_from_zero


def test_values_that_never_vary_differ_for_certain():
    """Without any spread the difference is known."""
    found = intervals.difference([2, 2], [3, 3])

    assert found == intervals.Interval(1, 1, 1)


def test_a_bootstrap_finds_what_theory_says():
    """
    Means of 400 values with spread 1 differ by ± 1.96 √(2/400) = 0.139, the mean being 1.
    """
    chance = np.random.default_rng(1)
    before, after = chance.normal(0, 1, 400), chance.normal(1, 1, 400)
    found = intervals.bootstrapped(before.tolist(), after.tolist(), np.mean)

    assert found is not None
    assert (found.high - found.low) / 2 == pytest.approx(0.139, rel=0.1)
    assert found.value == pytest.approx(1, abs=0.15)
    assert found.tells_from_zero


def test_a_scaled_interval_keeps_its_order():
    """By a negative factor the low end becomes the high one."""
    assert intervals.Interval(2, 1, 3).scaled(-2) == intervals.Interval(-4, -6, -2)
