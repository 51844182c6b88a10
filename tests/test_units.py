"""
Numbers as people read them.
"""

from __future__ import annotations

import pytest

from workbench import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(None, "–", id="unknown"),
        (0.0, "0.00 µs"),
        (0.000031, "31.0 µs"),
        (0.0009994, "999 µs"),
        (0.0009996, "1.00 ms"),
        (0.0423, "42.3 ms"),
        (0.182, "182 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (3.21, "3.21 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (75, "1 min 15 s"),
        (3725, "62 min 05 s"),
    ],
)
def test_seconds_change_their_unit(value: float | None, text: str) -> None:
    """
    Three significant figures, and never "1000 ms" or "60.0 s" from rounding.
    """
    assert units.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(None, "–", id="unknown"),
        (0, "0 B"),
        (512, "512 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (2_900_000, "2.77 MiB"),
        (25_707_937_792, "23.9 GiB"),
        (5_000 * 2**30, "5,000 GiB"),
    ],
)
def test_sizes_are_binary(value: int | None, text: str) -> None:
    """
    2,900,000 / 2**20 = 2.766; 25,707,937,792 / 2**30 = 23.94.
    """
    assert units.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(None, "–", id="unknown"),
        (41.23, "41.2 tok/s"),
        (0.5, "0.50 tok/s"),
        (9064.6, "9,065 tok/s"),
    ],
)
def test_rates_have_their_unit(value: float | None, text: str) -> None:
    """
    Three significant figures; thousands are whole.
    """
    assert units.rate(value) == text


def test_a_rate_can_have_another_unit() -> None:
    """
    Requests have rates too.
    """
    assert units.rate(2.5, "req/s") == "2.50 req/s"


@pytest.mark.parametrize(
    ("value", "noun", "text"),
    [
        pytest.param(None, "token", "–", id="unknown"),
        (0, "token", "0 tokens"),
        (1, "token", "1 token"),
        (44784, "token", "44,784 tokens"),
        (1000, "", "1,000"),
    ],
)
def test_counts_agree_with_their_noun(value: int | None, noun: str, text: str) -> None:
    """
    One token, and any other number of tokens.
    """
    assert units.count(value, noun) == text
