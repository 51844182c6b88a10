"""Items in a Cosmos DB, by Azure's own library, over real HTTP; and what goes wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.telemetry.sinks.conftest import MakeRecord, MakeRecords
from tests.telemetry.sinks.emulator import KEY, emulator, way_to, why_not
from tests.telemetry.sinks.receiver import Answer, Receiver, Request, receiving
from workbench.errors import ConfigError, SinkError
from workbench.telemetry.sinks.base import RefusedBatchError
from workbench.telemetry.sinks.cosmos import CosmosSink

pytest.importorskip("azure.cosmos")

# The emulator says that it is reached by https, whatever it is reached by.
PLAIN = {"enable_endpoint_discovery": False}

Fault = Callable[[Request], Answer | None]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    if missing := why_not():
        pytest.skip(missing)
    with emulator("--no-ssl") as found:
        yield found


@pytest.fixture
def way(port: int) -> Iterator[Receiver]:
    with receiving(usual=way_to(port)) as found:
        yield found


@pytest.fixture
def sink(way: Receiver, request: pytest.FixtureRequest) -> Iterator[CosmosSink]:
    """A sink with a database of its own."""
    found = sink_for(way, database=request.node.name)
    yield found
    found.close()


def sink_for(way: Receiver, **options: Any) -> CosmosSink:
    return CosmosSink(f"{way.url}/", key=KEY, client_options=PLAIN, **options)


def items_of(sink: CosmosSink) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = list(sink._container.read_all_items())
    return found


def is_upsert(request: Request) -> bool:
    return request.headers["x-ms-documentdb-is-upsert"] == "True"


def upserts(way: Receiver) -> list[Request]:
    return [each for each in way.requests if is_upsert(each)]


@contextmanager
def misbehaving(way: Receiver, fault: Fault) -> Iterator[None]:
    """Have upserts meet *fault* first; where it has no answer, they arrive."""
    usual = way.usual

    def answer(request: Request) -> Answer:
        return (fault(request) if is_upsert(request) else None) or usual(request)

    way.usual = answer
    yield
    way.usual = usual


@pytest.mark.processes
def test_a_record_is_an_item(sink: CosmosSink, make_record: MakeRecord):
    """Its id is the record's, its partition the session; unknown is not there."""
    record = make_record()
    sink.send([record])

    [item] = items_of(sink)
    assert (item["id"], item["session_id"]) == (record.id, "lesson")
    assert (item["ttft_s"], item["stop"], item["status"]) == (0.25, ["\n"], "ok")
    assert "session" not in item
    assert "seed" not in item
    assert "ttl" not in item


@pytest.mark.processes
def test_database_and_container_are_made(sink: CosmosSink, make_records: MakeRecords):
    """With the session as partition key, and items that may expire."""
    sink.send(make_records(1))

    made = sink._container.read()
    assert made["partitionKey"]["paths"] == ["/session_id"]
    assert made["defaultTtl"] == -1


@pytest.mark.processes
def test_items_expire_if_that_is_wanted(way: Receiver, make_records: MakeRecords):
    """Each has its time, so that it can be changed for those to come."""
    sink = sink_for(way, database="expiring", ttl_s=3600)
    sink.send(make_records(1))

    assert [item["ttl"] for item in items_of(sink)] == [3600]
    sink.close()


@pytest.mark.processes
def test_a_repeat_replaces_its_item(way: Receiver, sink: CosmosSink, make_records: MakeRecords):
    """In the same process and in one that was restarted; a hundred stay a hundred."""
    records = make_records(100)
    sink.send(records)
    sink.send(records)
    again = sink_for(way, database=sink._database)
    again.send(records)

    assert {item["id"] for item in items_of(sink)} == {record.id for record in records}
    assert len(items_of(sink)) == 100
    again.close()


@pytest.mark.processes
def test_being_asked_to_wait_stops_the_batch(
    way: Receiver, sink: CosmosSink, make_records: MakeRecords
):
    """A 429 says for how long; what is not under way yet is not asked; later all arrive."""
    records = make_records(100)
    sink.send(records[:1])
    told = Answer(429, {"x-ms-retry-after-ms": "2500"}, b'{"code": "429"}')
    before = len(upserts(way))
    with misbehaving(way, lambda _request: told), pytest.raises(SinkError) as caught:
        sink.send(records)

    assert (caught.value.sink, caught.value.permanent) == ("cosmos", False)
    assert caught.value.retry_after_s == 2.5
    assert caught.value.done == 0
    assert len(upserts(way)) - before < 20

    sink.send(records)
    assert len(items_of(sink)) == 100


@pytest.mark.processes
@pytest.mark.parametrize("status", [400, 413])
def test_a_record_that_is_refused_costs_no_other(
    status: int, way: Receiver, sink: CosmosSink, make_records: MakeRecords
):
    """An item may have 2 MB; it is named, and the others are there."""
    records = make_records(10)
    bad = records[4].id

    def refuse(request: Request) -> Answer | None:
        return Answer(status) if bad.encode() in request.body else None

    with misbehaving(way, refuse), pytest.raises(SinkError) as caught:
        sink.send(records)

    assert (caught.value.done, caught.value.rejected) == (10, (bad,))
    assert (caught.value.num_rejected, caught.value.permanent) == (1, False)
    assert len(items_of(sink)) == 9


