"""The card of this machine, and boots that correct the next plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench import planning, predictions
from workbench.bootlog import BootReader, Figures
from workbench.planning import Planner, card_here, cpu
from workbench.records import GpuStatus
from workbench.vram import CARDS, Ask, Confidence

GIB = 2**30
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
H200 = CARDS["h200"]
ASK = Ask(gpu_memory_utilization=0.1543, max_model_len=8192, enforce_eager=True)

# What vLLM 0.25.1 said of it on an H200, with another 64 MiB taken by something.
SAID = Figures(model_load_gib=15.0, kv_cache_gib=5.41, kv_cache_tokens=44272, max_model_len=8192)


@pytest.fixture
def planner(project: Path) -> Planner:
    """A planner for an empty project."""
    return Planner(
        models_dir=project / "models",
        history=project / ".workbench" / "predictions.jsonl",
        kv_cache_bytes=GIB // 4,
    )


def test_a_gpu_that_can_be_asked_is_this_machines_card():
    """The first one, with the memory that it says it has."""
    card = card_here([GpuStatus(name="NVIDIA H200", memory_used_bytes=0, memory_total_bytes=GIB)])

    assert (card.name, card.total_bytes) == ("h200", GIB)


def test_an_older_sampler_leaves_less(planner: Planner):
    """Before 0.24 it sorted the logits of 256 requests: 30 bytes each in place of 6."""
    card, ask = CARDS["7900xtx"], Ask(max_model_len=8192, enforce_eager=True)

    older = planner.plan(LLAMA, card, ask, version="0.9.2.dev1+rocm")

    assert older.kv_cache_bytes < planner.plan(LLAMA, card, ask).kv_cache_bytes - GIB // 2


def test_without_a_gpu_it_is_the_cpu(planner: Planner):
    """The cache is what the CPU engine is given, the memory the host's."""
    answer = planner.plan("pocket", cpu(), Ask())

    assert (answer.gpu, answer.kv_cache_bytes) == ("CPU", GIB // 4)
    assert answer.confidence is Confidence.EXACT


def test_a_device_of_windows_is_taken_for_a_7900_xtx(monkeypatch):
    """``/dev/dxg`` without a GPU that can be asked, and the plan says so."""
    monkeypatch.setattr(planning.Path, "exists", lambda path: str(path) == "/dev/dxg")

    card = card_here([])

    assert (card.name, card.assumed) == ("7900xtx-wsl", True)


def test_a_boot_corrects_the_next_plan(planner: Planner):
    """After it the prediction for the same start is what the log said."""
    planner.remember(LLAMA, H200, ASK, SAID, version="0.25.1")

    answer = planner.plan(LLAMA, H200, ASK, version="0.25.1")

    assert answer.confidence is Confidence.MEASURED
    assert answer.kv_cache_bytes == pytest.approx(5.41 * GIB, abs=1)
    assert planner.plan(LLAMA, H200, ASK).confidence is Confidence.CALIBRATED


def test_the_correction_is_not_learnt_twice(planner: Planner):
    """A second boot that says the same leaves the plan as it is."""
    planner.remember(LLAMA, H200, ASK, SAID, version="0.25.1")
    once = planner.plan(LLAMA, H200, ASK, version="0.25.1")
    planner.remember(LLAMA, H200, ASK, SAID, version="0.25.1")

    assert planner.plan(LLAMA, H200, ASK, version="0.25.1").kv_cache_bytes == once.kv_cache_bytes


def test_a_boot_that_cannot_be_planned_is_kept_all_the_same(planner: Planner, caplog):
    """The log's figures are facts, whether or not the model is known."""
    planner.remember("nobody/nothing", H200, ASK, SAID, version="0.25.1")

    (kept,) = predictions.read(planner.history)
    assert (kept.predicted, kept.measured.kv_cache_tokens) == (None, 44272)
    assert "nobody/nothing" in caplog.text


def test_the_log_of_a_real_boot_is_compared(planner: Planner, project: Path):
    """
    The recorded boot of a pocket model on the CPU: the tokens are the same.

    3,072 bytes a token then (6 layers of 2 · 2 heads · 64), 1 GiB: 349,440 tokens.
    """
    reader = BootReader()
    for line in Path("tests/data/boots/healthy.log").read_text().splitlines():
        reader.feed(line, at_s=0.0)
    config = json.loads((project / "models" / "pocket" / "config.json").read_text())
    (project / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 6}))
    boot = Planner(models_dir=planner.models_dir, history=planner.history, kv_cache_bytes=GIB)

    boot.remember("config.json", cpu(), Ask(), reader.figures(), version="0.32.0")

    (kept,) = predictions.read(boot.history)
    assert kept.error_percent == 0
