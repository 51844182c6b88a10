"""CloudEvents over real HTTP, by Azure's own library, to a topic that checks them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.telemetry.sinks.conftest import MakeRecord, MakeRecords, SendAll
from tests.telemetry.sinks.receiver import Answer, Receiver, Request, receiving
from workbench.errors import ConfigError, SinkError
from workbench.telemetry.sinks.eventgrid import EventGridSink

pytest.importorskip("azure.eventgrid")

KEY = "topic-key"
LIMIT_BYTES = 1_048_576


def complaints(event: dict[str, Any]) -> list[str]:
    """Say what CloudEvents 1.0.2 would not allow, sections 2 and 3, and Trace Context."""
    found = [name for name in ("id", "source", "type") if not event.get(name)]
    found += ["specversion"] if event.get("specversion") != "1.0" else []
    found += [name for name in event if not re.fullmatch("[a-z0-9]{1,20}", name)]
    found += ["data and data_base64"] if {"data", "data_base64"} <= event.keys() else []
    found += ["source"] if re.search(r"[^\w/%.~-]", event.get("source", "")) else []
    found += ["time"] if datetime.fromisoformat(event["time"]).tzinfo is None else []
    if not re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", event["traceparent"]):
        found.append("traceparent")
    return found


def topic(request: Request) -> Answer:
    """Take events as an Event Grid topic does."""
    if request.headers.get("aeg-sas-key") != KEY:
        return Answer(401, body=b'{"error": {"code": "Unauthorized", "message": "No key."}}')
    if len(request.body) > LIMIT_BYTES:
        return Answer(413)
    wrong = [complaint for event in json.loads(request.body) for complaint in complaints(event)]
    return Answer(400, body=json.dumps(wrong).encode()) if wrong else Answer(200)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(usual=topic) as found:
        yield found


def sink_for(receiver: Receiver, key: str = KEY, **options: Any) -> EventGridSink:
    return EventGridSink(f"{receiver.url}/api/events", key=key, **options)


def events_in(request: Request) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(request.body)
    return found


def test_a_record_is_a_cloud_event(
    receiver: Receiver, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
):
    """Its id, time and session are the record's; the record is the data. Nothing is logged."""
    record = make_record()
    sink_for(receiver).send([record])

    [request] = receiver.requests
    [event] = events_in(request)
    assert complaints(event) == []
    assert request.path.startswith("/api/events?api-version=")
    assert request.headers["Content-Type"].startswith("application/cloudevents-batch+json")
    assert event["id"] == record.id
    assert event["type"] == "com.example.workbench.llm.request.completed.v1"
    assert event["subject"] == "sessions/lesson"
    assert event["time"] == "2026-03-01T12:00:01.000Z"
    assert not [each for each in caplog.records if each.levelname == "WARNING"]
    assert event["data"]["ttft_s"] == 0.25
    assert event["data"]["stop"] == ["\n"]


@pytest.mark.parametrize(
    ("status", "ending"),
    [("ok", "completed"), ("error", "failed"), ("interrupted", "interrupted")],
)
def test_the_type_says_how_it_ended(
    receiver: Receiver, make_record: MakeRecord, status: str, ending: str
):
    """Whoever subscribes filters by it; what it begins with is a setting."""
    sink_for(receiver, type_prefix="org.acme").send([make_record(status=status)])

    [event] = events_in(receiver.requests[0])
    assert event["type"] == f"org.acme.llm.request.{ending}.v1"


def test_a_repeat_has_the_same_id_and_source(make_records: MakeRecords):
    """That is what CloudEvents tells repeats by; the whole event is the same."""
    with receiving(Answer(lost=True), usual=topic) as receiver:
        sink, records = sink_for(receiver), make_records(3)
        with pytest.raises(SinkError):
            sink.send(records)
        sink.send(records)

        first, second = receiver.requests
        assert first.body == second.body


def test_no_request_is_larger_than_the_limit(
    receiver: Receiver, make_record: MakeRecord, send_all: SendAll
):
    """Records of 100 KB each: 30 of them come in several requests, each once."""
    records = [make_record(other_sampling=json.dumps(["x" * 100_000])) for _ in range(30)]
    send_all(sink_for(receiver), records)

    assert max(len(each.body) for each in receiver.requests) <= LIMIT_BYTES
    found = [event["id"] for each in receiver.requests for event in events_in(each)]
    assert found == [each.id for each in records]


