"""What a measurement says, and what it says beside its numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.bench.results import QUIET, request, result
from workbench.bench.load import Workers
from workbench.bench.result import Fingerprint, Moment, ServerSide
from workbench.bench.slo import Slo
from workbench.bench.summary import summarize
from workbench.reconcile import Flag, Part, Reconciliation
from workbench.views import bench_view

SIDES = Reconciliation(
    window_s=2.0,
    asked=4,
    finished=4,
    parts=(
        Part(name="client", ttft_s=0.1, e2e_s=0.14),
        Part(name="queue", ttft_s=0.03, e2e_s=0.03),
        Part(name="outside", ttft_s=0.002, e2e_s=0.002),
    ),
    flags=(Flag(id="queued", seen="30 ms were waiting", means="Fewer at once."),),
)


def shown(*results: object) -> str:
    return str(bench_view(results))


def test_one_measurement_is_a_table_of_its_times():
    """Four requests in two seconds, all alike: 2 req/s, 6 tokens a second."""
    text = shown(result())
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}

    assert "pocket at http://127.0.0.1:8000/v1 (vllm 0.32.0): concurrency 2" in text
    assert "4 of 4 answered in 2.00 s · 2.00 req/s · 6.00 tok/s out" in text
    assert lines["TTFT"][1:4] == ["100", "ms", "100"]
    assert lines["TPOT"][1:3] == ["20.0", "ms"]
    assert lines["TTFT"][-2:] == ["–", "4"]  # no p99 of four


def test_several_are_a_line_each():
    """With what is good, where limits were given."""
    slow = tuple(request(number, ttft_s=0.3) for number in range(4))
    limits = Slo(ttft_s=0.2)

    text = shown(
        result(slo=limits), result(concurrency=8, requests=slow, slo=limits)
    )  # fmt: skip
    first, second = (line for line in text.splitlines() if line.startswith("concurrency"))

    assert "100.0%" in first
    assert re.search(r"concurrency 8 .* 300 ms .* 0\.0%", second)


def test_the_lag_is_always_said_and_loud_above_one_percent():
    """A share of 0.12 % is a line, 1.1 % is a warning, and not sure."""
    loud = result(lag=replace(QUIET, share=0.011))

    assert "client lag: read 50.0 µs late on average" in shown(result())
    assert "WARNING" not in shown(result())
    assert "WARNING: the client's own lag may be 1.1%" in shown(loud)
    assert bench_view([loud]).unsure
    assert not bench_view([result()]).unsure


def test_machines_that_sent_are_named_with_the_clocks_error():
    """And one that was lost comes first."""
    workers = Workers(names=("10.0.0.2", "10.0.0.3"), processes=4, clock_error_s=0.0021)
    said = shown(replace(result(), workers=workers))
    lost = shown(replace(result(), workers=replace(workers, lost=("10.0.0.3",))))

    assert "sent by 2 workers, processes 4: 10.0.0.2, 10.0.0.3" in said
    assert "within 2.10 ms" in said
    assert "LOST" not in said
    assert "LOST: 10.0.0.3" in lost


def test_errors_are_counted_in_the_open():
    """How many, of which kinds, and that no average has them."""
    failed = [replace(request(n), error="HTTP 500: no") for n in (1, 2)]

    text = shown(result(requests=(request(0), *failed)))

    assert "66.7% FAILED" in text
    assert "2 requests failed, and are in no average:\n  2 × HTTP 500: no" in text


def test_a_run_without_an_answer_is_not_ok():
    """The shell's exit status is 1."""
    failed = replace(request(0), error="cut")

    assert not bench_view([result(requests=(failed,))]).ok
    assert bench_view([result()]).ok


def test_a_server_that_counts_no_tokens_is_said():
    """And chunks are not counted instead."""
    uncounted = replace(request(0), output_tokens=None, input_tokens=None)

    text = shown(result(requests=(uncounted,)))

    assert "no usage with 1 of 1 answers" in text
    assert "– out" in text


def test_prompts_that_the_server_knew_are_said():
    """Unless sharing them is what is measured."""
    side = ServerSide(sides=SIDES, prefix_cache_hit_share=0.9)
    shared = Fingerprint(model="m", base_url="u", workload={"shared_prefix": 100})

    assert "90% of the prompts' tokens came from" in shown(result(server=side))
    assert "tokens came from" not in shown(result(server=side, fingerprint=shared))


def test_where_time_went_is_beside_it():
    """By the server's count, with what does not agree."""
    moment = Moment(at_s=1.0, running=2.0, waiting=5.0, kv_cache_usage=0.25)
    side = ServerSide(sides=SIDES, moments=(moment,), preemptions=3.0)

    text = shown(result(server=side))

    assert "where a request's time went: queue 30.0 ms, outside 2.00 ms" in text
    assert "up to 2 running, up to 5 waiting, KV cache up to 25% full, 3 preemptions" in text
    assert "queued: 30 ms were waiting. Fewer at once." in text


def test_what_is_left_over_may_be_less_than_nothing():
    """The server's means are of other requests too."""
    less = replace(SIDES, parts=(SIDES.parts[0], Part(name="outside", ttft_s=None, e2e_s=-0.0121)))

    assert "outside −12.1 ms" in shown(result(server=ServerSide(sides=less)))


def test_cold_requests_have_a_line_of_their_own():
    """They are in no row."""
    cold = summarize([request(0, ttft_s=1.5)], duration_s=2.0)

    assert "warm-up, left out above: 1 request, TTFT 1.50 s" in shown(result(cold=cold))


def test_an_interrupted_run_says_so_first():
    """Before any warning."""
    assert "INTERRUPTED after 4 of 4" in shown(result(interrupted=True))


def test_its_data_is_vllms_json():
    """One result as an object, several as a list."""
    assert bench_view([result()]).data["mean_ttft_ms"] == pytest.approx(100)
    assert [each["max_concurrency"] for each in bench_view([result(), result()]).data] == [2, 2]


class Tags(HTMLParser):
    """What a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_needs_no_network():
    """Its pictures are in it, it loads nothing, and its policy would not let it."""
    page = bench_view([result(), result(concurrency=4)]).report()
    tags = Tags()
    tags.feed(page)

    assert not tags.names & {"script", "link", "iframe"}
    assert len(tags.sources) == 6  # two curves, and two pictures of each run
    assert all(source.startswith("data:image/png;base64,") for source in tags.sources)
    assert "default-src 'none'" in page


def test_the_page_has_what_was_measured_and_the_warnings():
    """The fingerprint, the cold requests, where time went."""
    cold = summarize([request(0, ttft_s=1.5)], duration_s=2.0)
    whole = result(cold=cold, server=ServerSide(sides=SIDES), lag=replace(QUIET, share=0.2))

    page = bench_view([whole]).report()

    for said in ("0.32.0", "Where time went", "1.50 s", "own lag may be 20.0%", "workload_hash"):
        assert said in page


def test_what_a_server_says_is_no_markup():
    """Neither its model's name nor its errors."""
    evil = "<script>alert(1)</script>"
    failed = replace(request(1), error=f"HTTP 500: {evil}")
    marked = result(
        requests=(request(0), failed), fingerprint=Fingerprint(model=evil, base_url="u")
    )

    assert "<script" not in bench_view([marked]).report()
    assert "<script" not in bench_view([marked, marked]).report()
