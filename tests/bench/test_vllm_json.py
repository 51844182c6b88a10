"""Results as ``vllm bench serve`` writes them, and back."""

from __future__ import annotations

import json
from array import array
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workbench.bench import vllm_json
from workbench.bench.load import Workers
from workbench.bench.result import (
    Fingerprint,
    Lag,
    Moment,
    Request,
    Result,
    ServerSide,
    Settings,
)
from workbench.bench.slo import Slo
from workbench.bench.summary import summarize
from workbench.errors import ConfigError
from workbench.reconcile import Flag, Part, Reconciliation

# What `vllm bench serve --backend openai-chat --save-result` wrote, 0.32.0, without its arrays.
THEIRS = {
    *("date", "endpoint_type", "backend", "label", "model_id", "tokenizer_id", "num_prompts"),
    *("request_rate", "burstiness", "max_concurrency", "duration", "completed", "failed"),
    *("total_input_tokens", "total_output_tokens", "request_throughput", "request_goodput"),
    *("output_throughput", "total_token_throughput", "latencies", "queue_times"),
    *("max_output_tokens_per_s", "max_concurrent_requests", "rtfx"),
    *(f"{what}_{name}_ms" for what in ("mean", "median", "std", "p99") for name in
      ("ttft", "tpot", "itl", "client_queue_time")),
}  # fmt: skip

DETAILS = {"input_lens", "output_lens", "start_times", "ttfts", "itls", "errors", "request_ids"}


def a_result(**fields: object) -> Result:
    """Two requests, of which one failed, and everything that can be known."""
    requests = (
        Request(
            number=0,
            start_s=0.25,
            queue_s=0.5,
            late_s=0.125,
            ttft_s=0.5,
            itls_s=array("d", [0.25, 0.5]),
            e2el_s=1.25,
            input_tokens=7,
            cached_tokens=4,
            output_tokens=3,
            request_id="chatcmpl-1",
        ),
        Request(number=1, start_s=0.5, error="HTTP 500: no"),
    )
    sides = Reconciliation(
        window_s=2.0,
        asked=1,
        finished=1,
        parts=(Part(name="client", ttft_s=0.5, e2e_s=1.25),),
        flags=(Flag(id="queued", seen="much", means="wait"),),
    )
    given = {
        "settings": Settings(
            num_prompts=2, concurrency=2, burstiness=float("inf"), body={"temperature": 0}
        ),
        "fingerprint": Fingerprint(
            model="org/pocket", base_url="http://h/v1", flags={"a": 1}, workload={"kind": "own"}
        ),
        "started_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "metrics": summarize(requests, duration_s=2.0, slo=Slo(ttft_s=1.0)),
        "lag": Lag(
            kernel_stamps=True,
            read_mean_s=1e-4,
            read_p99_s=2e-4,
            send_mean_s=None,
            send_p99_s=None,
            share=0.001,
        ),
        "requests": requests,
        "cold": summarize(requests[:1], duration_s=1.0),
        "server": ServerSide(
            sides=sides,
            moments=(Moment(at_s=1.0, running=1.0, waiting=None, kv_cache_usage=0.5),),
            preemptions=0.0,
        ),
        "workers": Workers(names=("a", "b"), processes=4, clock_error_s=0.001, lost=("b",)),
    }
    return Result(**given | fields)


def through_a_file(result: Result, tmp_path: Path, **how: bool) -> Result:
    """Write and read it, by a JSON without NaN and Infinity, which other readers refuse."""
    path = tmp_path / vllm_json.file_name(result)
    path.write_text(json.dumps(vllm_json.to_json(result, **how), allow_nan=False))
    return vllm_json.read(path)


def test_a_result_with_its_details_comes_back_as_it_was(tmp_path: Path):
    """Every field of it, down to a token's time."""
    assert through_a_file(a_result(), tmp_path, detailed=True) == a_result()


