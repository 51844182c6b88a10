"""Flags of a command line, and the same with some of them changed."""

from __future__ import annotations

import pytest

from workbench.tune.flags import changed, name_of, of_recipe, value_of, with_flags


@pytest.mark.parametrize(
    "word",
    [
        "--enable-prefix-caching",
        "--no-enable-prefix-caching",
        "--enable_prefix_caching",
        "--enable-prefix-caching=true",
    ],
)
def test_yes_and_no_are_one_flag(word: str):
    """However it is written, it sets the same."""
    assert name_of(word) == "--enable-prefix-caching"


def test_a_flag_takes_the_place_of_what_sets_the_same():
    """With its value, and both ways of writing it; all else stays in its order."""
    words = ("--dtype", "float16", "--max-num-seqs=8", "--enforce-eager", "--max_num_seqs", "4")

    assert changed(words, ("--max-num-seqs", "2")) == (
        *("--dtype", "float16", "--enforce-eager"),
        *("--max-num-seqs", "2"),
    )
    assert changed(words, (), ("--enforce-eager",)) == (
        *("--dtype", "float16", "--max-num-seqs=8", "--max_num_seqs", "4"),
    )


def test_the_last_of_two_counts():
    """As argparse has it; a flag that stands alone has no value, and one that is not there none."""
    words = ("--max-num-seqs", "8", "--max-num-seqs=4", "--enforce-eager")

    assert value_of(words, "--max-num-seqs") == "4"
    assert value_of(words, "--enforce-eager") == ""
    assert value_of(words, "--dtype") is None


def test_an_embedded_recipe_keeps_all_else():
    """Only its further flags are others."""
    before = {"model_path": "/models/pocket", "further_flags": ["--max-num-seqs", "8"]}

    after = with_flags(before, ("--no-enable-chunked-prefill",))

    assert after == before | {
        "further_flags": ["--max-num-seqs", "8", "--no-enable-chunked-prefill"]
    }


def test_a_container_gets_a_variable_where_the_file_has_one():
    """Others go among the extra arguments, with what was there."""
    before = {
        "profile": "rocm",
        "variables": {
            "WORKBENCH_KV_CACHE_DTYPE": "auto",
            "WORKBENCH_EXTRA_ARGS": "--enforce-eager --generation-config '{\"a\": 1}'",
        },
        "asks_for_key": True,
    }

    after = with_flags(
        before, ("--kv-cache-dtype", "fp8", "--max-num-seqs", "4"), ("--enforce-eager",)
    )

    assert after["variables"] == {
        "WORKBENCH_KV_CACHE_DTYPE": "fp8",
        "WORKBENCH_EXTRA_ARGS": "--generation-config '{\"a\": 1}' --max-num-seqs 4",
    }
    assert of_recipe(before)[:2] == ("--kv-cache-dtype", "auto")


def test_a_variable_that_is_dropped_is_none():
    """What a flag of the file's own set is left to vLLM."""
    before = {"variables": {"WORKBENCH_QUANTIZATION": "awq"}}

    assert with_flags(before, (), ("--quantization",))["variables"] == {"WORKBENCH_EXTRA_ARGS": ""}
