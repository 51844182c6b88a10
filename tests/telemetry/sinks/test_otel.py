"""Spans and histograms, decoded from the protobuf that arrives over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.telemetry.sinks.conftest import MakeRecord, MakeRecords, SendAll
from tests.telemetry.sinks.receiver import Answer, Receiver, Request, receiving
from tests.telemetry.sinks_for_tests import These
from workbench.errors import ConfigError, SinkError
from workbench.telemetry import Telemetry
from workbench.telemetry.sinks import genai
from workbench.telemetry.sinks.otel import Place, pairs
from workbench.telemetry.sinks.otel_metrics import MetricsSink
from workbench.telemetry.sinks.otel_traces import TracesSink
from workbench.telemetry.sinks.trace import span_id, trace_id, traceparent

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.0"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def place(receiver: Receiver, signal: str) -> Place:
    return Place(
        url=f"{receiver.url}/v1/{signal}",
        headers={"x-api-key": "secret"},
        resource={"service.name": "lesson"},
        timeout_s=5.0,
    )


def traces_to(receiver: Receiver) -> TracesSink:
    return TracesSink(place(receiver, "traces"))


def metrics_to(receiver: Receiver) -> MetricsSink:
    return MetricsSink(place(receiver, "metrics"))


def plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    return getattr(value, str(kind))


def attributes_of(thing: Any) -> dict[str, Any]:
    return {each.key: plain(each.value) for each in thing.attributes}


def spans_in(request: Request) -> list[Span]:
    [resource] = ExportTraceServiceRequest.FromString(request.body).resource_spans
    [scope] = resource.scope_spans
    assert (resource.schema_url, scope.schema_url) == (SCHEMA_URL, SCHEMA_URL)
    assert attributes_of(resource.resource)["service.name"] == "lesson"
    return list(scope.spans)


def metrics_in(request: Request) -> dict[str, Metric]:
    [resource] = ExportMetricsServiceRequest.FromString(request.body).resource_metrics
    [scope] = resource.scope_metrics
    assert (resource.schema_url, scope.schema_url) == (SCHEMA_URL, SCHEMA_URL)
    return {metric.name: metric for metric in scope.metrics}


def only_point(metric: Metric) -> HistogramDataPoint:
    [point] = metric.histogram.data_points
    return point


def test_a_record_is_a_span_with_its_own_times(receiver: Receiver, make_record: MakeRecord):
    """A client's span, named operation and model; start and end are the record's."""
    record = make_record(timestamp="2026-03-01T12:00:00.000001Z", duration_s=1.25)
    traces_to(receiver).send([record])

    [span] = spans_in(receiver.requests[0])
    assert receiver.requests[0].path == "/v1/traces"
    assert receiver.requests[0].headers["Content-Type"] == "application/x-protobuf"
    assert receiver.requests[0].headers["x-api-key"] == "secret"
    assert (span.name, span.kind) == ("chat pocket", Span.SPAN_KIND_CLIENT)
    assert span.start_time_unix_nano == 1_772_366_400_000_001_000
    assert span.end_time_unix_nano == 1_772_366_401_250_001_000
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert span.flags & 1


def test_attributes_have_the_conventions_names(receiver: Receiver, make_record: MakeRecord):
    """Those of 1.41; for what it has no name, ``workbench.…``."""
    record = make_record(top_k=40, cached_tokens=3, other_sampling='{"n": 2, "min_tokens": 1}')
    traces_to(receiver).send([record])

    [span] = spans_in(receiver.requests[0])
    assert attributes_of(span) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "pocket",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_k": 40.0,
        "gen_ai.request.stop_sequences": ["\n"],
        "gen_ai.request.stream": True,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "session.id": "lesson",
        "user.hash": "h1:user",
        "server.address": "127.0.0.1",
        "server.port": 8000,
        "http.response.status_code": 200,
        "workbench.schema_version": record.schema_version,
        "workbench.backend": "embedded",
        "workbench.prompt_hash": "h1:prompt",
        "workbench.num_chunks": 5,
        "workbench.status": "ok",
        "workbench.other_sampling.n": 2,
        "workbench.other_sampling.min_tokens": 1,
    }


def test_a_failure_is_an_error_and_an_interruption_is_none(
    receiver: Receiver, make_record: MakeRecord
):
    """Both have ``error.type``: how the operation ended."""
    failed = make_record(status="error", error_type="RateLimitedError", http_status=429)
    stopped = make_record(status="interrupted", error_type="KeyboardInterrupt")
    traces_to(receiver).send([failed, stopped])

    spans = spans_in(receiver.requests[0])
    assert [span.status.code for span in spans] == [
        Status.STATUS_CODE_ERROR,
        Status.STATUS_CODE_UNSET,
    ]
    assert [attributes_of(span)["error.type"] for span in spans] == [
        "RateLimitedError",
        "KeyboardInterrupt",
    ]


def test_a_repeat_is_the_same_span(receiver: Receiver, make_records: MakeRecords):
    """By another process too: trace and span follow from the record's id."""
    records = make_records(2)
    traces_to(receiver).send(records)
    traces_to(receiver).send(records)

    first, second = (spans_in(each) for each in receiver.requests)
    assert [(s.trace_id, s.span_id) for s in first] == [(s.trace_id, s.span_id) for s in second]
    assert first[0].trace_id != first[1].trace_id


