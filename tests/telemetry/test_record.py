"""What becomes of an outcome."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta, timezone

import pytest

from workbench.errors import (
    ModelNotServedError,
    RequestTimeoutError,
    ServerUnreachableError,
    StreamInterruptedError,
)
from workbench.records import Failure, Generation, SamplingParams, Timings, ToolCall
from workbench.telemetry import TelemetryRecord
from workbench.telemetry.record import COLUMNS, record_of, rfc3339


def recorded(outcome: Generation | Failure, session: str = "tests") -> TelemetryRecord:
    return record_of(outcome, session=session, prompt_hash="h1:00", backend="embedded")


def test_every_column_is_documented() -> None:
    """
    The docstring of the record names exactly its fields.
    """
    text = inspect.cleandoc(TelemetryRecord.__doc__ or "")  # Python 3.13 dedents it itself
    entries = re.findall(r"^ {4}([a-z][a-z0-9_, ]*): ", text, re.MULTILINE)
    documented = [name for entry in entries for name in entry.split(", ")]

    assert sorted(documented) == sorted(COLUMNS)


def test_sampling_parameters_are_kept_as_sent(make_generation: Callable[..., Generation]) -> None:
    """
    What was given is there, also a zero; what was not is unknown.
    """
    params = SamplingParams(temperature=0.0, top_k=-1, seed=7, stop=("\n", "é"))
    row = asdict(recorded(make_generation(params=params)))

    kept = {item.name: row[item.name] for item in fields(SamplingParams) if item.name in row}
    assert {name: value for name, value in kept.items() if value is not None} == {
        "temperature": 0.0,
        "top_k": -1,
        "seed": 7,
        "stop": '["\\n", "\\u00e9"]',
    }
    assert row["other_sampling"] is None


def test_parameters_without_a_column_are_kept_together(
    make_generation: Callable[..., Generation],
) -> None:
    """
    As one JSON object, without what might be a part of the prompt.
    """
    params = SamplingParams(min_tokens=2, logit_bias={5: -1.0}, extra={"documents": ["a secret"]})
    kept = recorded(make_generation(params=params)).other_sampling

    assert kept is not None
    assert json.loads(kept) == {"min_tokens": 2, "logit_bias": {"5": -1.0}, "extra": ["documents"]}


def test_a_record_is_found_by_what_the_client_knew(
    make_generation: Callable[..., Generation], make_failure: Callable[..., Failure]
) -> None:
    """
    Trace, server, tags, tool calls and attempts; a request's tags come over the session's.
    """
    facts: dict[str, object] = {
        "attempts": 2,
        "server_version": "0.32.0",
        "trace_id": "ab" * 16,
        "span_id": "cd" * 8,
        "tags": {"run": "7"},
    }
    call = ToolCall(id="1", name="f", arguments="{}")
    params = SamplingParams(n=2)
    answer = make_generation(served_model="its", tool_calls=(call,), params=params, **facts)
    given = {"session": "tests", "prompt_hash": "h1:00", "tags": {"run": "0", "team": "blue"}}

    for record in (
        record_of(answer, **given),
        record_of(make_failure(OSError(), **facts), **given),
    ):
        assert (record.attempts, record.server_version) == (2, "0.32.0")
        assert (record.trace_id, record.span_id) == ("ab" * 16, "cd" * 8)
        assert json.loads(record.tags or "") == {"run": "7", "team": "blue"}
    record = record_of(answer, **given)
    assert (record.served_model, record.n, record.num_tool_calls) == ("its", 2, 1)


def test_a_seed_beyond_64_bits_is_unknown(make_generation: Callable[..., Generation]) -> None:
    """
    SQLite has no such integer, and the request's row is worth more than its seed.
    """
    largest = 2**63 - 1

    assert recorded(make_generation(params=SamplingParams(seed=largest))).seed == largest
    assert recorded(make_generation(params=SamplingParams(seed=largest + 1))).seed is None


def test_latencies_follow_the_definitions(make_generation: Callable[..., Generation]) -> None:
    """
    Sent at 0, chunks at 0.2 and 1.0, done at 1.1, five tokens: four gaps in 0.8 s.
    """
    record = recorded(make_generation())

    assert record.ttft_s == pytest.approx(0.2)
    assert record.tpot_s == pytest.approx(0.2)
    assert record.e2e_latency_s == pytest.approx(1.0)
    assert record.duration_s == pytest.approx(1.1)
    assert (record.num_chunks, record.streamed, record.status) == (2, True, "ok")


def test_an_answer_in_one_piece_has_no_ttft(make_generation: Callable[..., Generation]) -> None:
    """
    Without chunks there is no first one; the latency ends with the body.
    """
    timings = Timings(started_at=datetime.now().astimezone(), sent_s=1.0, done_s=3.0)
    record = recorded(make_generation(timings=timings))

    assert (record.streamed, record.ttft_s, record.tpot_s) == (False, None, None)
    assert record.e2e_latency_s == pytest.approx(2.0)


def test_tokens_that_were_not_counted_are_unknown(
    make_generation: Callable[..., Generation],
) -> None:
    """
    Without usage there is no count and no TPOT, and none is guessed from chunks.
    """
    record = recorded(make_generation(usage=None))

    assert (record.input_tokens, record.output_tokens, record.tpot_s) == (None, None, None)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(KeyboardInterrupt(), "interrupted", id="stop button"),
        pytest.param(GeneratorExit(), "interrupted", id="stream left"),
        pytest.param(asyncio.CancelledError(), "interrupted", id="task cancelled"),
        pytest.param(StreamInterruptedError("cut"), "error", id="stream cut by the server"),
        pytest.param(RequestTimeoutError("slow", phase="stream"), "error", id="too slow"),
        pytest.param(RuntimeError("bug"), "error", id="anything else"),
    ],
)
def test_interrupted_is_what_the_caller_stopped(
    make_failure: Callable[..., Failure], error: BaseException, status: str
) -> None:
    """
    The caller's own stop is no error; a broken stream is, and both name their class.
    """
    record = recorded(make_failure(error))

    assert record.status == status
    assert record.error_type == type(error).__name__


def test_a_failure_has_a_duration_but_no_latency(make_failure: Callable[..., Failure]) -> None:
    """
    How long a failure took is kept where it can't be mistaken for an answer's latency.
    """
    record = recorded(make_failure(ServerUnreachableError("refused")))

    assert record.duration_s == pytest.approx(0.5)
    assert (record.e2e_latency_s, record.ttft_s, record.streamed) == (None, None, None)


def test_what_arrived_before_a_failure_is_kept(
    make_generation: Callable[..., Generation], make_failure: Callable[..., Failure]
) -> None:
    """
    A partial answer gives its request id, URL and usage; its chunks give the TTFT.
    """
    partial = make_generation(finish_reason=None)
    failure = make_failure(KeyboardInterrupt(), partial=partial, timings=partial.timings)
    record = recorded(failure)

    assert record.request_id == partial.request_id
    assert record.base_url == partial.base_url
    assert record.output_tokens == partial.usage.output_tokens if partial.usage else False
    assert record.ttft_s == pytest.approx(0.2)
    assert (record.streamed, record.http_status) == (True, 200)


def test_http_status_is_the_servers_or_unknown(
    make_generation: Callable[..., Generation], make_failure: Callable[..., Failure]
) -> None:
    """
    200 for an answer, the error's own code for a refusal, unknown when nothing answered.
    """
    refused = ModelNotServedError("no such model", status_code=404, request_id="req-1")

    assert recorded(make_generation()).http_status == 200
    assert recorded(make_failure(refused)).http_status == 404
    assert recorded(make_failure(refused)).request_id == "req-1"
    assert recorded(make_failure(ServerUnreachableError("refused"))).http_status is None


def test_the_same_outcome_has_the_same_id(make_generation: Callable[..., Generation]) -> None:
    """
    The id is derived, so that a retry is recognised; what differs has another.
    """
    outcome = make_generation()
    later = replace(outcome.timings, sent_s=outcome.timings.sent_s + 1e-9 * 100)

    assert recorded(outcome).id == recorded(replace(outcome)).id
    assert recorded(outcome).id != recorded(outcome, session="another").id
    assert recorded(outcome).id != recorded(replace(outcome, timings=later)).id
    assert recorded(outcome).id != recorded(replace(outcome, request_id="another")).id


def test_ids_sort_by_time(make_generation: Callable[..., Generation]) -> None:
    """
    Twenty answers a second apart have ids in the order they were sent.
    """
    ids = [recorded(make_generation()).id for _ in range(20)]

    assert ids == sorted(ids)


def test_times_are_utc_and_of_one_width() -> None:
    """
    14:00 in a zone two hours ahead is noon; without a zone it is UTC already.
    """
    ahead = timezone(timedelta(hours=2))

    assert rfc3339(datetime(2026, 3, 1, 14, tzinfo=ahead)) == "2026-03-01T12:00:00.000000Z"
    assert rfc3339(datetime(2026, 3, 1, 12)) == "2026-03-01T12:00:00.000000Z"


def test_a_url_loses_its_secrets(make_generation: Callable[..., Generation]) -> None:
    """
    User, password and query of a base URL may be credentials.
    """
    outcome = make_generation(base_url="https://ada:secret@gpu.example:8443/v1?key=secret#x")

    assert recorded(outcome).base_url == "https://gpu.example:8443/v1"


def test_a_failure_takes_the_url_it_is_given(make_failure: Callable[..., Failure]) -> None:
    """
    The error's own URL comes first, the given one fills the gap.
    """
    knows = make_failure(ServerUnreachableError("refused", base_url="http://a/v1"))
    given = {"session": "tests", "prompt_hash": "h1:00", "base_url": "http://b/v1"}

    assert record_of(knows, **given).base_url == "http://a/v1"
    assert record_of(make_failure(RuntimeError()), **given).base_url == "http://b/v1"
