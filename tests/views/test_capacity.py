"""What a search for the highest rate says."""

from __future__ import annotations

from typing import Any

from workbench.bench.capacity import Capacity
from workbench.bench.search import Found, Trial, level_of
from workbench.bench.slo import Slo
from workbench.display import View
from workbench.views.capacity import capacity_view, level_line


def trial(rate_rps: float, good: int, *, of: int = 1000, **changed: Any) -> Trial:
    given = {"saturated": False, "ttft_p50_s": 0.1, "tpot_p50_s": 0.01} | changed
    return Trial(rate_rps=rate_rps, achieved_rps=rate_rps, requests=of, good=good, **given)


def shown(*trials: Trial, rate_rps: float | None = None, missed_rps: float | None = None) -> View:
    found = Found(
        goodput=0.99,
        rate_rps=rate_rps,
        missed_rps=missed_rps,
        levels=tuple(level_of([each], goodput=0.99) for each in trials),
        why="the gap is 10% of the rate",
    )
    return capacity_view(Capacity(slo=Slo(ttft_s=0.2), found=found, results=()))


def test_the_answer_stands_above_with_what_is_sure():
    """1,000 of 1,000 at 4 show 99 %, 900 at 8 show the contrary; rows go by the rate."""
    view = shown(trial(8, 900), trial(4, 1000), rate_rps=4, missed_rps=8)

    assert view.title == (
        "4.00 req/s is the highest rate with 99% of requests with TTFT ≤ 200 ms "
        "(surely met at 4, surely missed at 8)."
    )
    assert [row[0] for row in view.rows] == ["4.00 req/s", "8.00 req/s"]
    assert [row[2] for row in view.rows] == ["100.0%", "90.0%"]
    assert [row[-1] for row in view.rows] == ["met", "missed"]
    assert view.note == "Ended because the gap is 10% of the rate."
    assert view.ok


def test_no_rate_is_a_failure_that_says_so():
    """The exit status is 1."""
    view = shown(trial(1, 0), missed_rps=1)

    assert view.title.startswith("No rate was found at which 99% of requests")
    assert not view.ok


def test_few_requests_are_unsure_and_it_says_how_many_would_do():
    """20 of 20 do not show 99 %; 381 would."""
    view = shown(trial(1, 20, of=20), rate_rps=1)

    assert view.rows[0][-1] == "met, unsure"
    assert "surely met at –" in view.title
    assert "381 good ones of 381 would show 99%" in str(view.note)


def test_a_queue_that_grew_and_a_burst_are_explained():
    """Where they are in the table."""
    view = shown(trial(8, 1000, saturated=True), trial(16, 1000, saturated=None))

    assert [row[-1] for row in view.rows] == ["saturated", "too short, unsure"]
    assert "saturated: the queue grew" in str(view.note)
    assert "too short: half of its requests came in less time" in str(view.note)


def test_its_data_has_every_trial_and_the_limits():
    """For a program."""
    data: Any = shown(trial(4, 1000), rate_rps=4).data

    assert data["slo"] == {"ttft_s": 0.2, "tpot_s": None, "e2el_s": None}
    assert data["levels"][0]["trials"][0]["good"] == 1000


def test_a_rate_is_a_line_as_soon_as_it_is_known():
    """For who waits."""
    level = level_of([trial(4, 1000), trial(4, 1000)], goodput=0.99)

    assert level_line(level) == "4 req/s: 100.0% good of 2000, met"
