"""Records over real HTTP: what arrives, and what each kind of refusal means."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.telemetry.sinks.conftest import MakeRecord, MakeRecords, SendAll
from tests.telemetry.sinks.receiver import Answer, Receiver, Request, receiving
from workbench.errors import ConfigError, SinkError
from workbench.telemetry.sinks.answers import seconds_of
from workbench.telemetry.sinks.base import RefusedBatchError
from workbench.telemetry.sinks.document import SCHEMA
from workbench.telemetry.sinks.http import HttpSink


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def sink_for(receiver: Receiver, token: str | None = None, timeout_s: float = 5.0) -> HttpSink:
    return HttpSink(f"{receiver.url}/logs", token=token, timeout_s=timeout_s)


def ids_in(request: Request) -> list[str]:
    return [record["id"] for record in json.loads(request.body)["records"]]


def test_a_batch_is_one_json_object(receiver: Receiver, make_record: MakeRecord):
    """It names its schema; records are plain values, and what is unknown is left out."""
    sink_for(receiver, token="secret").send([make_record(), make_record(seed=7)])

    [request] = receiver.requests
    batch = json.loads(request.body)
    assert (request.method, request.path) == ("POST", "/logs")
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"] == "Bearer secret"
    assert batch["schema"] == SCHEMA
    assert [record["id"][-1] for record in batch["records"]] == ["1", "2"]
    assert batch["records"][0]["stop"] == ["\n"]
    assert batch["records"][0]["ttft_s"] == 0.25
    assert "seed" not in batch["records"][0]
    assert batch["records"][1]["seed"] == 7


def test_what_json_has_no_word_for_is_left_out(receiver: Receiver, make_record: MakeRecord):
    """Infinity was refused by the server, and its record is still worth sending."""
    other = '{"bad_words": ["x"], "n": NaN}'
    sink_for(receiver).send([make_record(temperature=float("inf"), other_sampling=other)])

    [record] = json.loads(receiver.requests[0].body)["records"]
    assert "temperature" not in record
    assert record["other_sampling"] == {"bad_words": ["x"], "n": None}


def test_a_large_batch_is_compressed(receiver: Receiver, make_records: MakeRecords):
    """A small one is not."""
    sink = sink_for(receiver)
    sink.send(make_records(50))
    sink.send(make_records(1))

    large, small = receiver.requests
    assert large.headers["Content-Encoding"] == "gzip"
    assert len(ids_in(large)) == 50
    assert "Content-Encoding" not in small.headers


@pytest.mark.parametrize("status", [400, 415])
def test_who_cannot_read_gzip_gets_it_plain(status: int, make_records: MakeRecords):
    """A few lines of Flask can't; from the second batch on it is not tried."""

    def plain_only(request: Request) -> Answer:
        return Answer(status if "Content-Encoding" in request.headers else 204)

    with receiving(usual=plain_only) as receiver:
        sink = sink_for(receiver)
        sink.send(make_records(50))
        sink.send(make_records(50))

        assert ["Content-Encoding" in each.headers for each in receiver.requests] == [
            True,
            False,
            False,
        ]


def test_a_user_in_the_address_is_sent_as_such(receiver: Receiver, make_records: MakeRecords):
    """As basic authentication, and not shown."""
    url = receiver.url.replace("//", "//me:p%40ss@") + "/logs"
    sink = HttpSink(url)
    sink.send(make_records(1))
    receiver.stop()

    pair = base64.b64encode(b"me:p@ss").decode()
    assert receiver.requests[0].headers["Authorization"] == f"Basic {pair}"
    with pytest.raises(SinkError) as caught:
        sink.send(make_records(1))
    assert "p%40ss" not in str(caught.value)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_passing_trouble_is_to_be_tried_again(status: int, make_records: MakeRecords):
    """No record is rejected, and the answer says when."""
    with receiving(Answer(status, {"Retry-After": "7"})) as receiver:
        with pytest.raises(SinkError) as caught:
            sink_for(receiver).send(make_records(2))

        error = caught.value
        assert (error.sink, error.permanent, error.done) == ("http", False, 0)
        assert error.retry_after_s == 7.0
        assert f"HTTP {status}" in error.message
        assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 403, 404, 405, 410])