def test_a_record_that_is_too_large_costs_no_other(
    receiver: Receiver, make_record: MakeRecord, send_all: SendAll
):
    """It is not sent, and counted."""
    large = make_record(other_sampling=json.dumps(["x" * 2_000_000]))
    records = [make_record(), large, make_record()]
    status = send_all(sink_for(receiver), records)

    assert (status.sent, status.rejected) == (2, 1)
    assert "more than Event Grid takes at once" in (status.last_error or "")
    sent = [event["id"] for each in receiver.requests for event in events_in(each)]
    assert sent == [records[0].id, records[2].id]


def test_413_halves_the_batch(make_records: MakeRecords, send_all: SendAll):
    """A topic with a smaller limit."""

    def small(request: Request) -> Answer:
        return Answer(413 if len(events_in(request)) > 2 else 200)

    with receiving(usual=small) as receiver:
        status = send_all(sink_for(receiver), make_records(5))

        taken = [each for each in receiver.requests if len(events_in(each)) <= 2]
        assert sum(len(events_in(each)) for each in taken) == status.sent == 5


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_trouble_is_said_at_once(status: int, make_records: MakeRecords):
    """The library would try ten times, and sleep for as long as it is told to."""
    with receiving(Answer(status, {"Retry-After": "600"}), usual=topic) as receiver:
        with pytest.raises(SinkError) as caught:
            sink_for(receiver).send(make_records(1))

        assert (caught.value.sink, caught.value.permanent) == ("eventgrid", False)
        assert caught.value.retry_after_s == 600.0
        assert len(receiver.requests) == 1


def test_a_wrong_key_is_permanent(receiver: Receiver, make_records: MakeRecords):
    """It is asked once, and the key is not in the message."""
    with pytest.raises(SinkError, match="HTTP 401") as caught:
        sink_for(receiver, key="wrong-key").send(make_records(1))

    assert caught.value.permanent
    assert "wrong-key" not in str(caught.value)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("topic_name", [None, "requests"])
def test_a_wrong_address_is_permanent(topic_name: str | None, make_records: MakeRecords):
    """For a namespace's topic too."""
    with receiving(usual=lambda _request: Answer(404)) as receiver:
        with pytest.raises(SinkError, match="HTTP 404") as caught:
            sink_for(receiver, topic=topic_name).send(make_records(1))

        assert caught.value.permanent


def test_a_redirect_is_not_followed(make_records: MakeRecords):
    """The key stays here."""
    with receiving() as elsewhere, receiving(Answer(307, {"Location": elsewhere.url})) as first:
        with pytest.raises(SinkError) as caught:
            sink_for(first).send(make_records(1))

        assert caught.value.permanent
        assert elsewhere.requests == []


def test_an_outage_loses_nothing(receiver: Receiver, make_records: MakeRecords):
    """The same batch is taken when the topic is back."""
    sink, records = sink_for(receiver), make_records(2)
    receiver.stop()
    with pytest.raises(SinkError, match="cannot be reached") as caught:
        sink.send(records)
    receiver.start()
    sink.send(records)

    assert not caught.value.permanent
    assert [event["id"] for event in events_in(receiver.requests[0])] == [r.id for r in records]


def test_a_slow_answer_is_not_waited_for(receiver: Receiver, make_records: MakeRecords):
    """It counts as none."""
    receiver.may_answer.clear()
    with pytest.raises(SinkError, match="cannot be reached") as caught:
        sink_for(receiver, read_timeout_s=0.05).send(make_records(1))

    assert not caught.value.permanent
    assert len(receiver.requests) == 1


def test_a_namespaces_topic_has_another_path(make_records: MakeRecords):
    """The topic is named beside the namespace's endpoint."""
    with receiving(usual=lambda _request: Answer(200, body=b"{}")) as receiver:
        EventGridSink(receiver.url, key=KEY, topic="requests").send(make_records(2))

        [request] = receiver.requests
        assert request.path.startswith("/topics/requests:publish?api-version=")
        assert request.headers["Authorization"] == f"SharedAccessKey {KEY}"
        assert [complaints(event) for event in events_in(request)] == [[], []]


def test_what_is_no_address_is_said_at_once():
    """The library would look for a host of that name."""
    with pytest.raises(ConfigError, match="AZURE_EVENTGRID_ENDPOINT"):
        EventGridSink("my-topic", key=KEY)
