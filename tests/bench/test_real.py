"""The benchmark against the real vLLM with the pocket model."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.bench import files, vllm_json
from workbench.session import Session
from workbench.views import bench_view

pytestmark = pytest.mark.engine


def test_both_sides_count_the_same(served: Session, tmp_path: Path):
    """Eight answers of sixteen tokens: by usage, by the server's counters, in the file."""
    (result,) = served.bench(num_prompts=8, input_len=40, output_len=16, concurrency=2, seed=4)
    metrics, server = result.metrics, result.server

    assert (metrics.completed, metrics.failed) == (8, 0)
    assert metrics.output_tokens == 8 * 16
    assert server is not None
    assert server.sides.finished == 8
    assert (server.prompt_tokens, server.generation_tokens) == (metrics.input_tokens, 8 * 16)
    assert all(40 <= request.input_tokens <= 60 for request in result.requests)
    assert len({request.request_id for request in result.requests}) == 8

    kept = files.save(result, tmp_path, detailed=True)
    assert vllm_json.read(kept) == result


def test_times_are_those_of_one_clock(served: Session):
    """A first token comes before the last, and both within the run."""
    (result,) = served.bench(num_prompts=4, input_len=20, output_len=8, concurrency=1, seed=5)

    for request in result.requests:
        assert 0 < request.ttft_s < request.e2el_s
        assert request.start_s + request.e2el_s <= result.metrics.duration_s
        assert request.ttft_s + sum(request.itls_s) == pytest.approx(request.e2el_s)


def test_the_fingerprint_says_what_was_measured(served: Session):
    """Version, flags, prefix cache, processor; and the same prompts have the same hash."""
    load = {"num_prompts": 2, "input_len": 20, "output_len": 2, "warmup": 0, "seed": 6}
    (first,), (second,) = served.bench(**load), served.bench(**load)
    mark = first.fingerprint

    assert (mark.server, mark.backend, mark.prefix_caching) == ("vllm", "embedded", True)
    assert mark.server_version == served.status().version
    assert mark.flags["served_model_names"][0] == "pocket"
    assert mark.card
    assert mark == second.fingerprint


def test_an_open_loop_keeps_its_rate(served: Session):
    """Six requests at four a second: the last is sent a second and a half after the start."""
    (result,) = served.bench(
        num_prompts=6, input_len=10, output_len=2, request_rate_rps=4.0, warmup=1, seed=7
    )

    assert result.requests[-1].start_s == pytest.approx(1.5, abs=0.25)
    assert "4 req/s" in str(bench_view([result]))
