"""The hot path, against a server that knows when it sent what, and one that misbehaves."""

from __future__ import annotations

import resource

import pytest

from tests.bench.against import asked, exact, told
from workbench.bench import arrivals
from workbench.bench.load import Interrupted, Progress
from workbench.bench.loop import Loop


@pytest.mark.processes
def test_no_chunk_came_before_it_was_sent():
    """Each of 20 × 30 events has a time, after the server's own and within a second of it."""
    with exact("--ttft-ms=20", "--itl-ms=5", "--tokens=30") as to:
        load = Loop(to, asked(to, 20), arrivals.at_once(20)).run()
        sent_s = told(to)

    for request in load.requests:
        late_s = [
            came - sent
            for came, sent in zip(request.answer.stamps_s, sent_s[str(request.number)], strict=True)
        ]
        assert min(late_s) > -1e-3  # the two clocks are laid beside each other
        assert max(late_s) < 1


@pytest.mark.processes
@pytest.mark.parametrize("packets", ["--coalesced", "--tokens=2000"])
def test_as_fast_as_it_goes_every_event_is_counted(packets: str):
    """Eight answers of 2,000 events, in reads that cut them anywhere."""
    with exact("--itl-ms=0", "--tokens=2000", packets) as to:
        load = Loop(to, asked(to, 8), arrivals.at_once(8)).run()

    assert [len(request.answer.stamps_s) for request in load.requests] == [2000] * 8
    assert all(request.answer.usage.output_tokens == 2000 for request in load.requests)


@pytest.mark.processes
def test_a_closed_loop_has_no_more_under_way_than_its_concurrency():
    """Twelve requests by three: at no time are four between sent and done."""
    with exact("--ttft-ms=5", "--itl-ms=2", "--tokens=5") as to:
        load = Loop(to, asked(to, 12), arrivals.at_once(12), concurrency=3).run()

    edges = sorted([(r.sent_s, 1) for r in load.requests] + [(r.done_s, -1) for r in load.requests])
    under_way = [sum(step for _, step in edges[: n + 1]) for n in range(len(edges))]
    assert max(under_way) == 3
    assert len(load.requests) == 12


@pytest.mark.processes
def test_an_open_loop_sends_when_it_is_due():
    """Never before; the rate does not wait for answers that take longer than the gap."""
    with exact("--ttft-ms=100", "--itl-ms=1", "--tokens=2") as to:
        load = Loop(to, asked(to, 10), arrivals.constant(100, 10)).run()

    late_s = [request.sent_s - request.due_s for request in load.requests]
    assert min(late_s) >= 0
    assert load.requests[-1].sent_s < load.requests[0].done_s


@pytest.mark.processes
def test_no_more_is_sent_after_the_duration():
    """What is under way is read to its end, and nothing is lost or begun."""
    with exact("--ttft-ms=20", "--itl-ms=1", "--tokens=3") as to:
        load = Loop(to, asked(to, 500), arrivals.at_once(500), concurrency=1, stop_s=0.1).run()

    assert 0 < len(load.requests) < 500
    assert all(len(request.answer.stamps_s) == 3 for request in load.requests)


@pytest.mark.processes
def test_how_far_it_is_is_told_while_it_runs():
    """It only grows, and what is told of last is not more than there was."""
    told: list[Progress] = []
    with exact("--ttft-ms=20", "--itl-ms=40", "--tokens=20") as to:
        Loop(to, asked(to, 5), arrivals.at_once(5), on_progress=told.append).run()

    assert [each.tokens for each in told] == sorted(each.tokens for each in told)
    assert 2 <= len(told) <= 20
    assert all(each.sent == 5 and each.tokens <= 100 for each in told)
    assert told[-1].tokens > 0


@pytest.mark.processes
def test_interrupted_it_keeps_what_there_was():
    """Answers under way have an error, and the times until then."""

    def stop(progress: Progress) -> None:
        if progress.tokens:
            raise KeyboardInterrupt

    with (
        exact("--ttft-ms=5", "--itl-ms=20", "--tokens=1000") as to,
        pytest.raises(Interrupted) as it,
    ):
        Loop(to, asked(to, 3), arrivals.at_once(3), on_progress=stop).run()

    requests = it.value.load.requests
    assert [sent.answer.error for sent in requests] == ["Stopped by the user."] * 3
    assert all(sent.answer.stamps_s and sent.done_s for sent in requests)


@pytest.mark.processes
def test_more_streams_than_open_files_were_allowed():
    """The limit is raised as far as it may be: 600 connections where 300 files were the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with exact("--ttft-ms=50", "--itl-ms=20", "--tokens=3") as to:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
        try:
            load = Loop(to, asked(to, 600), arrivals.at_once(600)).run()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert [len(sent.answer.stamps_s) for sent in load.requests] == [3] * 600
