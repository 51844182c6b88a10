"""Rates and quantiles between two pages, by PromQL's definitions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

import pytest

from workbench import scrapes
from workbench.records import Histogram, Scrape, Value

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
ENGINE_0 = (("engine", "0"), ("model_name", "pocket"))
ENGINE_1 = (("engine", "1"), ("model_name", "pocket"))


def page(name: str, *values: Value, at_s: float = 0.0, started_s: float | None = None) -> Scrape:
    """A page with one metric, a value for each engine."""
    series = {name: dict(zip((ENGINE_0, ENGINE_1), values, strict=False))} if values else {}
    at = NOON + timedelta(seconds=at_s)
    return Scrape(at=at, at_s=at_s, series=series, started_s=started_s)


def histogram(*counts: float, total: float = 0.0) -> Histogram:
    """Cumulative counts at 0.1, 0.2, 0.4 and infinity."""
    return Histogram(tuple(zip((0.1, 0.2, 0.4, inf), counts, strict=True)), counts[-1], total)


@pytest.mark.parametrize(
    ("share", "seconds"),
    [
        (0.5, 0.1),  # rank 5 of 10: the last of the first bucket
        (0.25, 0.05),  # half-way through the first, which begins at zero
        (0.7, 0.15),  # rank 7: 2 of the 4 between 0.1 and 0.2
        (0.9, 0.2),  # rank 9: the last of the second
        (0.95, 0.3),  # half-way between 0.2 and 0.4
        (1.0, 0.4),
    ],
)
def test_a_quantile_is_a_straight_line_within_a_bucket(share: float, seconds: float):
    """5 up to 0.1, 4 more up to 0.2, 1 more up to 0.4."""
    assert scrapes.quantile(histogram(5, 9, 10, 10), share) == pytest.approx(seconds)


def test_beyond_the_last_bound_it_is_that_bound():
    """Nobody knows how much beyond: PromQL's answer is the highest finite bound."""
    assert scrapes.quantile(histogram(0, 0, 1, 10), 0.95) == 0.4


def test_an_empty_bucket_is_passed_over():
    """All between 0.2 and 0.4: half of them is the middle."""
    assert scrapes.quantile(histogram(0, 0, 8, 8), 0.5) == pytest.approx(0.3)


def test_of_nothing_there_is_no_quantile_and_no_mean():
    """Unknown, not zero."""
    for nothing in (None, histogram(0, 0, 0, 0)):
        assert scrapes.quantile(nothing, 0.5) is None
        assert scrapes.mean(nothing) is None


def test_a_counter_is_what_was_added_by_all_engines():
    """10 → 14 and 5 → 6: five."""
    before, after = page("prompt_tokens", 10.0, 5.0), page("prompt_tokens", 14.0, 6.0)

    assert scrapes.increase(before, after, "prompt_tokens") == 5


@pytest.mark.parametrize("started_s", [None, 1.0], ids=["start unknown", "same start"])
def test_a_counter_that_went_down_began_at_zero(started_s: float | None):
    """One engine was started anew (7 since), the other not (10 → 14)."""
    before = page("prompt_tokens", 10.0, 50.0, started_s=started_s)
    after = page("prompt_tokens", 14.0, 7.0, started_s=started_s)

    assert scrapes.began_anew(before, after)
    assert scrapes.increase(before, after, "prompt_tokens") == 11


def test_a_new_start_is_seen_though_a_counter_is_higher():
    """The process' own start tells it: 200 since, and not 100."""
    before = page("prompt_tokens", 100.0, started_s=1.0)
    after = page("prompt_tokens", 200.0, started_s=2.0)

    assert scrapes.began_anew(before, after)
    assert scrapes.increase(before, after, "prompt_tokens") == 200


def test_an_engine_that_came_later_began_at_zero():
    """It is not on the earlier page."""
    before, after = page("prompt_tokens", 10.0), page("prompt_tokens", 14.0, 3.0)

    assert scrapes.increase(before, after, "prompt_tokens") == 7


def test_histograms_are_subtracted_and_added_bucket_by_bucket():
    """Engine 0 saw two more (0.1 and 0.2), engine 1 one (0.4)."""
    before = page("ttft", histogram(1, 1, 1, 1, total=0.1), histogram(0, 0, 0, 0))
    after = page("ttft", histogram(2, 3, 3, 3, total=0.4), histogram(0, 0, 1, 1, total=0.4))

    seen = scrapes.observed(before, after, "ttft")

    assert seen.buckets == ((0.1, 1), (0.2, 2), (0.4, 3), (inf, 3))
    assert scrapes.mean(seen) == pytest.approx(0.7 / 3)


def test_what_the_page_does_not_have_is_unknown():
    """Not zero."""
    before, after = page("running", 1.0), page("running", 1.0)

    assert scrapes.increase(before, after, "preemptions") is None
    assert scrapes.observed(before, after, "ttft") is None
    assert scrapes.now(after, "waiting") is None


def test_of_gauges_requests_add_up_and_the_fullest_cache_counts():
    """A request waits for the engine it was given to: a mean would hide the full one."""
    assert scrapes.now(page("running", 2.0, 1.0), "running") == 3
    assert scrapes.now(page("kv_cache_usage", 0.2, 0.9), "kv_cache_usage") == 0.9


def test_a_page_from_the_start_has_counted_nothing():
    """So that all of a page is the difference to it."""
    after = page("prompt_tokens", 40.0, at_s=20.0, started_s=NOON.timestamp())
    start = scrapes.at_start(after)

    assert (start.at, start.at_s) == (NOON, 0.0)
    assert scrapes.increase(start, after, "prompt_tokens") == 40
    assert scrapes.at_start(page("prompt_tokens", 40.0)) is None
