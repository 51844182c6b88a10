"""What is deleted, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import eventually
from workbench.records import Generation
from workbench.telemetry import Retention, Store, Telemetry, TelemetryRecord
from workbench.telemetry import keeper as keeper_module
from workbench.telemetry.outbox import LIVE_FOR, Outbox, Progress
from workbench.telemetry.record import record_of, rfc3339
from workbench.telemetry.retention import expire

NOW = datetime.now(UTC)
TEN_DAYS = Retention(max_age_days=10, max_bytes=None)

MakeRecords = Callable[..., list[TelemetryRecord]]


@pytest.fixture
def make_records(make_generation: Callable[..., Generation]) -> MakeRecords:
    """Make records that were sent so many days ago, each with a long text in it."""

    def make(*days: float, text: str = "") -> list[TelemetryRecord]:
        record = record_of(make_generation(), session="tests", prompt_hash="h1:00")
        return [
            replace(
                record,
                id=f"{number:032x}",
                timestamp=rfc3339(NOW - timedelta(days=ago)),
                prompt=text or None,
            )
            for number, ago in enumerate(days)
        ]

    return make


def seqs(store: Store) -> list[int]:
    return [seq for (seq,) in store.rows("SELECT seq FROM requests ORDER BY seq")]


def expired(store: Store, retention: Retention) -> int:
    return expire(store, retention, pause=lambda: None)


def lost(store: Store) -> int:
    return Outbox(store).statuses()[0].lost


def test_old_rows_are_deleted(path: Path, make_records: MakeRecords) -> None:
    """
    By the time of the request, and not in the order of writing; a second time nothing is left.
    """
    with Store(path) as store:
        store.append(make_records(30, 11, 9, 10.5, 0))

        assert expired(store, TEN_DAYS) == 3
        assert seqs(store) == [3, 5]
        assert expired(store, TEN_DAYS) == 0


def test_what_a_live_sink_has_not_had_stays(path: Path, make_records: MakeRecords) -> None:
    """
    Up to twice its age; then it is deleted and counted as lost, once.
    """
    with Store(path) as store:
        Outbox(store).append(make_records(11, 12, 13), ["dead"])
        Outbox(store).done("dead", Progress(up_to=1, count=1))

        assert expired(store, TEN_DAYS) == 1
        assert (seqs(store), lost(store)) == ([2, 3], 0)
        assert expired(store, Retention(max_age_days=6.2, max_bytes=None)) == 1
        assert (seqs(store), lost(store)) == ([2], 1)


def test_a_sink_that_is_off_holds_nothing_back(path: Path, make_records: MakeRecords) -> None:
    """
    Nobody has turned it on for more than a week.
    """
    with Store(path) as store:
        Outbox(store).append(make_records(11), ["off"])
        with store.transaction() as execute:
            execute("UPDATE sinks SET seen_at = ?", (rfc3339(NOW - LIVE_FOR - timedelta(1)),))

        assert expired(store, TEN_DAYS) == 1


def test_the_oldest_go_when_there_are_too_many(path: Path, make_records: MakeRecords) -> None:
    """
    Until the rest fits; the newest stay.
    """
    with Store(path) as store:
        store.append(make_records(*[0.0] * 3_000, text="a long prompt " * 20))
        before = store.size_bytes()
        expired(store, Retention(max_age_days=None, max_bytes=before // 2))

        assert 0.3 * before < store.size_bytes() <= before // 2
        assert seqs(store)[-1] == 3_000
        assert seqs(store) == list(range(seqs(store)[0], 3_001))


def test_size_comes_before_a_dead_sink(path: Path, make_records: MakeRecords) -> None:
    """
    The bound holds, and what the sink will never have is said.
    """
    with Store(path) as store:
        Outbox(store).append(make_records(*[0.0] * 3_000, text="a long prompt " * 20), ["dead"])
        bound = store.size_bytes() // 2
        deleted = expired(store, Retention(max_age_days=None, max_bytes=bound))

        assert store.size_bytes() <= bound
        assert lost(store) == deleted > 0


def test_a_refusal_is_forgotten_with_its_row(path: Path, make_records: MakeRecords) -> None:
    """
    So that all that the file holds belongs to rows, and its size can be bounded by deleting them.
    """
    with Store(path) as store:
        records = make_records(11, 0)
        Outbox(store).append(records, ["sink"])
        refused = {record.id: "no" for record in records}
        Outbox(store).done("sink", Progress(up_to=2, count=0, num_rejected=2, rejected=refused))
        expired(store, TEN_DAYS)

        assert store.rows("SELECT id FROM rejected") == [(records[1].id,)]


def test_a_number_is_never_used_twice(path: Path, make_records: MakeRecords) -> None:
    """
    After everything was deleted a sink still gets what comes then.
    """
    with Store(path) as store:
        store.append(make_records(11, 11))
        Outbox(store).admit("sink")
        expired(store, TEN_DAYS)
        store.append(make_records(0))

        assert [seq for seq, _ in Outbox(store).waiting("sink", 10)] == [3]


def test_the_writer_has_it_done(
    path: Path, make_generation: Callable[..., Generation], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Old rows of an earlier process go when this one has written something.
    """
    monkeypatch.setattr(keeper_module, "PAUSE_S", 0.0)
    old: dict[str, Any] = {"started_at": NOW - timedelta(days=11)}
    with Telemetry(path, session="before") as before:
        generation = make_generation()
        before.emit(replace(generation, timings=replace(generation.timings, **old)))
    with Telemetry(path, session="tests", retention=TEN_DAYS) as telemetry:
        telemetry.emit(make_generation())

        assert eventually(lambda: telemetry.frame()["session"].tolist() == ["tests"])