def test_a_wrong_key_or_address_is_permanent(status: int, make_records: MakeRecords):
    """It is asked once; redirects are not followed, so that no token goes elsewhere."""
    with receiving() as elsewhere, receiving(Answer(status, {"Location": elsewhere.url})) as first:
        with pytest.raises(SinkError) as caught:
            sink_for(first, token="secret").send(make_records(2))

        assert caught.value.permanent
        assert caught.value.done == 0
        assert caught.value.hint
        assert len(first.requests) == 1
        assert elsewhere.requests == []


@pytest.mark.parametrize(("status", "too_large"), [(400, False), (413, True), (422, False)])
def test_what_may_be_a_records_fault_is_told_apart(
    status: int, too_large: bool, make_records: MakeRecords
):
    """Fewer at once may be taken; which ones is the courier's to find out."""
    with receiving(usual=lambda _request: Answer(status, body=b"what is\nthis?")) as receiver:
        with pytest.raises(RefusedBatchError) as caught:
            sink_for(receiver).send(make_records(3))

        assert caught.value.too_large == too_large
        assert f'HTTP {status}: "what is this?"' in caught.value.why
        assert len(receiver.requests) == 1


def test_one_bad_record_of_a_hundred_costs_no_other(make_records: MakeRecords, send_all: SendAll):
    """Over real HTTP, from the file: all others arrive, in order."""
    records = make_records(100)
    bad = records[40].id

    def all_but_one(request: Request) -> Answer:
        return Answer(422 if bad in ids_in(request) else 200)

    with receiving(usual=all_but_one) as receiver:
        status = send_all(sink_for(receiver), records)

        refused = [each for each in receiver.requests if bad in ids_in(each)]
        taken = [each for each in receiver.requests if bad not in ids_in(each)]
        assert [found for each in taken for found in ids_in(each)] == [
            each.id for each in records if each.id != bad
        ]
        assert len(refused) < 12
        assert (status.sent, status.rejected) == (99, 1)


def test_an_outage_loses_nothing(receiver: Receiver, make_records: MakeRecords):
    """While nothing listens it is said so; the same batch is taken when something does again."""
    sink, records = sink_for(receiver), make_records(3)
    receiver.stop()
    with pytest.raises(SinkError) as caught:
        sink.send(records)
    receiver.start()
    sink.send(records)

    assert "cannot be reached: Connection refused" in caught.value.message
    assert not caught.value.permanent
    assert ids_in(receiver.requests[0]) == [each.id for each in records]


def test_a_lost_answer_makes_a_repeat_with_the_same_ids(make_records: MakeRecords):
    """It was taken the first time too: whoever receives tells by the id."""
    with receiving(Answer(lost=True)) as receiver:
        sink, records = sink_for(receiver), make_records(3)
        with pytest.raises(SinkError):
            sink.send(records)
        sink.send(records)

        first, second = receiver.requests
        assert first.body == second.body


def test_a_slow_answer_is_not_waited_for(receiver: Receiver, make_records: MakeRecords):
    """It counts as none, and says after how long."""
    receiver.may_answer.clear()
    with pytest.raises(SinkError, match=r"no answer within 0.05 s") as caught:
        sink_for(receiver, timeout_s=0.05).send(make_records(1))

    assert not caught.value.permanent


@pytest.mark.parametrize(
    "url", ["me:p4ss@host", "ftp://me:p4ss@host/", "http://", "http://[p4ss", "http://p4 ss/"]
)
def test_what_is_no_address_is_said_at_once(url: str):
    """Without repeating it: it may hold a password."""
    with pytest.raises(ConfigError) as caught:
        HttpSink(url)

    assert "p4" not in str(caught.value)


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
IN_A_MINUTE = (NOW + timedelta(minutes=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0.5", 0.5),
        (IN_A_MINUTE, 60.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None):
    """RFC 9110, 10.2.3; a date that has passed is now, and anything else is nothing."""
    assert seconds_of(text, now=NOW) == seconds
