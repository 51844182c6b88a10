"""What sinks are sent: everything, in order, at least once, whatever happens."""

from __future__ import annotations

import multiprocessing
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import eventually
from tests.telemetry.sinks_for_tests import ScriptedSink, These, ids, status
from workbench.errors import ConfigError, SinkError
from workbench.filelock import try_to_hold
from workbench.records import Generation
from workbench.telemetry import Sink, Telemetry
from workbench.telemetry import courier as courier_module
from workbench.telemetry.courier import backoff_s

MakeGeneration = Callable[..., Generation]


@pytest.fixture(autouse=True)
def quick(quick_courier: None) -> None:
    """Nobody waits for seconds."""


def opened(path: Path, *sinks: ScriptedSink, session: str = "tests", **changes: Any) -> Telemetry:
    return Telemetry(path, session=session, destinations=These(*sinks), **changes)


def test_every_row_is_sent_in_order(path: Path, make_generation: MakeGeneration) -> None:
    """
    Unasked, in batches of at most the sink's size.
    """
    sink = ScriptedSink(max_batch=4)
    with opened(path, sink) as telemetry:
        for _ in range(10):
            telemetry.emit(make_generation())
        assert eventually(lambda: len(sink.ids) == 10)

        assert sink.ids == ids(telemetry)
        assert max(map(len, sink.batches)) <= 4
    assert sink.closed == 1


def test_a_restart_goes_on_where_it_was(path: Path, make_generation: MakeGeneration) -> None:
    """
    What one process could not send, the next one does; what was sent is not sent again.
    """
    dead = ScriptedSink(*[SinkError("no route", sink="scripted", permanent=True)] * 9)
    with opened(path, ScriptedSink()) as telemetry:
        telemetry.emit(make_generation())
        assert telemetry.deliver()
    with opened(path, dead) as telemetry:
        telemetry.emit(make_generation())
        assert not telemetry.deliver()
    well = ScriptedSink()
    with opened(path, well) as telemetry:
        telemetry.emit(make_generation())
        assert telemetry.deliver()

        assert well.ids == ids(telemetry)[1:]
        assert (status(telemetry).sent, status(telemetry).waiting) == (3, 0)


def test_a_new_sink_gets_new_rows_only(path: Path, make_generation: MakeGeneration) -> None:
    """
    Those before it was turned on are sent when asked for.
    """
    with opened(path) as telemetry:
        telemetry.emit(make_generation())
    sink = ScriptedSink()
    with opened(path, sink) as telemetry:
        telemetry.emit(make_generation())
        assert telemetry.deliver()
        assert sink.ids == ids(telemetry)[1:]
        assert telemetry.deliver(from_start=True)

        assert sink.ids[1:] == ids(telemetry)


def test_a_dead_sink_delays_nobody(path: Path, make_generation: MakeGeneration) -> None:
    """
    While one hangs and one refuses, the third has everything, and emit takes no time.
    """
    hang = threading.Event()
    hangs = ScriptedSink(hang, name="hangs")
    refuses = ScriptedSink(*[SinkError("down", sink="refuses")] * 50, name="refuses")
    well = ScriptedSink(name="well")
    with opened(path, hangs, refuses, well) as telemetry:
        before_s = time.perf_counter()
        for _ in range(50):
            telemetry.emit(make_generation())
        took_s = time.perf_counter() - before_s
        assert eventually(lambda: len(well.ids) == 50)

        assert eventually(lambda: status(telemetry, "refuses").failing_since)
        assert status(telemetry, "refuses").waiting == 50
        hang.set()
    assert took_s < 0.5


def test_a_failure_is_told_and_forgotten(path: Path, make_generation: MakeGeneration) -> None:
    """
    The status says since when and why; after a success it is well again, and nothing is missing.
    """
    sink = ScriptedSink(SinkError("it is down", sink="scripted", retry_after_s=600))
    with opened(path, sink) as telemetry:
        telemetry.emit(make_generation())
        assert eventually(lambda: status(telemetry).failing_since)
        failing = status(telemetry)
        assert (failing.last_error, failing.waiting, failing.permanent) == ("it is down", 1, False)
        assert failing.retry_at is not None
        assert failing.failing_since is not None
        assert failing.retry_at > failing.failing_since

        assert telemetry.deliver()  # now, and not in ten minutes
        assert (status(telemetry).failing_since, status(telemetry).waiting) == (None, 0)


def test_a_sink_is_left_alone_as_long_as_it_asks(
    path: Path, make_generation: MakeGeneration
) -> None:
    """
    New rows do not make it be tried sooner.
    """
    sink = ScriptedSink(SinkError("busy", sink="scripted", retry_after_s=0.4))
    with opened(path, sink) as telemetry:
        telemetry.emit(make_generation())
        assert eventually(lambda: sink.batches)
        first_s = time.monotonic()
        telemetry.emit(make_generation())
        assert eventually(lambda: len(sink.batches) > 1)

        assert time.monotonic() - first_s >= 0.3
        assert len(sink.batches[1]) == 2


def test_waits_double_and_differ() -> None:
    """
    1, 2, 4 … 60 s, each shortened by up to a half; asked for, as asked, at most an hour.
    """
    waits = [backoff_s(n, permanent=False) for n in range(1, 12)]
    full = [courier_module.FIRST_WAIT_S * 2.0**n for n in range(11)]

    assert all(
        0.5 * min(60, most) <= wait <= min(60, most) for wait, most in zip(waits, full, strict=True)
    )
    assert len({backoff_s(9, permanent=False) for _ in range(5)}) > 1
    assert backoff_s(1, 7.5, permanent=False) == 7.5
    assert backoff_s(1, 86_400, permanent=False) == 3_600
    assert backoff_s(1, permanent=True) == 600


