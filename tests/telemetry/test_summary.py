"""Recorded requests, some of them, by model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest

from workbench.telemetry.record import TelemetryRecord, rfc3339
from workbench.telemetry.store import Store
from workbench.telemetry.summary import by_model, quantile, select

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows with what a test is about, read from a file; a minute between one and the next."""
    made = []
    for number, row in enumerate(rows):
        usual = {"timestamp": rfc3339(NOON + timedelta(minutes=number)), "model": "pocket"}
        usual |= {"status": "ok", "duration_s": 1.0, "num_chunks": 1}
        usual |= {"id": f"{number:032x}", "session": "s", "prompt_hash": "h"}
        made.append(TelemetryRecord(**usual | row))
    with TemporaryDirectory() as folder, Store(Path(folder) / "telemetry.db") as store:
        store.append(made)
        return store.frame()


def test_quantiles_are_over_the_requests_that_have_one():
    """0.1, 0.2, 0.3 and one without a stream: half within 0.2, 95 of 100 only within the last."""
    found = by_model(frame({"ttft_s": 0.1}, {"ttft_s": 0.2}, {"ttft_s": 0.3}, {})).loc["pocket"]

    assert found["requests"] == 4
    assert found["ttft_p50_s"] == pytest.approx(0.2)
    assert found["ttft_p95_s"] == pytest.approx(0.3)
    assert pd.isna(found["tpot_p50_s"])


@pytest.mark.parametrize(("share", "value"), [(0.5, 2.0), (0.51, 3.0), (0.95, 4.0), (1.0, 4.0)])
def test_a_quantile_is_a_value_that_was_measured(share: float, value: float):
    """Of 1, 2, 3, 4 two are at most 2: half of them."""
    assert quantile(pd.Series([4.0, 1.0, 3.0, 2.0, None]), share) == value


def test_what_a_reader_stopped_did_not_fail():
    """One of four failed."""
    statuses = ("ok", "error", "interrupted", "ok")
    found = by_model(frame(*({"status": status} for status in statuses))).loc["pocket"]

    assert (found["errors"], found["error_rate"]) == (1, 0.25)


def test_tokens_are_added_up_and_the_most_asked_model_is_first():
    """Two requests to b, one to a."""
    found = by_model(
        frame(
            {"model": "a", "output_tokens": 7},
            {"model": "b", "input_tokens": 3, "output_tokens": 5},
            {"model": "b", "input_tokens": 4},
        )
    )

    assert list(found.index) == ["b", "a"]
    assert list(found["input_tokens"]) == [7, 0]
    assert list(found["output_tokens"]) == [5, 7]


def test_nothing_recorded_is_an_empty_table():
    """With its columns."""
    found = by_model(frame())

    assert len(found) == 0
    assert "ttft_p95_s" in found.columns


@pytest.mark.parametrize(
    ("how", "kept"),
    [
        ({}, [0, 1, 2]),
        ({"model": "b"}, [1]),
        ({"status": "error"}, [2]),
        ({"since": NOON + timedelta(minutes=1)}, [1, 2]),
        ({"until": NOON + timedelta(minutes=1)}, [0]),
        ({"since": NOON, "model": "a", "status": "ok"}, [0]),
        ({"since": timedelta(seconds=1)}, []),
    ],
)
def test_filters_keep_what_they_say(how: dict[str, Any], kept: list[int]):
    """By model, status and time, and all of them at once."""
    rows = frame({"model": "a"}, {"model": "b"}, {"model": "a", "status": "error"})

    assert list(select(rows, **how).index) == kept
