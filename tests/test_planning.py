"""The card of this machine, and boots that correct the next plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench import planning, predictions
from workbench.boot import BootOutcome
from workbench.bootlog import BootReader, Figures
from workbench.errors import ConfigError
from workbench.planning import Planner, card_here, cpu, learn, planned
from workbench.records import ContainerStatus, GpuStatus, ServerState, ServerStatus
from workbench.settings import load
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


def test_a_processors_own_graphics_are_not_the_card():
    """A desktop with a Ryzen lists them first: 512 MiB, on which nothing would fit."""
    own = GpuStatus(name="AMD card0", memory_used_bytes=0, memory_total_bytes=GIB // 2)
    card = GpuStatus(name="AMD card1", memory_used_bytes=0, memory_total_bytes=24 * GIB)

    assert card_here([own, card]).total_bytes == 24 * GIB


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


def test_a_plan_is_corrected_without_naming_a_version(project: Path, planner: Planner):
    """It is for the vLLM that ran on this card last, which is the one that will run again."""
    planner.remember(LLAMA, H200, ASK, SAID, version="0.25.1")
    settings = load(environ={}, cwd=project)

    answer = planned(
        settings,
        LLAMA,
        gpu="h200",
        gpu_memory_utilization=0.1543,
        max_model_len=8192,
        enforce_eager=True,
    )

    assert answer.confidence is Confidence.MEASURED
    assert planned(settings, LLAMA, gpu="h100").confidence is Confidence.CALIBRATED


def test_what_a_boot_teaches_is_for_what_it_was_started_with(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    A share and a batch that the catalogue has are in the prediction too.

    Otherwise the difference between two budgets would correct every later plan.
    """
    (project / "models" / "catalogue.toml").write_text(
        f"""[mine]
        model = "{LLAMA}"
        why = "a test"
        gpu_memory_utilization = 0.6
        kv_cache_dtype = "fp8"
        extra_args = ["--max-num-seqs", "8"]
        """
    )
    gpu = GpuStatus(name="NVIDIA H200", memory_used_bytes=0, memory_total_bytes=100 * GIB)
    monkeypatch.setattr(planning, "gpus", lambda: [gpu])
    status = ServerStatus(
        backend="compose",
        state=ServerState.READY,
        base_url="http://127.0.0.1:8000/v1",
        version="0.25.1",
        container=ContainerStatus(name="c", profile="cuda", image="i", image_digest="sha256:0"),
    )
    settings = load(environ={}, cwd=project, backend="compose", model="mine")

    learn(settings, BootOutcome(status=status, started=True, figures=SAID))

    (kept,) = predictions.read(project / ".workbench" / "predictions.jsonl")
    assert kept.flags[2:] == (
        *("--gpu-memory-utilization", "0.6", "--max-num-seqs", "8"),
        *("--kv-cache-dtype", "fp8", "--enforce-eager"),
    )
    assert kept.measured.overhead_bytes == pytest.approx((60 - 15 - 5.41) * GIB, abs=2)


@pytest.mark.parametrize(
    ("typed", "meant"), [("qwen3-8", "qwen3-8b"), ("Qwen3-8B-AQW", "Qwen/Qwen3-8B-AWQ")]
)
def test_a_name_that_is_nearly_right_is_guessed(project: Path, typed: str, meant: str):
    """Of the catalogue, or a hub's name of a model that is well known."""
    with pytest.raises(ConfigError) as caught:
        planned(load(environ={}, cwd=project), typed, gpu="h200")

    assert f"Did you mean {meant}?" in caught.value.hint


@pytest.mark.parametrize(
    "flag", ["gpu_memory_utilization", "max_model_len", "max_num_batched_tokens", "max_num_seqs"]
)
def test_a_zero_is_refused_and_not_passed_over(project: Path, flag: str):
    """Nobody who writes 0 means the default."""
    with pytest.raises(ConfigError) as caught:
        planned(load(environ={}, cwd=project), "pocket", **{flag: 0})

    assert caught.value.key == flag


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
