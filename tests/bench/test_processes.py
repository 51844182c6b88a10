"""The same load by several processes."""

from __future__ import annotations

import os
import signal
import threading

import psutil
import pytest

from tests.bench.against import asked, exact
from tests.helpers import eventually
from workbench.bench import arrivals, http1, processes
from workbench.bench.load import Interrupted, Progress
from workbench.errors import ServerUnreachableError

pytestmark = pytest.mark.processes


def test_each_request_is_sent_once_and_keeps_its_number():
    """Ten by three processes: as one process would, with the ids of the server's own numbers."""
    with exact("--ttft-ms=20", "--itl-ms=5", "--tokens=7") as to:
        load = processes.run(to, asked(to, 10), arrivals.at_once(10), processes=3)

    assert [sent.number for sent in load.requests] == list(range(10))
    ids = [sent.answer.request_id for sent in load.requests]
    assert ids == [f"chatcmpl-{number:020d}" for number in range(10)]
    assert [len(sent.answer.stamps_s) for sent in load.requests] == [7] * 10


def test_all_begin_at_the_same_moment():
    """Requests of different processes that are due together are sent within a tenth of a second."""
    with exact("--ttft-ms=20", "--itl-ms=5", "--tokens=2") as to:
        load = processes.run(to, asked(to, 4), arrivals.at_once(4), processes=4)

    sent_s = [sent.sent_s for sent in load.requests if sent.sent_s]
    assert load.started_s <= min(sent_s)
    assert max(sent_s) - min(sent_s) < 0.1


def test_together_they_keep_to_the_concurrency():
    """Seven by two processes are four and three."""
    with exact("--ttft-ms=5", "--itl-ms=2", "--tokens=5") as to:
        load = processes.run(to, asked(to, 30), arrivals.at_once(30), processes=2, concurrency=7)

    edges = [(sent.sent_s or 0, 1) for sent in load.requests]
    edges += [(sent.done_s or 0, -1) for sent in load.requests]
    steps = [step for _, step in sorted(edges)]
    assert max(sum(steps[: n + 1]) for n in range(len(steps))) <= 7
    assert len(load.requests) == 30


def test_what_stops_one_stops_all():
    """Nobody listens: said as by one process, and no process is left."""
    to = http1.target("http://127.0.0.1:9/v1")

    with pytest.raises(ServerUnreachableError, match=r"127\.0\.0\.1:9"):
        processes.run(to, asked(to, 4), arrivals.at_once(4), processes=2)


def test_what_a_dead_process_was_to_send_is_counted_as_failed():
    """Killed while it sends: its five of ten are errors, and the other's five are kept."""
    told: list[Progress] = []

    def kill_one_when_tokens_have_come() -> None:
        eventually(lambda: told and told[-1].tokens)
        sender = "workbench.bench.processes"
        children = psutil.Process().children()
        next(each for each in children if sender in " ".join(each.cmdline())).kill()

    with exact("--ttft-ms=5", "--itl-ms=50", "--tokens=40") as to:
        threading.Thread(target=kill_one_when_tokens_have_come, daemon=True).start()
        load = processes.run(
            to, asked(to, 10), arrivals.at_once(10), processes=2, on_progress=told.append
        )

    failed = [sent.number for sent in load.requests if sent.answer.error]
    assert failed in ([0, 2, 4, 6, 8], [1, 3, 5, 7, 9])
    assert "A process of the load generator ended early (code -9)." in {
        sent.answer.error for sent in load.requests
    }
    kept = [sent for sent in load.requests if not sent.answer.error]
    assert [len(sent.answer.stamps_s) for sent in kept] == [40] * 5


def test_interrupted_they_keep_what_there_was():
    """Ctrl-C in the parent: answers under way have an error and the times until then."""
    told: list[Progress] = []

    def stop_when_tokens_have_come() -> None:
        eventually(lambda: told and told[-1].tokens)
        os.kill(os.getpid(), signal.SIGINT)

    with exact("--ttft-ms=5", "--itl-ms=50", "--tokens=1000") as to:
        threading.Thread(target=stop_when_tokens_have_come, daemon=True).start()
        with pytest.raises(Interrupted) as stopped:
            processes.run(
                to, asked(to, 4), arrivals.at_once(4), processes=2, on_progress=told.append
            )

    requests = stopped.value.load.requests
    assert [sent.number for sent in requests] == [0, 1, 2, 3]
    assert {sent.answer.error for sent in requests} == {"Stopped by the user."}
    assert all(sent.answer.stamps_s for sent in requests)
