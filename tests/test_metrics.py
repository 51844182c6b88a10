"""
Latencies from stamps, by vLLM's definitions.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from workbench import metrics
from workbench.records import Timings


def timings(*chunks_s: float, sent_s: float = 0.0, done_s: float = 9.0) -> Timings:
    return Timings(
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        sent_s=sent_s,
        chunks_s=chunks_s,
        done_s=done_s,
    )


def test_ttft_is_the_first_chunk_minus_sent() -> None:
    """
    Sent at 100.0, first chunk at 100.25: a quarter of a second, wherever the clock's zero is.
    """
    assert metrics.ttft_s(timings(100.25, 100.5, sent_s=100.0)) == 0.25


def test_ttft_without_a_stream_is_unknown() -> None:
    """
    No chunk, no first one: unknown, not zero.
    """
    assert metrics.ttft_s(timings()) is None


def test_tpot_excludes_the_first_token() -> None:
    """
    Five tokens, the first at 0.2 s and the last at 1.0 s: 0.8 s over four gaps.
    """
    assert metrics.tpot_s(timings(0.2, 0.5, 1.0), output_tokens=5) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("chunks_s", "output_tokens"),
    [
        pytest.param((0.2,), 1, id="one-token-has-no-gap"),
        pytest.param((), 5, id="no-stream"),
        pytest.param((0.2, 0.4), None, id="no-usage"),
        pytest.param((0.2, 0.4), 0, id="no-tokens"),
    ],
)
def test_tpot_is_unknown_where_it_cannot_be_known(
    chunks_s: tuple[float, ...], output_tokens: int | None
) -> None:
    """
    Chunks are never counted in place of tokens.
    """
    assert metrics.tpot_s(timings(*chunks_s), output_tokens=output_tokens) is None


def test_itl_is_every_gap_between_chunks() -> None:
    """
    Chunks at 0, 0.25 and 1.0: gaps of 0.25 and 0.75.
    """
    assert metrics.itl_s(timings(0.0, 0.25, 1.0)) == (0.25, 0.75)
    assert metrics.itl_s(timings(0.5)) == ()
    assert metrics.itl_s(timings()) == ()


def test_e2e_ends_with_the_last_token() -> None:
    """
    Sent at 1.0, last chunk at 3.0, [DONE] at 9.0: two seconds.
    """
    assert metrics.e2e_latency_s(timings(2.0, 3.0, sent_s=1.0)) == 2.0


def test_e2e_without_a_stream_ends_with_the_body() -> None:
    """
    Sent at 1.0, body at 9.0: eight seconds.
    """
    assert metrics.e2e_latency_s(timings(sent_s=1.0)) == 8.0


def test_output_tps_has_the_prefill_in_it() -> None:
    """
    Ten tokens, the last at 2.0 s: five a second, though the decode alone was faster.
    """
    assert metrics.output_tps(timings(1.5, 2.0), output_tokens=10) == 5.0


@pytest.mark.parametrize(
    ("chunks_s", "output_tokens"),
    [
        pytest.param((1.0,), None, id="no-usage"),
        pytest.param((1.0,), 0, id="no-tokens"),
        pytest.param((0.0,), 5, id="no-time"),
    ],
)
def test_output_tps_is_unknown_where_it_cannot_be_known(
    chunks_s: tuple[float, ...], output_tokens: int | None
) -> None:
    """
    Neither zero nor infinite.
    """
    assert metrics.output_tps(timings(*chunks_s), output_tokens=output_tokens) is None