def test_a_trace_that_is_known_is_kept():
    """A record that was sent with a ``traceparent`` is the span that vLLM's own hang from."""
    document = {
        "id": "r",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
    }

    assert traceparent(document) == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("wrong", [None, "", "0" * 32, "X" * 32, "0af7"])
def test_what_is_no_trace_is_not_kept(wrong: str | None):
    """Trace Context has 32 and 16 lower-case hexadecimal digits that are not all zero."""
    document = {"id": "r", "trace_id": wrong, "span_id": wrong}

    assert trace_id(document) == trace_id({"id": "r"})
    assert span_id(document) == span_id({"id": "r"})


def test_histograms_have_the_conventions_names(receiver: Receiver, make_record: MakeRecord):
    """Durations of 1.5 and 3 s lie in (1.28, 2.56] and (2.56, 5.12]; 7 and 5 tokens in (4, 16]."""
    metrics_to(receiver).send([make_record(), make_record(duration_s=3.0, ttft_s=None)])

    metrics = metrics_in(receiver.requests[0])
    assert {name: metric.unit for name, metric in metrics.items()} == {
        "gen_ai.client.operation.duration": "s",
        "gen_ai.client.token.usage": "{token}",
        "gen_ai.client.operation.time_to_first_chunk": "s",
    }
    duration = only_point(metrics["gen_ai.client.operation.duration"])
    assert list(duration.explicit_bounds) == pytest.approx([0.01 * 2**n for n in range(14)])
    assert duration.explicit_bounds[-1] == 81.92
    assert [n for n, number in enumerate(duration.bucket_counts) if number] == [8, 9]
    assert (duration.count, duration.sum, duration.min, duration.max) == (2, 4.5, 1.5, 3.0)
    assert attributes_of(duration) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "pocket",
        "server.address": "127.0.0.1",
        "server.port": 8000,
    }
    usage = metrics["gen_ai.client.token.usage"].histogram.data_points
    assert {attributes_of(p)["gen_ai.token.type"]: (p.count, p.sum) for p in usage} == {
        "input": (2, 14.0),
        "output": (2, 10.0),
    }
    first = only_point(metrics["gen_ai.client.operation.time_to_first_chunk"])
    # A bound belongs to the bucket below it: 0.25 is in (0.1, 0.25].
    assert (first.count, first.bucket_counts[8]) == (1, 1)


def test_histograms_count_on(receiver: Receiver, make_records: MakeRecords):
    """They are cumulative, since the sink was opened, and each sink is an instance of its own."""
    sink = metrics_to(receiver)
    sink.send(make_records(2))
    sink.send(make_records(3))
    metrics_to(receiver).send(make_records(1))

    points = [
        only_point(metrics_in(each)["gen_ai.client.operation.duration"])
        for each in receiver.requests
    ]
    assert [point.count for point in points] == [2, 5, 1]
    assert points[0].start_time_unix_nano == points[1].start_time_unix_nano
    instances = [
        attributes_of(
            ExportMetricsServiceRequest.FromString(each.body).resource_metrics[0].resource
        )["service.instance.id"]
        for each in receiver.requests
    ]
    assert instances[0] == instances[1] != instances[2]


def test_a_batch_that_comes_again_is_not_counted_again(make_records: MakeRecords):
    """After an answer that was lost, after a 503, and with more records beside them."""
    with receiving(Answer(lost=True), Answer(503)) as receiver:
        sink, records = metrics_to(receiver), make_records(4)
        for batch in (records[:2], records[:3]):
            with pytest.raises(SinkError):
                sink.send(batch)
        sink.send(records)

        counts = [
            only_point(metrics_in(each)["gen_ai.client.operation.duration"]).count
            for each in receiver.requests
        ]
        assert counts == [2, 3, 4]


def test_who_takes_no_metrics_gets_traces_all_the_same(
    path: Path, make_records: MakeRecords, quick_courier: None
):
    """Each signal has its own progress: a 404 at one stops nothing at the other."""

    def traces_only(request: Request) -> Answer:
        return Answer(404 if request.path == "/v1/metrics" else 200)

    with receiving(usual=traces_only) as receiver:
        both = These(traces_to(receiver), metrics_to(receiver))
        with Telemetry(path, session="lesson", destinations=both) as telemetry:
            telemetry.keep(make_records(3))
            assert not telemetry.deliver()
            found = {each.name: (each.sent, each.permanent) for each in telemetry.stored().sinks}

    assert found == {"otel-traces": (3, False), "otel-metrics": (0, True)}


def test_too_large_a_batch_comes_in_parts(make_records: MakeRecords, send_all: SendAll):
    """Three spans at once, and each once."""

    def at_most_three(request: Request) -> Answer:
        return Answer(413 if len(spans_in(request)) > 3 else 200)

    with receiving(usual=at_most_three) as receiver:
        send_all(traces_to(receiver), make_records(8))

        taken = [spans_in(each) for each in receiver.requests if len(spans_in(each)) <= 3]
        assert len({span.span_id for spans in taken for span in spans}) == 8


