"""Many rows read at once are the same rows."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from tests.helpers import AN_HOUR_AGO
from workbench.records import Generation
from workbench.telemetry import Chosen, Store, TelemetryRecord
from workbench.telemetry import reading as reading_module
from workbench.telemetry import segments as segments_module
from workbench.telemetry.record import record_of, rfc3339
from workbench.telemetry.segments import seal_next

ODD_TEXTS = (None, "", "é\n\0", "plain", "\U0001f600")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments_module, "SEGMENT_ROWS", 40)


@pytest.fixture
def store(path: Path, make_generation: Callable[..., Generation]) -> Store:
    """150 rows of every kind, not written in the order of time, three segments of them sealed."""
    record = record_of(make_generation(), session="tests", prompt_hash="h1:00")
    draw = random.Random(6)
    store = Store(path)
    store.append([_odd(record, number, draw) for number in range(150)])
    while seal_next(store):
        pass
    return store


def _odd(record: TelemetryRecord, number: int, draw: random.Random) -> TelemetryRecord:
    return replace(
        record,
        id=f"{number:032x}",
        timestamp=rfc3339(AN_HOUR_AGO + timedelta(seconds=draw.randrange(3000), microseconds=7)),
        model=draw.choice(("pocket", "pocket-mini")),
        status=draw.choice(("ok", "error")),
        seed=draw.choice((None, 0, -5, 2**63 - 1, -(2**63))),
        streamed=draw.choice((None, True, False)),
        temperature=draw.choice((None, 0.0, 0.1)),
        error_type=draw.choice(ODD_TEXTS),
        tags=draw.choice(ODD_TEXTS),
        answer=draw.choice(ODD_TEXTS) if number < 60 else None,
    )


def read(store: Store, chosen: Chosen, monkeypatch: pytest.MonkeyPatch, few: int) -> pd.DataFrame:
    monkeypatch.setattr(reading_module, "FEW", few)
    return store.frame(chosen)


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(Chosen(), id="all"),
        pytest.param(Chosen(last=100), id="last"),
        pytest.param(Chosen(since=AN_HOUR_AGO + timedelta(minutes=20)), id="since"),
        pytest.param(Chosen(model="pocket", status="error"), id="model-status"),
        pytest.param(
            Chosen(since=AN_HOUR_AGO + timedelta(minutes=9), status="ok", last=30), id="each"
        ),
        pytest.param(Chosen(model="nobody"), id="none"),
    ],
)
def test_both_ways_read_the_same(
    store: Store, chosen: Chosen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Row by row and from segments: the same values, dtypes and order, of every kind.
    """
    with store:
        assert len(store.rows("SELECT 1 FROM segments")) == 3
        by_rows = read(store, chosen, monkeypatch, 10_000)
        by_segments = read(store, chosen, monkeypatch, -1)

    assert_frame_equal(by_rows, by_segments)


def test_a_row_that_changes_takes_its_segment_along(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Whoever deletes or corrects a row by hand finds it so.
    """
    with store:
        with store.transaction() as execute:
            execute("DELETE FROM requests WHERE seq = 50")
            execute("UPDATE requests SET model = 'corrected' WHERE seq = 120")
        frame = read(store, Chosen(), monkeypatch, -1)

        assert store.rows("SELECT first_seq FROM segments") == [(1,)]
        assert {seq for (seq,) in store.rows("SELECT first_seq FROM segment_columns")} == {1}
    assert (len(frame), (frame["model"] == "corrected").sum()) == (149, 1)


def test_a_segment_without_a_known_column_is_not_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It was made by an older workbench, and the table knows more.
    """
    with store:
        before = read(store, Chosen(), monkeypatch, -1)
        with store.transaction() as execute:
            execute("UPDATE segments SET schema_version = 1")
            execute("UPDATE segment_columns SET data = x'00'")
        after = read(store, Chosen(), monkeypatch, -1)

    assert len(after) == 150
    assert_frame_equal(after, before)
