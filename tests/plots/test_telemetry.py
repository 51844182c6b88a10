"""Pictures of recorded requests: what they say, and that they say it on any page."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from tests.telemetry.test_summary import frame
from workbench import plots
from workbench.plots.telemetry import OTHERS

DRAWN = (plots.latency, plots.ttft, plots.tokens, plots.errors)

ROWS = (
    {"ttft_s": 0.1, "e2e_latency_s": 1.0, "input_tokens": 30, "cached_tokens": 10},
    {"ttft_s": 0.3, "e2e_latency_s": 3.0, "output_tokens": 70, "model": "b"},
    {"status": "error", "error_type": "RateLimitedError", "duration_s": 2.0},
    {"status": "interrupted", "ttft_s": 0.2, "duration_s": 0.5},
)


def titles(figure) -> str:
    axes = [each.get_title(loc="left") for each in figure.axes]
    return " ".join([figure.get_suptitle(), *axes]).strip()


@pytest.mark.parametrize("draw", DRAWN)
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], ()], ids=["several", "one", "none"])
def test_whatever_was_recorded_can_be_drawn(draw: Callable, rows: tuple):
    """Many, one or nothing; and the background is the page's."""
    figure = draw(frame(*rows))
    figure.savefig(io.BytesIO(), format="png")

    assert figure.patch.get_alpha() == 0
    assert titles(figure)


@pytest.mark.parametrize(
    ("draw", "finding"),
    [
        # 1 s and 3 s; one of four failed, and one was stopped.
        (plots.latency, "4 requests: half were done in 1.00 s, 1 failed"),
        # 0.1, 0.2, 0.3: 95 of 100 only with the last.
        (plots.ttft, "95 of 100 readers had the first token within 300 ms (3 streams)"),
        (plots.tokens, "30 tokens read, 33% of them from the cache; 70 written"),
        (plots.errors, "25.0% of 4 requests failed, most by RateLimitedError"),
    ],
)
def test_a_title_is_a_finding(draw: Callable, finding: str):
    """With its numbers, and not the name of the picture."""
    assert titles(draw(frame(*ROWS))) == finding


def test_errors_and_stops_are_marked_at_the_time_they_took():
    """A cross at 2 s and one at 0.5 s."""
    below = plots.latency(frame(*ROWS)).axes[1]
    (crosses,) = [line for line in below.lines if line.get_marker() == "x"]

    assert list(crosses.get_ydata()) == [2.0, 0.5]


def test_more_models_than_colours_share_one():
    """Seven models: the four that were asked most, and the others."""
    rows = [{"model": f"m{n}", "ttft_s": 0.1} for n in range(7) for _ in range(8 - n)]
    labels = [line.get_label() for line in plots.ttft(frame(*rows)).axes[0].lines]

    assert labels[:5] == ["m0", "m1", "m2", "m3", OTHERS]


def test_a_cache_that_nobody_spoke_of_is_not_empty():
    """Without --enable-prompt-tokens-details vLLM does not say; the picture does not either."""
    figure = plots.tokens(frame({"input_tokens": 30, "output_tokens": 70}))

    assert titles(figure) == "30 tokens read, 70 written"
    assert [each.get_text() for each in figure.legends[0].get_texts()] == ["input", "output"]


def test_a_model_without_tokens_has_no_bar():
    """One that nobody serves: its requests failed, and are in the other pictures."""
    (axes,) = plots.tokens(frame({"output_tokens": 7}, {"model": "unknown"})).axes

    assert [label.get_text() for label in axes.get_yticklabels()] == ["pocket"]


def test_within_a_minute_a_time_is_still_a_time():
    """Two requests a second apart: hours, minutes and seconds, and not the seconds alone."""
    sent = [{"timestamp": f"2026-03-01T12:00:0{second}.000000Z"} for second in (1, 2)]
    below = plots.latency(frame(*({**each, "e2e_latency_s": 1.0} for each in sent))).axes[1]
    below.figure.draw_without_rendering()

    labels = [label.get_text() for label in below.get_xticklabels()]
    assert all(label.startswith("12:00:0") for label in labels)


def test_none_of_two_kinds_of_errors_is_the_most_frequent():
    """One each."""
    kinds = [{"status": "error", "error_type": name} for name in ("TimeoutError", "OSError")]

    assert titles(plots.errors(frame(*kinds))) == "100.0% of 2 requests failed"


def test_no_errors_is_good_news():
    """And no empty axes."""
    figure = plots.errors(frame(ROWS[0]))

    assert titles(figure) == "None of 1 request failed"
    assert not figure.axes[0].axison
