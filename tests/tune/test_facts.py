"""How a server runs, by its flags and its log."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.tune.candidates import Facts
from workbench.tune.facts import facts_from, said_in, version_of

BOOTS = Path(__file__).parents[1] / "data" / "boots"

CONFIG = (
    "INFO 11-25 06:05:35 [core.py:133] Initializing a V1 LLM engine (v0.14.0) with config: "
    "model='x', quantization=awq, enforce_eager=False, kv_cache_dtype=auto, "
    "enable_prefix_caching=True, enable_chunked_prefill=True"
)
STEP = "INFO [scheduler.py:228] Chunked prefill is enabled with max_num_batched_tokens=2048."


def test_a_log_says_how_the_engine_is_set_up():
    """vLLM's own lines; names that are not there are unknown."""
    assert said_in([CONFIG, STEP]) == {
        "quantization": "awq",
        "eager": "False",
        "kv_cache_dtype": "auto",
        "prefix_caching": "True",
        "chunked_prefill": "True",
        "max_num_batched_tokens": "2048",
    }


def test_a_flag_says_more_than_the_log():
    """And what neither says is unknown on a card."""
    facts = facts_from(
        ("--max-num-batched-tokens", "512", "--enforce-eager"),
        said_in([CONFIG, STEP]),
        version="0.14.0rc0",
        max_model_len=4096,
        on_cpu=False,
    )

    assert facts == Facts(
        version=(0, 14, 0),
        max_model_len=4096,
        max_num_batched_tokens=512,
        prefix_caching=True,
        chunked_prefill=True,
        eager=True,
        quantization="awq",
        kv_cache_dtype="auto",
    )


def test_a_cpu_has_defaults_that_no_log_has():
    """128 requests, 2,048 tokens: vLLM 0.32's for its API server."""
    facts = facts_from((), {}, version="0.32.0", max_model_len=2048, on_cpu=True)

    assert (facts.max_num_seqs, facts.max_num_batched_tokens) == (128, 2048)
    assert not facts.can_capture


@pytest.mark.parametrize("name", ["healthy.log", "healthy-gpu-0.9.2.log", "healthy-gpu-0.33.log"])
def test_a_log_of_any_version_is_no_trouble(name: str):
    """What it does not say is left out."""
    said = said_in((BOOTS / name).read_text().splitlines())

    assert set(said) <= {*Facts.__dataclass_fields__}


def test_a_version_is_its_numbers():
    """Whatever follows them."""
    assert version_of("v0.9.2+rocm") == (0, 9, 2)
    assert version_of("unknown") is None
    assert version_of(None) is None
