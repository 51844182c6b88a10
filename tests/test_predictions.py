"""What was predicted, what was measured, and what is learnt from the difference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.predictions import Prediction, Sizes, correction, keep, read

BOOT = Prediction(
    at="2026-11-25T08:00:00+00:00",
    gpu="h200",
    version="0.25.1",
    model="m",
    flags=("--max-model-len", "8192"),
    predicted=Sizes(overhead_bytes=1000, kv_cache_tokens=103),
    measured=Sizes(weights_bytes=500, overhead_bytes=1100, kv_cache_tokens=100),
    formula_overhead_bytes=1000,
)


def learnt(boots: list[Prediction], *, model: str = "m"):
    return correction(boots, gpu="h200", version="0.25.1", model=model)


def test_what_was_kept_is_read(tmp_path: Path):
    """In order, whatever the file's folder was."""
    path = tmp_path / "state" / "predictions.jsonl"
    boots = [BOOT, replace(BOOT, predicted=None, formula_overhead_bytes=None)]
    for boot in boots:
        keep(boot, path)

    assert read(path) == boots


def test_torn_lines_are_passed_over(tmp_path: Path):
    """A killed process leaves half a line; the next boots are still read."""
    path = tmp_path / "predictions.jsonl"
    keep(BOOT, path)
    with path.open("a") as file:
        file.write('{"at": "2026\n{}\n[]\n')
    keep(BOOT, path)

    assert read(path) == [BOOT, BOOT]


def test_a_file_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog):
    """The boot was fine."""
    keep(BOOT, tmp_path)

    assert "could not be kept" in caplog.text


def test_the_error_is_of_the_tokens():
    """103 for 100: 3 % too many; unknown where one is unknown."""
    assert BOOT.error_percent == pytest.approx(3)
    assert replace(BOOT, predicted=None).error_percent is None


def test_the_median_of_the_latest_boots_corrects():
    """Five of 100 bytes more outweigh an older one and a stray one."""
    stray = replace(BOOT, measured=replace(BOOT.measured, overhead_bytes=9000))
    found = learnt([stray, BOOT, BOOT, stray, BOOT, BOOT])

    assert (found.overhead_bytes, found.boots, found.weights_bytes) == (100, 5, 500)


def test_another_models_weights_are_not_taken():
    """The overhead's correction is the card's, the weights are the model's own."""
    assert learnt([BOOT], model="other").weights_bytes is None


@pytest.mark.parametrize(
    "boot",
    [
        replace(BOOT, gpu="h100"),
        replace(BOOT, version="0.32.0"),
        replace(BOOT, measured=Sizes(kv_cache_tokens=100)),
    ],
    ids=["another card", "another version", "a log without figures"],
)
def test_what_is_not_alike_corrects_nothing(boot):
    """Another card or version has other kernels."""
    assert learnt([boot]) is None


def test_a_history_that_cannot_be_read_corrects_nothing(tmp_path, caplog):
    """A plan is made all the same, and the log says why it is not corrected."""
    assert read(tmp_path) == []
    assert str(tmp_path) in caplog.text
