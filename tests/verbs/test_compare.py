"""``workbench compare A B``: a gate."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.test_compare import run
from workbench.bench import files

pytestmark = pytest.mark.processes


def compare(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", "compare", *words],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def sides(tmp_path: Path) -> dict[str, str]:
    """Three runs each: of 100 ms, the same again, and of 120 ms; and one of another model."""
    for name, ttft_s in (("base", 0.1), ("same", 0.1), ("slow", 0.12)):
        for number in range(3):
            result = run(ttft_s + number / 1000)
            files.save(result, tmp_path / name / f"{number}.json", detailed=True)
    other = replace(run(), fingerprint=replace(run().fingerprint, model="other"))
    files.save(other, tmp_path / "other" / "0.json")
    return {each.name: str(each) for each in tmp_path.iterdir()}


@pytest.mark.parametrize(("side", "status"), [("same", 0), ("slow", 1), ("other", 1)])
def test_the_exit_status_is_the_gate(sides: dict[str, str], side: str, status: int):
    """0: no regression. 1: there is one, or the sides are no match."""
    assert compare(sides["base"], sides[side]).returncode == status


def test_a_regression_is_named(sides: dict[str, str]):
    """With the change, its interval and the test, in the table and as JSON."""
    done = compare(sides["base"], sides["slow"], "--json")
    told = json.loads(done.stdout)

    assert told["regressions"] == ["TTFT mean"]
    assert told["changes"][0]["test"] == "Welch, over runs"


def test_what_is_no_match_says_why_and_can_be_looked_at(sides: dict[str, str]):
    """The difference stands there with both values; --anyway compares."""
    refused = compare(sides["base"], sides["other"])
    anyway = compare(sides["base"], sides["other"], "--anyway")

    assert "model DIFFERS: m | other" in refused.stdout
    assert "TTFT mean" not in refused.stdout
    assert "TTFT mean" in anyway.stdout


def test_a_larger_threshold_lets_pass(sides: dict[str, str]):
    """Twenty per cent is below thirty."""
    assert compare(sides["base"], sides["slow"], "--threshold", "30").returncode == 0