@pytest.mark.processes
def test_one_process_sends_at_a_time(path: Path, make_generation: MakeGeneration) -> None:
    """
    Of two sessions on one file one sends the rows of both; when it ends the other goes on.
    """
    first, second = ScriptedSink(), ScriptedSink()
    with ExitStack() as stack:
        other = stack.enter_context(opened(path, second, session="second"))
        with opened(path, first, session="first") as telemetry:
            telemetry.emit(make_generation())
            assert telemetry.deliver()
            other.emit(make_generation())
            assert other.deliver()
            assert (len(first.ids), second.ids) == (2, [])
        other.emit(make_generation())
        assert other.deliver()

        assert second.ids == ids(other)[2:]


@pytest.mark.processes
def test_who_dies_gives_the_lock_back(path: Path, make_generation: MakeGeneration) -> None:
    """
    A process that holds a sink's lock and is killed is taken over from.
    """
    path.parent.mkdir()
    lock = path.with_name(f".{path.name}.scripted.lock")
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold, args=(lock, ready))
    holder.start()
    assert ready.wait(30)
    sink = ScriptedSink()
    with opened(path, sink) as telemetry:
        telemetry.emit(make_generation())
        assert not telemetry.deliver(timeout_s=0.3)
        holder.kill()
        holder.join()

        assert eventually(lambda: len(sink.ids) == 1)


def hold(lock: Path, ready: Any) -> None:
    """Hold the lock until killed."""
    handle = try_to_hold(lock)
    assert handle is not None
    ready.set()
    threading.Event().wait()


@pytest.mark.processes
def test_a_full_disk_loses_no_row_that_is_in_the_file(
    path: Path, run_kernels: Callable[..., list[str]]
) -> None:
    """
    No file may grow past 400 kB while 2,000 are emitted and sent; then it may. What was
    written reached the sink, each row once, and the status said what was wrong.
    """
    facts = run_kernels(("fill_and_send", path, 2_000, 400_000))[0].strip().split("|")
    written, dropped, sent, different, said = facts

    assert (int(written) + int(dropped), said) == (2_000, "True")
    assert int(dropped) > 0
    assert int(written) == int(sent) == int(different)


def test_sinks_that_cannot_be_opened_are_said(path: Path, make_generation: MakeGeneration) -> None:
    """
    Recording goes on; the status has the reason, and delivering raises it.
    """

    class Wrong(These):
        def open(self) -> Sequence[Sink]:
            raise ConfigError("no key", key="cosmos", source="environment")

    with Telemetry(path, session="tests", destinations=Wrong()) as telemetry:
        telemetry.emit(make_generation())
        with pytest.raises(ConfigError, match="no key"):
            telemetry.deliver()

        assert "no key" in (telemetry.last_error or "")
        assert len(ids(telemetry)) == 1


def test_the_end_waits_for_a_slow_sink_only_so_long(
    path: Path, make_generation: MakeGeneration
) -> None:
    """
    Two seconds; what it has not had is for the next process.
    """
    never = threading.Event()
    telemetry = opened(path, ScriptedSink(never))
    telemetry.emit(make_generation())
    before_s = time.monotonic()
    telemetry.close()

    assert time.monotonic() - before_s < 5
    assert status(telemetry).waiting == 1
    never.set()


def test_a_sink_is_due_the_rows_of_a_process_that_ended_before_it_was_open(
    path: Path, make_generation: MakeGeneration
) -> None:
    """
    What a sink needs may take seconds to import; the next process sends what the first wrote.
    """
    never = threading.Event()
    first = Telemetry(path, session="short", destinations=These(ScriptedSink(), slow=never))
    first.emit(make_generation())
    first.flush()
    first.close()
    sink = ScriptedSink()
    with opened(path, sink) as telemetry:
        telemetry.emit(make_generation())
        assert telemetry.deliver()

        assert sink.ids == ids(telemetry)
        assert len(sink.ids) == 2
    never.set()


def test_a_file_that_was_deleted_takes_no_row_of_the_next_one_with_it(
    path: Path, make_generation: MakeGeneration
) -> None:
    """
    A kernel lives on when its state folder is deleted; the new file is sent from its first row.
    """
    sink = ScriptedSink()
    with opened(path, sink) as telemetry:
        for _ in range(3):
            telemetry.emit(make_generation())
        assert telemetry.deliver()
        shutil.rmtree(path.parent)
        telemetry.emit(make_generation())
        assert telemetry.deliver()

        assert sink.ids[3:] == ids(telemetry)
        assert (status(telemetry).sent, status(telemetry).waiting) == (1, 0)


def test_who_is_there_for_sending_waits_for_no_new_row(
    path: Path, make_generation: MakeGeneration
) -> None:
    """
    As a sidecar that was restarted: what the last one left goes on.
    """
    dead = ScriptedSink(*[SinkError("no route", sink="scripted", permanent=True)] * 9)
    with opened(path, dead) as telemetry:
        telemetry.emit(make_generation())
        assert not telemetry.deliver()
    sink = ScriptedSink()
    with opened(path, sink) as telemetry:
        telemetry.start_sending()

        assert eventually(lambda: len(sink.ids) == 1)
