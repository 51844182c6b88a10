"""``workbench plan``: the answer, its exit status, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.test_shell import workbench

pytestmark = pytest.mark.processes

FIELDS = {
    *("fits", "weights_bytes", "overhead_bytes", "kv_bytes_per_token", "kv_cache_bytes"),
    *("kv_cache_tokens", "max_model_len", "max_concurrency", "flags", "confidence"),
}


def test_a_model_that_fits_is_status_0(project: Path):
    """With every field, and no word beside the JSON."""
    done = workbench(
        *("plan", "Qwen/Qwen3-8B-AWQ", "--gpu", "rx 7900 xtx", "--max-model-len", "32768"),
        "--json",
        home=project,
    )

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer.keys() >= FIELDS
    assert answer["fits"]


def test_the_guides_own_command_is_status_1(project: Path):
    """Llama-3.1-8B with its own 131,072 tokens: vLLM was seen to refuse it in 21.57 GiB."""
    done = workbench(
        *("plan", "meta-llama/Llama-3.1-8B-Instruct", "--vram", "139.8", "--enforce-eager"),
        *("--gpu-memory-utilization", "0.1543", "--json"),
        home=project,
    )

    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert not answer["fits"]
    assert answer["max_model_len"] == pytest.approx(44784, rel=0.03)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["pocket", "--vram", "0"], 2, "--vram 24"),
        (["pocket", "--gpu", "7900xtxx"], 2, "Did you mean 7900xtx?"),
        (["pocket", "--gpu", "h100", "--vram", "24"], 2, "give one"),
        (["pocket", "--gpu", "h100", "--gpu-memory-utilization", "1.5"], 2, "at most 1"),
        (["pocket", "--gpu", "h100", "--max-model-len", "4096"], 2, "2,048"),
        (["pocket", "--gpu", "h100", "--kv-cache-dtype", "int2"], 4, "Known are auto"),
        (["nothing"], 2, "nothing"),
        (["pocket", "--gpu", "h100", "--vllm-version", "new"], 2, "0.25.1"),
        (["models/m"], 4, "MambaForCausalLM"),
    ],
)
def test_bad_input_says_what_to_do(project: Path, arguments, status, said):
    """2 for what was typed, 4 where a fact is missing; a sentence, and no traceback."""
    (project / "models" / "m").mkdir()
    (project / "models" / "m" / "config.json").write_text('{"architectures": ["MambaForCausalLM"]}')

    done = workbench("plan", *arguments, home=project)

    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_history_of_nothing_is_no_failure(project: Path):
    """An empty table says what fills it."""
    done = workbench("plan", "--history", home=project)

    assert done.returncode == 0
    assert "workbench up" in done.stdout


def test_the_magic_returns_a_table_with_a_picture(ip):
    """The same verb in a notebook."""
    ip.run_line_magic("load_ext", "workbench")
    view = ip.run_line_magic("wb", "plan Qwen/Qwen3-8B-AWQ --gpu 7900xtx --max-model-len 8192")

    assert view.plan.fits
    assert "<table" in view.html()
    assert view.picture().axes