def test_spans_that_were_refused_are_counted_and_not_sent_again(
    make_records: MakeRecords, send_all: SendAll
):
    """OTLP says how many and not which, and forbids a repeat: the batch is done with."""
    partial = ExportTracePartialSuccess(rejected_spans=1, error_message="too old")
    answer = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    with receiving(Answer(200, body=answer)) as receiver:
        status = send_all(traces_to(receiver), make_records(3))

        assert (status.sent, status.rejected, status.waiting) == (2, 1, 0)
        assert "refused 1 of 3 spans: too old" in (status.last_error or "")
        assert len(receiver.requests) == 1


def test_points_that_were_refused_stop_nothing(make_records: MakeRecords):
    """The next request counts on from them, as the histograms are cumulative."""
    partial = ExportMetricsPartialSuccess(rejected_data_points=1, error_message="too old")
    answer = ExportMetricsServiceResponse(partial_success=partial).SerializeToString()
    with receiving(Answer(200, body=answer)) as receiver:
        sink = metrics_to(receiver)
        with pytest.raises(SinkError, match="refused 1 histogram points: too old") as caught:
            sink.send(make_records(2))
        sink.send(make_records(3))

        assert (caught.value.done, caught.value.num_rejected) == (2, 1)
        last = metrics_in(receiver.requests[1])["gen_ai.client.operation.duration"]
        assert only_point(last).count == 5


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404),
        Answer(400),
    ],
    ids=["404", "400"],
)
def test_who_takes_no_metrics_is_told_how_to_go_on(answer: Answer, make_records: MakeRecords):
    """Langfuse, for one, takes traces only."""
    with receiving(answer) as receiver, pytest.raises(SinkError) as caught:
        metrics_to(receiver).send(make_records(1))

    assert caught.value.permanent
    assert "OTEL_METRICS_EXPORTER=none" in (caught.value.hint or "")


@pytest.mark.parametrize("body", [b"", b"{}", b"ok"])
def test_a_success_in_other_words_is_one(body: bytes, make_records: MakeRecords):
    """Some answer JSON, or nothing."""
    with receiving(usual=lambda _request: Answer(200, body=body)) as receiver:
        traces_to(receiver).send(make_records(1))
        metrics_to(receiver).send(make_records(1))

        assert len(receiver.requests) == 2


def test_a_wrong_key_is_permanent(make_records: MakeRecords):
    """It is asked once."""
    with receiving(Answer(401)) as receiver, pytest.raises(SinkError) as caught:
        traces_to(receiver).send(make_records(1))

    assert caught.value.permanent
    assert "key" in (caught.value.hint or "")


def test_headers_are_names_and_values():
    """As OpenTelemetry writes them, with percent-encoded values."""
    assert pairs("Authorization=Basic%20YTpi, x-project = a%2Cb ,", "KEY") == {
        "Authorization": "Basic YTpi",
        "x-project": "a,b",
    }
    with pytest.raises(ConfigError) as caught:
        pairs("secret", "KEY")
    assert "secret" not in str(caught.value)


def test_contents_have_the_conventions_form():
    """Those of a record that was asked to keep them: messages with a role and parts."""
    picture = {"type": "image_url", "image_url": {"url": "https://host/cat.png"}}
    prompt = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c1", "name": "look", "arguments": '{"at": 1}'}],
        },
        {"role": "tool", "content": "a cat", "tool_call_id": "c1"},
    ]
    answer = [{"text": "A cat.", "reasoning": "It purrs.", "finish_reason": "stop"}]
    found = genai.span_attributes({"id": "r", "prompt": prompt, "answer": answer})

    call = {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": 1}}
    assert json.loads(found["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "What is it?"},
                {"type": "uri", "modality": "image", "uri": "https://host/cat.png"},
            ],
        },
        {"role": "assistant", "parts": [call]},
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "c1", "response": "a cat"}],
        },
    ]
    assert json.loads(found["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "It purrs."},
                {"type": "text", "content": "A cat."},
            ],
            "finish_reason": "stop",
        }
    ]


def test_new_fields_have_names_of_their_own():
    """What the server is and how it was tagged, and whatever a record gains later."""
    found = genai.span_attributes(
        {"id": "r", "served_model": "pocket-1", "n": 2, "tags": {"team": "x"}, "later": 1}
    )

    assert found["gen_ai.response.model"] == "pocket-1"
    assert found["gen_ai.request.choice.count"] == 2
    assert found["workbench.tags.team"] == "x"
    assert found["workbench.later"] == 1


def test_a_record_without_an_answer_is_a_span_too():
    """A failure before a model was known has an empty one."""
    document = {
        "id": "r",
        "timestamp": "2026-03-01T12:00:00.000000Z",
        "model": "",
        "duration_s": 0.1,
    }

    assert genai.span_name(document) == "chat"
    assert "gen_ai.request.model" not in genai.span_attributes(document)
