"""Pictures of measurements: what they say."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from tests.bench.results import request, result
from workbench.bench.result import Result
from workbench.bench.slo import Slo
from workbench.plots.bench import against_load, curve, itl, pictures, timeline


def titles(figure) -> str:
    axes = [each.get_title(loc="left") for each in figure.axes]
    return " ".join([figure.get_suptitle(), *axes]).strip()


def loads(*of: tuple[int, float]) -> list[Result]:
    """Results of concurrency and seconds for four requests of three tokens."""
    return [result(concurrency=many, duration_s=took_s) for many, took_s in of]


def test_everything_that_can_be_drawn_is():
    """Curves of several loads, and the requests of each; of one only its requests."""
    several = pictures(loads((1, 4.0), (2, 2.0), (4, 1.9)))
    for figure in several.values():
        figure.savefig(io.BytesIO(), format="png")

    assert len(several) == 2 + 2 * 3
    assert list(pictures(loads((1, 4.0)))) == ["requests", "gaps between tokens"]


@pytest.mark.parametrize("draw", [against_load, curve])
def test_runs_without_an_answer_can_be_drawn(draw):
    """They are points that are not there."""
    failed = result(requests=(replace(request(0), error="no", output_tokens=None),))

    draw([failed, failed]).savefig(io.BytesIO(), format="png")


def test_a_result_without_its_requests_has_only_curves():
    """A file that was saved without details."""
    bare = [replace(each, requests=()) for each in loads((1, 4.0), (2, 2.0))]

    assert list(pictures(bare)) == ["latency against load", "throughput and latency"]


def test_the_knee_is_in_the_pictures_title():
    """12 tokens in 4, 2, 1.9 s: 3²/1 = 9, 6²/2 = 18, 6.3²/4 = 10 (Kleinrock)."""
    assert "the knee is at 2 with 6.00 tok/s" in titles(curve(loads((1, 4.0), (2, 2.0), (4, 1.9))))


@pytest.mark.parametrize("of", [((1, 4.0), (2, 2.0)), ((1, 4.0), (2, 2.0), (4, 1.0))])
def test_a_bend_that_was_not_reached_is_in_none(of: tuple):
    """Two loads make a line; and where more still brings as much more, it goes on."""
    assert "knee" not in titles(curve(loads(*of)))


def test_the_limit_is_a_line():
    """At 200 ms of TTFT, and none for TPOT, which has no limit."""
    limited = [result(concurrency=many, slo=Slo(ttft_s=0.2)) for many in (1, 2)]
    above, below = against_load(limited).axes

    assert "limit 200 ms" in above.get_legend_handles_labels()[1]
    assert "limit 200 ms" not in below.get_legend_handles_labels()[1]


def test_a_request_waits_and_then_streams():
    """Sent at 0.25 s: waiting to 0.35, streaming to 0.39; a failed one is marked."""
    failed = replace(request(1, start_s=1.0), error="cut", ttft_s=None, e2el_s=0.5)
    (axes,) = timeline(result(requests=(request(0, start_s=0.25), failed))).axes
    ends = {
        lines.get_label(): [tuple(path.vertices[:, 0]) for path in lines.get_paths()]
        for lines in axes.collections
    }

    assert ends["waiting for the first token"] == [pytest.approx((0.25, 0.35))]
    assert ends["streaming"] == [pytest.approx((0.35, 0.39))]
    assert ends["failed"] == [pytest.approx((1.0, 1.5))]
    assert "1 failed" in titles(timeline(result(requests=(request(0), failed))))


def test_gaps_that_are_nothing_are_said_and_not_drawn():
    """A logarithmic axis has no place for them."""
    together = request(0)
    together.itls_s[0] = 0.0
    figure = itl(result(requests=(together,)))

    assert "1 of 2 came with the one before" in figure.axes[0].get_xlabel()
    assert titles(figure).startswith("Half of 2 gaps were at most 10.0 ms")
