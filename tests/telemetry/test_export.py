"""Rows as files, and as they come."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import pytest

from workbench.errors import ConfigError, MissingDependencyError
from workbench.records import Generation
from workbench.telemetry import Chosen, Telemetry
from workbench.telemetry import export as export_module
from workbench.telemetry.record import COLUMNS

MakeGeneration = Callable[..., Generation]


@pytest.fixture
def five(
    telemetry: Telemetry, make_generation: MakeGeneration, monkeypatch: pytest.MonkeyPatch
) -> Telemetry:
    """Five rows, read two at a time."""
    monkeypatch.setattr(export_module, "CHUNK_ROWS", 2)
    for number in range(5):
        telemetry.emit(make_generation(model=f"model-{number % 2}"))
    return telemetry


def test_json_lines_have_every_field(five: Telemetry, tmp_path: Path) -> None:
    """
    A line for each record, oldest first, as it was recorded.
    """
    assert five.export(tmp_path / "all.jsonl") == 5
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]

    assert [line["id"] for line in lines] == five.frame()["id"].tolist()
    assert lines == [asdict(record) for record in five.tail(last=5, follow=False)]
    assert lines[0]["streamed"] is True


def test_a_table_has_what_was_chosen(five: Telemetry, tmp_path: Path) -> None:
    """
    CSV with a line of names; unknown is empty.
    """
    assert five.export(tmp_path / "some.csv", Chosen(model="model-1")) == 2
    with (tmp_path / "some.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert [row["model"] for row in rows] == ["model-1", "model-1"]
    assert list(rows[0]) == list(COLUMNS)
    assert rows[0]["temperature"] == ""


def test_an_ending_says_what_to_write(five: Telemetry, tmp_path: Path) -> None:
    """
    Another is refused, and leaves no file.
    """
    with pytest.raises(ConfigError, match="does not say what to write") as caught:
        five.export(tmp_path / "all.xlsx")

    assert ".jsonl" in (caught.value.hint or "")
    assert not list(tmp_path.glob("*xlsx*"))


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_parquet_wants_pyarrow(five: Telemetry, tmp_path: Path) -> None:
    """
    Without it the error says what to install.
    """
    with pytest.raises(MissingDependencyError) as caught:
        five.export(tmp_path / "all.parquet")

    assert caught.value.package == "pyarrow"


def test_a_tail_goes_on_with_what_comes(
    telemetry: Telemetry, make_generation: MakeGeneration
) -> None:
    """
    The last one, and then what is emitted while it is read.
    """
    for number in range(3):
        telemetry.emit(make_generation(request_id=str(number)))
    records = telemetry.tail(last=1)
    assert next(records).request_id == "2"
    telemetry.emit(make_generation(request_id="3"))

    assert next(records).request_id == "3"
