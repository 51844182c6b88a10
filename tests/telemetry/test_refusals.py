"""Who is to blame when a sink refuses: a record, or the address; and what is sent again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import eventually
from tests.telemetry.sinks_for_tests import ScriptedSink, These, ids, status
from workbench.errors import SinkError
from workbench.records import Generation
from workbench.telemetry import Store, Telemetry

MakeGeneration = Callable[..., Generation]
Fill = Callable[[Telemetry, int], list[str]]


@pytest.fixture(autouse=True)
def quick(quick_courier: None) -> None:
    """Nobody waits for seconds."""


@pytest.fixture
def sink() -> ScriptedSink:
    """It is down at first, so that rows gather."""
    return ScriptedSink(SinkError("busy", sink="scripted", retry_after_s=600))


@pytest.fixture
def fill(make_generation: MakeGeneration) -> Fill:
    """Emit so many while the sink is down; they are sent as one batch when it is asked for."""

    def emit(telemetry: Telemetry, number: int) -> list[str]:
        for _ in range(number):
            telemetry.emit(make_generation())
        assert eventually(lambda: status(telemetry).failing_since)
        return ids(telemetry)

    return emit


def opened(path: Path, sink: ScriptedSink) -> Telemetry:
    return Telemetry(path, session="tests", destinations=These(sink))


def test_a_record_that_is_refused_costs_no_other(
    path: Path, sink: ScriptedSink, fill: Fill
) -> None:
    """
    It is found by halving, and named with the reason; whoever waits for delivery is told.
    """
    with opened(path, sink) as telemetry:
        rows = fill(telemetry, 9)
        sink.refuses = {rows[4]}
        assert not telemetry.deliver()

        told = status(telemetry)
        assert sink.taken == rows[:4] + rows[5:]
        assert (told.sent, told.rejected, told.waiting, told.failing_since) == (8, 1, 0, None)
        assert told.last_error == "It is not understood."
        assert telemetry.deliver()
    with Store(path) as store:
        assert store.rows("SELECT sink, id, reason FROM rejected") == [
            ("scripted", rows[4], "It is not understood.")
        ]


def test_a_record_that_breaks_a_sink_costs_no_other(
    path: Path, sink: ScriptedSink, fill: Fill
) -> None:
    """
    A mistake of the sink with one record is tried more than once, and then taken for a refusal.
    """
    with opened(path, sink) as telemetry:
        rows = fill(telemetry, 9)
        sink.breaks_on = {rows[4]}
        telemetry.deliver()
        assert eventually(lambda: status(telemetry).waiting == 0)

        assert (status(telemetry).sent, status(telemetry).rejected) == (8, 1)
        assert "TypeError: it has no form" in (status(telemetry).last_error or "")
        assert sink.batches.count([rows[4]]) == 3


@pytest.mark.parametrize("number", [1, 2, 40])
def test_an_address_that_takes_nothing_rejects_nothing(
    path: Path, sink: ScriptedSink, fill: Fill, number: int
) -> None:
    """
    Few records or many: it is said that it takes none, and all arrive when it does.
    """
    with opened(path, sink) as telemetry:
        rows = fill(telemetry, number)
        sink.refuses = set(rows)
        assert not telemetry.deliver()
        told = status(telemetry)
        assert (told.permanent, told.rejected, told.waiting) == (True, 0, number)
        assert "It took none of" in (told.last_error or "")
        assert len(sink.batches) < 30

        sink.refuses = set()
        assert telemetry.deliver()
        assert (sink.taken, status(telemetry).rejected) == (rows, 0)


def test_records_that_come_one_by_one_are_not_blamed_for_the_address(
    path: Path, sink: ScriptedSink, fill: Fill, make_generation: MakeGeneration
) -> None:
    """
    A batch of one that is refused proves nothing, however often.
    """
    with opened(path, sink) as telemetry:
        fill(telemetry, 1)
        sink.refuses_all = True  # a set of ids would come too late for one just emitted
        for _ in range(12):
            assert not telemetry.deliver()
            telemetry.emit(make_generation())
        sink.refuses_all = False
        assert telemetry.deliver()

        assert (sink.taken, status(telemetry).rejected) == (ids(telemetry), 0)


def test_a_refused_record_is_judged_when_another_is_taken(
    path: Path, sink: ScriptedSink, fill: Fill, make_generation: MakeGeneration
) -> None:
    """
    Until then it waits, and it is said why; the next one does not wait for it.
    """
    with opened(path, sink) as telemetry:
        rows = fill(telemetry, 1)
        sink.refuses = set(rows)
        assert not telemetry.deliver()
        assert "It is not understood" in (status(telemetry).last_error or "")
        telemetry.emit(make_generation())

        assert eventually(lambda: status(telemetry).sent == 1)
        told = status(telemetry)
        assert (told.rejected, told.waiting, told.failing_since) == (1, 0, None)


def test_from_the_start_means_refused_ones_too(path: Path, sink: ScriptedSink, fill: Fill) -> None:
    """
    Whoever has mended the address asks for all once more.
    """
    with opened(path, sink) as telemetry:
        rows = fill(telemetry, 4)
        sink.refuses = {rows[1]}
        telemetry.deliver()
        sink.refuses, sink.taken = set(), []
        assert telemetry.deliver(from_start=True)

        assert (sink.taken, status(telemetry).rejected) == (rows, 0)


def test_what_was_taken_before_a_sink_asked_to_wait_is_not_sent_again(
    path: Path, sink: ScriptedSink, fill: Fill
) -> None:
    """
    An account that allows forty items a second would else never come past the fortieth.
    """
    with opened(path, sink) as telemetry:
        rows = fill(telemetry, 5)
        sink.script = [SinkError("slow down", sink="scripted", done=3, retry_after_s=600)]
        assert not telemetry.deliver()
        assert (status(telemetry).sent, status(telemetry).waiting) == (3, 2)
        assert telemetry.deliver()

        assert sink.batches[-1] == rows[3:]


def test_what_is_refused_without_saying_which_is_counted(
    path: Path, sink: ScriptedSink, fill: Fill
) -> None:
    """
    As OTLP does it: the batch is done with, and the number is known.
    """
    with opened(path, sink) as telemetry:
        rows = fill(telemetry, 5)
        sink.script = [SinkError("two were bad", sink="scripted", done=5, num_rejected=2)]
        assert not telemetry.deliver()

        told = status(telemetry)
        assert (told.sent, told.rejected, told.waiting, told.last_error) == (
            3,
            2,
            0,
            "two were bad",
        )
        assert sink.ids.count(rows[0]) == 2  # when it was down, and now


def test_a_size_that_is_taken_is_kept(path: Path, sink: ScriptedSink, fill: Fill) -> None:
    """
    Of an address that takes six at once few requests are for nothing.
    """
    sink.takes_at_most = 6
    with opened(path, sink) as telemetry:
        rows = fill(telemetry, 100)
        assert telemetry.deliver()

        too_large = [batch for batch in sink.batches[1:] if len(batch) > 6]
        assert sink.taken == rows
        assert [len(batch) for batch in too_large[:4]] == [100, 50, 25, 12]
        assert len(too_large) < 8
