"""One table for all versions: what each of them has, and under which name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from workbench.metric_names import BY_NAME, METRICS
from workbench.servers.metrics_page import read_page, vllm_names

PAGES = Path(__file__).parent / "data/metrics"

# By page: what it does not have. vLLM's sources are the authority; see the README there.
MISSING = {
    "assembled-0.9.2-v0": {"prefix_cache_queries", "prefix_cache_hits", "finished", "tpot"},
    "assembled-0.9.2": {"tpot"},
    "assembled-0.11.2": set(),
    "assembled-0.16.0": set(),
    "assembled-0.24.0": set(),
    "captured-0.32.0": set(),
    "assembled-0.33.0": set(),
}


def test_every_page_is_looked_at():
    """A page that is added says here what it lacks."""
    assert {path.stem for path in PAGES.glob("*.txt")} == MISSING.keys()


@pytest.mark.parametrize("page", MISSING)
def test_a_page_of_any_version_is_read(page: str):
    """Whatever the version calls them, they come under our names."""
    text = (PAGES / f"{page}.txt").read_text()
    scrape = read_page(text, at=datetime.now(UTC), at_s=0.0)

    assert BY_NAME.keys() - scrape.series.keys() == MISSING[page]


def test_names_are_unique():
    """None of vLLM's names means two things."""
    names = [name for metric in METRICS for name in metric.names]

    assert len(set(names)) == len(names)
    assert len(BY_NAME) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_name_is_on_a_page(metric):
    """No name stands in the table that no version has."""
    seen = {
        name.removesuffix("_total") if metric.kind == "counter" else name
        for page in MISSING
        for name in vllm_names((PAGES / f"{page}.txt").read_text())
    }

    assert set(metric.names) <= seen