@pytest.mark.processes
def test_what_was_taken_before_it_was_asked_to_wait_is_done_with(
    way: Receiver, sink: CosmosSink, make_records: MakeRecords
):
    """An account that allows so many items a second would else be sent the same ones for ever."""
    records = make_records(60)
    told = Answer(429, {"x-ms-retry-after-ms": "100"}, b'{"code": "429"}')

    def busy(request: Request) -> Answer | None:
        return told if records[40].id.encode() in request.body else None

    with misbehaving(way, busy), pytest.raises(SinkError) as caught:
        sink.send(records)

    assert (caught.value.done, caught.value.rejected) == (40, ())
    sink.send(records[:1])  # it looks for its container again
    assert {each.id for each in records[:40]} <= {item["id"] for item in items_of(sink)}


@pytest.mark.processes
def test_who_refuses_every_record_may_be_the_wrong_account(
    way: Receiver, sink: CosmosSink, make_records: MakeRecords
):
    """No record is named for it."""
    sink.send(make_records(1))
    answer = Answer(400)
    with misbehaving(way, lambda _request: answer), pytest.raises(RefusedBatchError):
        sink.send(make_records(5))


@pytest.mark.processes
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_container_is_permanent(
    status: int, way: Receiver, sink: CosmosSink, make_records: MakeRecords
):
    """It is said with a hint, and no record is rejected."""
    sink.send(make_records(1))
    answer = Answer(status)
    with (
        misbehaving(way, lambda _request: answer),
        pytest.raises(SinkError, match=f"HTTP {status}") as caught,
    ):
        sink.send(make_records(20))

    assert caught.value.permanent
    assert caught.value.hint
    assert caught.value.done == 0


@pytest.mark.processes
def test_who_may_not_make_a_container_may_write(
    way: Receiver, sink: CosmosSink, make_records: MakeRecords
):
    """As Azure's built-in role for data has it: 403 for making, and for looking whether to."""
    sink.send(make_records(1))
    usual = way.usual

    def only_data(request: Request) -> Answer:
        made = request.path.rstrip("/").rpartition("/")[2] == sink._database
        return Answer(403) if made else usual(request)

    way.usual = only_data
    restricted = sink_for(way, database=sink._database)
    restricted.send(make_records(2))

    assert len(items_of(sink)) == 3
    restricted.close()


@pytest.mark.processes
def test_a_lost_answer_loses_and_doubles_nothing(
    way: Receiver, sink: CosmosSink, make_records: MakeRecords
):
    """The item is there already when it is sent again."""
    records = make_records(5)
    usual, lost = way.usual, [Answer(lost=True)]

    def takes_and_says_nothing(request: Request) -> Answer | None:
        usual(request)
        return lost.pop() if lost else None

    with (
        misbehaving(way, takes_and_says_nothing),
        pytest.raises(SinkError, match="cannot be reached"),
    ):
        sink.send(records)
    sink.send(records)

    assert len(items_of(sink)) == 5


@pytest.mark.processes
def test_a_slow_answer_is_not_waited_for(way: Receiver, port: int, make_records: MakeRecords):
    """It counts as none."""
    options = {**PLAIN, "read_timeout": 0.2}
    sink = CosmosSink(f"{way.url}/", key=KEY, database="slow", client_options=options)
    sink.send(make_records(1))
    way.may_answer.clear()
    with pytest.raises(SinkError, match="cannot be reached") as caught:
        sink.send(make_records(1))

    assert not caught.value.permanent
    way.may_answer.set()
    sink.close()


@pytest.mark.processes
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_an_account_that_restarts_loses_nothing(make_records: MakeRecords):
    """By https, with the emulator's own certificate. It forgets all: the container is made anew."""
    if missing := why_not():
        pytest.skip(missing)
    records = make_records(4)
    options = {**PLAIN, "connection_verify": False}
    with emulator() as port:
        sink = CosmosSink(f"https://127.0.0.1:{port}/", key=KEY, client_options=options)
        sink.send(records[:2])
    with pytest.raises(SinkError, match="cannot be reached") as caught:
        sink.send(records)
    with emulator(port=port):
        sink.send(records)
        assert len(items_of(sink)) == 4

    assert not caught.value.permanent
    sink.close()


def test_an_account_that_is_not_there_is_said_at_once(make_records: MakeRecords):
    """At the first batch, and not when the sink is made: no chat waits for it."""
    with receiving() as gone:
        pass
    sink = sink_for(gone)
    with pytest.raises(SinkError, match="cannot be reached") as caught:
        sink.send(make_records(1))

    assert not caught.value.permanent
    sink.close()
    sink.close()


def test_a_key_that_is_none_is_said_at_once():
    """It is base64; the library would speak of padding."""
    with pytest.raises(ConfigError, match="AZURE_COSMOS_KEY") as caught:
        CosmosSink("https://account.documents.azure.com/", key="no key!")

    assert "no key!" not in str(caught.value)


def test_what_is_no_address_is_said_at_once():
    """The account's name alone is none."""
    with pytest.raises(ConfigError, match="AZURE_COSMOS_ENDPOINT"):
        CosmosSink("my-account", key=KEY)
