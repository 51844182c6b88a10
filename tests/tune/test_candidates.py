"""Which flags are tried for a load, and why others are not."""

from __future__ import annotations

import pytest

from workbench.tune.candidates import (
    Candidate,
    Facts,
    Load,
    Profile,
    candidates,
    together,
)

CARD = Facts(
    version=(0, 12, 0),
    max_model_len=8192,
    max_num_seqs=256,
    max_num_batched_tokens=2048,
    prefix_caching=True,
    chunked_prefill=True,
    eager=False,
)
LONG = Load(concurrency=8, input_len=4096, shares_prefix=False)


def names(*factors: str, facts: Facts = CARD, load: Load = LONG, **more: object) -> list[str]:
    profile = more.pop("profile", Profile())
    tried, _ = candidates(facts, load, profile, only=factors, **more)
    return [each.name for each in tried]


def reasons(*factors: str, facts: Facts = CARD, load: Load = LONG) -> dict[str, str]:
    _, skipped = candidates(facts, load, Profile(), only=factors)
    return {each.name: each.why for each in skipped}


def test_steps_are_tried_on_both_sides_of_what_runs():
    """Eight prompts of 4,096 tokens fill a step of any size up to 32,776."""
    assert names("batched-tokens") == [
        f"--max-num-batched-tokens {size}" for size in (4096, 8192, 1024, 512, 32768)
    ]


def test_a_step_that_everything_fits_into_is_not_tried_larger():
    """Two prompts of 100 tokens and a token each are 202: neither 1,024 nor 8,192 is reached."""
    load = Load(concurrency=2, input_len=100, shares_prefix=False)

    assert names("batched-tokens", load=load) == []
    why = reasons("batched-tokens", load=load)
    assert "202 tokens" in why["--max-num-batched-tokens 512, 1024, 4096, 8192"]


@pytest.mark.parametrize(
    ("facts", "refused"),
    [
        (Facts(max_num_seqs=1024, max_num_batched_tokens=2048), "512"),
        (
            Facts(max_model_len=2048, max_num_batched_tokens=2048, chunked_prefill=False),
            "512, 1024",
        ),
    ],
    ids=["below max-num-seqs", "below the context without chunked prefill"],
)
def test_what_vllm_refuses_is_not_started(facts: Facts, refused: str):
    """``SchedulerConfig.verify_max_model_len`` has both rules."""
    assert f"--max-num-batched-tokens {refused}" in reasons("batched-tokens", facts=facts)


def test_a_batch_is_as_large_as_what_is_under_way_or_half():
    """Graphs for larger batches would only take memory."""
    assert names("seqs") == ["--max-num-seqs 8", "--max-num-seqs 4"]


def test_a_batch_without_graphs_is_only_tried_smaller():
    """On a CPU nothing is captured: a limit that is not reached changes nothing."""
    facts = Facts(max_num_seqs=128, on_cpu=True, can_capture=False)

    assert names("seqs", facts=facts) == ["--max-num-seqs 4"]
    assert "no more than 8" in reasons("seqs", facts=facts)["--max-num-seqs 8"]


def test_a_batch_that_is_too_small_is_tried_larger():
    """Of nine requests five wait; the next power of two is 16."""
    load = Load(concurrency=9, input_len=10, shares_prefix=False)

    assert names("seqs", facts=Facts(max_num_seqs=4), load=load)[0] == "--max-num-seqs 16"


def test_a_prefix_cache_is_not_judged_by_prompts_that_share_nothing():
    """Random prompts would always say that it can go."""
    assert names("prefix-caching") == []
    assert "share nothing" in reasons("prefix-caching")["--enable-prefix-caching, yes or no"]


@pytest.mark.parametrize(
    ("is_on", "tried"),
    [(True, "--no-enable-prefix-caching"), (False, "--enable-prefix-caching")],
)
def test_a_prefix_cache_is_turned_the_other_way(is_on: bool, tried: str):
    """Where prompts begin alike."""
    load = Load(concurrency=8, input_len=100, shares_prefix=True)

    assert names("prefix-caching", facts=Facts(prefix_caching=is_on), load=load) == [tried]


def test_whole_prompts_need_steps_as_long_as_the_context():
    """vLLM refuses to start otherwise."""
    assert names("chunked-prefill") == ["--no-enable-chunked-prefill --max-num-batched-tokens 8192"]
    assert names("chunked-prefill", facts=Facts(chunked_prefill=False)) == [
        "--enable-chunked-prefill"
    ]


@pytest.mark.parametrize(
    ("version", "tried"),
    [
        ((0, 9, 2), []),
        ((0, 11, 1), ["--async-scheduling"]),
        ((0, 14, 0), []),
        ((0, 17, 0), ["--performance-mode interactivity"]),
        (None, []),
    ],
)
def test_a_version_that_does_not_know_a_flag_is_not_asked_for_it(
    version: tuple[int, ...] | None, tried: list[str]
):
    """Nor for what is its default; unknown is not tried."""
    assert names("async-scheduling", "performance-mode", facts=Facts(version=version)) == tried


def test_quantization_is_the_catalogues():
    """Only where the entry has one that does not run already."""
    profile = Profile(quantization="awq", kv_cache_dtype="fp8")

    assert names("quantization", profile=profile) == ["--quantization awq", "--kv-cache-dtype fp8"]
    assert names("quantization", facts=Facts(quantization="awq"), profile=profile) == [
        "--kv-cache-dtype fp8"
    ]
    assert names("quantization") == []


def test_graphs_are_tried_where_somebody_turned_them_off():
    """``--enforce-eager`` is dropped."""
    assert names("graphs", facts=Facts(eager=True)) == ["without --enforce-eager"]
    assert names("graphs", facts=Facts(eager=True, can_capture=False)) == []


def test_factors_take_turns_and_ones_own_flags_come_first():
    """So that a short budget has seen a little of everything."""
    tried = names("batched-tokens", "seqs", own=("--enable-expert-parallel",))

    assert tried[:4] == [
        "--enable-expert-parallel",
        "--max-num-batched-tokens 4096",
        "--max-num-seqs 8",
        "--max-num-batched-tokens 8192",
    ]


def test_winners_are_one_candidate_together():
    """With the flags of all."""
    both = together(
        [Candidate(factor="a", add=("--x", "1")), Candidate(factor="b", drop=("--enforce-eager",))]
    )

    assert (both.factor, both.add, both.drop) == ("a + b", ("--x", "1"), ("--enforce-eager",))