def test_without_details_only_the_requests_are_missing(tmp_path: Path):
    """The metrics were kept, with their intervals."""
    assert through_a_file(a_result(), tmp_path) == a_result(requests=())


def test_all_fields_of_vllms_are_there():
    """Others may be too."""
    assert vllm_json.to_json(a_result()).keys() >= THEIRS


def test_the_details_are_those_of_vllm_and_the_servers_ids():
    """Without them none of the arrays is there."""
    assert vllm_json.to_json(a_result(), detailed=True).keys() >= DETAILS
    assert not vllm_json.to_json(a_result()).keys() & DETAILS


def test_values_are_in_vllms_units():
    """Milliseconds for statistics, seconds for arrays; a failed request has no tokens."""
    written = vllm_json.to_json(a_result(), detailed=True)

    assert written["mean_ttft_ms"] == 500
    assert written["mean_tpot_ms"] == 375  # (1.25 - 0.5) / 2
    assert written["p99_ttft_ms"] is None
    assert written["ttfts"] == [0.5, 0.0]
    assert written["output_lens"] == [3, 0]
    assert written["errors"] == ["", "HTTP 500: no"]
    assert written["request_throughput"] == 0.5
    assert (written["request_rate"], written["burstiness"]) == ("inf", "inf")


def test_peaks_are_counted_by_the_second():
    """Tokens at 0.5, 0.75 and 1.25 s after the send: two in the first second."""
    written = vllm_json.to_json(a_result())

    assert written["max_output_tokens_per_s"] == 2
    assert written["max_concurrent_requests"] == 1


def test_file_names_are_vllms():
    """``{label}-{rate}qps-concurrency{n}-{model}-{date}.json``; the model without its owner."""
    at = datetime(2026, 1, 2, 3, 4, 5).astimezone()
    rate = a_result(settings=Settings(num_prompts=2, request_rate_rps=2.5), started_at=at)

    assert vllm_json.file_name(rate) == "workbench-2.5qps-pocket-20260102-030405.json"
    assert "workbench-infqps-concurrency2-pocket-" in vllm_json.file_name(a_result())


def test_a_model_cannot_choose_where_the_file_goes():
    """Its name is a server's word."""
    bad = Fingerprint(model="x/..\\..:evil\n", base_url="")

    assert "/" not in vllm_json.file_name(a_result(fingerprint=bad))
    assert "\\" not in vllm_json.file_name(a_result(fingerprint=bad))


def test_vllms_own_file_is_read(tmp_path: Path):
    """With its arrays the metrics are worked out anew; times begin with the first request."""
    written = vllm_json.to_json(a_result(), detailed=True)
    del written["workbench"], written["request_ids"]
    written["start_times"] = [1000.25, 1000.5]
    (tmp_path / "theirs.json").write_text(json.dumps(written))

    found = vllm_json.read(tmp_path / "theirs.json")

    assert found.metrics.ttft.mean.value == 0.5
    assert found.metrics.failed == 1
    assert [request.start_s for request in found.requests] == [0, 0.25]
    assert found.settings.concurrency == 2


def test_vllms_own_file_without_arrays_has_its_means(tmp_path: Path):
    """And as many requests as it says."""
    written = vllm_json.to_json(a_result())
    del written["workbench"]
    (tmp_path / "theirs.json").write_text(json.dumps(written))

    found = vllm_json.read(tmp_path / "theirs.json")

    assert found.metrics.tpot.mean.value == 0.375
    assert (found.metrics.completed, found.metrics.failed) == (1, 1)
    assert found.metrics.ttft.percentiles[99] is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"ttfts": []}'])
def test_another_file_is_refused_with_its_name(tmp_path: Path, text: str):
    """Whatever is in it."""
    (tmp_path / "other.json").write_text(text)

    with pytest.raises(ConfigError, match=r"other\.json"):
        vllm_json.read(tmp_path / "other.json")
