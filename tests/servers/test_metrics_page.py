"""The page is read once, for everybody who wants something of it."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from pathlib import Path

import pytest

from tests.scripted import ScriptedServer, reply
from workbench.records import Histogram, Scrape
from workbench.servers.metrics_page import count_requests, read_page, requests_under_way
from workbench.urls import root_url

PAGES = Path(__file__).parent.parent / "data/metrics"

TWO_ENGINES = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a {odd} \\"name\\""} 2.0
vllm:num_requests_running{engine="1",model_name="a {odd} \\"name\\""} 1
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="a {odd} \\"name\\""} 4.0
"""


def read(page: str) -> Scrape:
    return read_page(page, at=datetime.now(UTC), at_s=0.0)


def test_numbers_are_those_of_the_page():
    """Three made-up requests (assemble.py): 33 tokens, the first after 30, 50 and 300 ms."""
    series = read((PAGES / "assembled-0.33.0.txt").read_text()).series
    labels = (("engine", "0"), ("model_name", "pocket"))
    ttft = series["ttft"][labels]

    assert series["generation_tokens"] == {labels: 33.0}
    assert series["kv_cache_usage"] == {labels: 0.25}
    assert isinstance(ttft, Histogram)
    assert (ttft.count, round(ttft.sum, 9)) == (3.0, 0.38)
    assert dict(ttft.buckets)[0.04] == 1.0
    assert dict(ttft.buckets)[0.06] == 2.0
    assert dict(ttft.buckets)[inf] == 3.0


def test_reasons_are_kept_apart():
    """stop, length, abort: a label of the series."""
    finished = read((PAGES / "assembled-0.9.2.txt").read_text()).series["finished"]
    by_reason = {dict(labels)["finished_reason"]: value for labels, value in finished.items()}

    assert by_reason == {"stop": 2.0, "length": 1.0, "abort": 0.0}


def test_a_metric_under_two_names_is_read_once():
    """0.11.2 writes the gaps between tokens under the old name too: 30, and not 60."""
    page = (PAGES / "assembled-0.11.2.txt").read_text()
    (itl,) = read(page).series["itl"].values()

    assert "vllm:time_per_output_token_seconds_count" in page
    assert itl.count == 30


def test_the_old_name_does_where_there_is_no_other():
    """0.9.2's older engine knows gpu_cache_usage_perc only, and no engine."""
    page = (PAGES / "assembled-0.9.2-v0.txt").read_text()

    assert "vllm:kv_cache_usage_perc" not in page
    assert read(page).series["kv_cache_usage"] == {(("model_name", "pocket"),): 0.25}


def test_the_start_of_the_server_is_known():
    """From Prometheus' own metric, which a page of several API servers does not have."""
    assert read((PAGES / "captured-0.32.0.txt").read_text()).started_s == 1.79557971663e9
    assert read(TWO_ENGINES).started_s is None


@pytest.mark.parametrize("page", ["", "<html>Not found</html>\n", "# llama\nllama_tokens 3\n"])
def test_another_page_says_nothing(page: str):
    """Not an error: many servers have no metrics."""
    assert read(page).series == {}
    assert count_requests(page, "running") is None


def test_requests_of_all_engines_are_counted():
    """2 + 1 run, 4 wait; a name with braces and quotes in it does not confuse."""
    assert count_requests(TWO_ENGINES, "running") == 3
    assert count_requests(TWO_ENGINES, "running", "waiting") == 7


@pytest.mark.parametrize(
    ("answer", "count"),
    [(reply(200, TWO_ENGINES), 7), (reply(404, TWO_ENGINES), None), (reply(200, "x"), None)],
    ids=["a page", "a refusal", "no page"],
)
def test_what_is_under_way_is_asked_of_the_server(answer, count):
    """And unknown, not zero, where it does not say."""
    with_server = ScriptedServer()
    try:
        with_server.others["/metrics"] = [answer]
        assert requests_under_way(root_url(with_server.base_url), api_key=None) == count
    finally:
        with_server.close()
