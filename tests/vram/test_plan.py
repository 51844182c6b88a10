"""The plan: budget less weights less overhead, and what follows."""

from __future__ import annotations

import pytest

from workbench.errors import ConfigError, PlanError
from workbench.vram import (
    CARDS,
    WSL_7900XTX,
    Ask,
    Card,
    Confidence,
    Correction,
    Model,
    find_card,
    plan,
    read_shape,
)

GIB = 2**30
XTX = CARDS["7900xtx"]


def planned(config, *, card=XTX, correction=None, file_bytes=None, **ask):
    model = Model(name="m", shape=read_shape(config), file_bytes=file_bytes)
    return plan(model, card, Ask(**ask), correction)


def test_what_is_left_of_the_budget_is_the_kv_cache(llama):
    """24,560 MiB · 0.9, rounded up, less the parts."""
    answer = planned(llama(), gpu_memory_utilization=0.9, max_model_len=8192)

    assert answer.budget_bytes == 23_177_723_904  # ⌈25,753,026,560 · 0.9⌉
    assert (
        answer.kv_cache_bytes == answer.budget_bytes - answer.weights_bytes - answer.overhead_bytes
    )
    assert answer.fits


def test_the_models_own_context_is_asked_for_if_none_is(llama):
    """131,072 tokens of 128 KiB are 16 GiB, which no 24 GB card has beside 15 GiB of weights."""
    answer = planned(llama())

    assert answer.asked_model_len == 131_072
    assert not answer.fits
    assert "131,072" in answer.why_not
    assert answer.max_model_len % 16 == 0
    assert ("--max-model-len", str(answer.max_model_len)) == answer.flags[:2]


def test_the_longest_context_that_it_names_fits(llama):
    """Asked for it, the answer is yes; asked for one token more, no."""
    longest = planned(llama()).max_model_len

    assert planned(llama(), max_model_len=longest).fits
    assert not planned(llama(), max_model_len=longest + 1).fits


def test_weights_beyond_the_budget_leave_nothing(llama):
    """No negative cache: nothing is left, and it says so."""
    answer = planned(llama(), gpu_memory_utilization=0.5)

    assert (answer.kv_cache_bytes, answer.kv_cache_tokens, answer.max_model_len) == (0, 0, 0)
    assert "nothing is left" in answer.why_not


def test_a_share_that_wsl_does_not_leave_free_is_refused_with_one_that_passes(llama):
    """21,615 of 24,517 MiB are 0.8816: 0.88 passes, 0.90 does not."""
    answer = planned(llama(), card=WSL_7900XTX, gpu_memory_utilization=0.9, max_model_len=8192)

    assert not answer.fits
    assert "0.88 passes" in answer.why_not
    assert "0.88" in answer.flags
    assert planned(llama(), card=WSL_7900XTX, gpu_memory_utilization=0.88, max_model_len=8192).fits


@pytest.mark.parametrize(
    "ask",
    [
        {"gpu_memory_utilization": 1.5},
        {"gpu_memory_utilization": 0},
        {"max_model_len": 200_000},
        {"max_model_len": 0},
        {"max_num_batched_tokens": 0},
    ],
)
def test_what_vllm_refuses_is_refused(llama, ask):
    """With the flag's name and its range."""
    with pytest.raises(ConfigError) as caught:
        planned(llama(), **ask)

    assert caught.value.key in ask
    assert caught.value.hint


def test_a_larger_batch_leaves_less_cache(llama):
    """The profile run is made with it."""
    small = planned(llama(), max_num_batched_tokens=2048)
    large = planned(llama(), max_num_batched_tokens=16384)

    assert small.kv_cache_bytes > large.kv_cache_bytes
    assert small.weights_bytes == large.weights_bytes


def test_eager_mode_takes_less(llama):
    """No compiled code, and no graphs afterwards."""
    eager, compiled = planned(llama(), enforce_eager=True), planned(llama())

    assert eager.overhead_bytes < compiled.overhead_bytes
    assert (eager.graphs_bytes, compiled.graphs_bytes > 0) == (0, True)
    assert "--enforce-eager" in eager.flags


def test_newer_versions_take_the_graphs_from_the_budget(llama):
    """From 0.28 on they are estimated before the cache is made."""
    answer = planned(llama(), version=(0, 32))

    assert answer.graphs_bytes == 0
    assert answer.overhead["graphs"] == planned(llama()).graphs_bytes


def test_the_ceiling_is_bandwidth_over_what_is_read(llama):
    """
    960 GB/s over 7,504,924,672 parameters of two bytes: 64.0 tokens/s.

    With 8,192 tokens of context 1 GiB of cache is read as well: 59.7.
    """
    answer = planned(llama(), max_model_len=8192)

    assert answer.decode_ceiling_tps == pytest.approx(64.0, abs=0.05)
    assert answer.decode_ceiling_full_tps == pytest.approx(59.7, abs=0.05)


def test_a_card_without_a_name_has_no_ceiling(llama):
    """Its bandwidth is not known."""
    assert (
        planned(llama(), card=Card(name="24 GiB", total_bytes=24 * GIB)).decode_ceiling_tps is None
    )


def test_on_the_cpu_the_cache_is_given(llama):
    """1 GiB of 128 KiB a token: 8,192 tokens in blocks of 128; weights in host memory."""
    host = Card(name="CPU", total_bytes=64 * GIB, maker="cpu")
    answer = planned(llama(), card=host, cache_bytes=GIB, max_model_len=4096)

    assert (answer.kv_cache_tokens, answer.max_concurrency) == (8192, 2.0)
    assert (answer.overhead_bytes, answer.confidence) == (0, Confidence.EXACT)
    assert answer.flags[2:] == ("--kv-cache-memory-bytes", str(GIB))


def test_a_host_without_that_memory_is_refused(llama):
    """15 GiB of weights in a machine with 8."""
    host = Card(name="CPU", total_bytes=8 * GIB, maker="cpu")

    assert "this machine has 8.00 GiB" in planned(llama(), card=host, cache_bytes=GIB).why_not


def test_a_correction_moves_the_overhead(llama):
    """By what earlier boots needed more; this model's own weights go before the formula."""
    plain = planned(llama(), max_model_len=8192)
    learnt = planned(
        llama(), max_model_len=8192, correction=Correction(overhead_bytes=10**8, boots=3)
    )
    seen = planned(
        llama(),
        max_model_len=8192,
        correction=Correction(overhead_bytes=10**8, boots=3, weights_bytes=15 * GIB),
    )

    assert learnt.overhead_bytes - plain.overhead_bytes == 10**8
    assert learnt.formula_overhead_bytes == plain.overhead_bytes
    assert (plain.confidence, learnt.confidence, seen.confidence) == (
        Confidence.ESTIMATED,
        Confidence.CORRECTED,
        Confidence.MEASURED,
    )
    assert seen.weights_bytes == 15 * GIB
    assert any("3 earlier boots" in note for note in learnt.notes)


def test_files_that_hold_more_than_the_formula_are_believed(llama):
    """What the shape does not explain is counted as other weights."""
    known = planned(llama(), file_bytes=2 * 8_030_261_248 + 12345)

    assert known.weights["other weights"] == 12345


def test_weights_of_an_encoder_must_be_known(llama):
    """The text model's sizes say nothing of it."""
    nested = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "text_config": llama(),
        "vision_config": {},
    }

    with pytest.raises(PlanError) as caught:
        planned(nested)

    assert caught.value.missing == "weights_bytes"
    assert planned(nested, file_bytes=17 * 10**9, max_model_len=1024).notes


def test_a_plan_shows_itself_as_a_table(llama):
    """In a notebook: what each part takes, and the flags."""
    shown = planned(llama(), card=find_card("7900xtx-wsl"), max_model_len=8192)._repr_mimebundle_()

    assert "<table" in shown["text/html"]
    assert "--max-model-len 8192" in shown["text/plain"]


def test_fewer_tokens_than_requests_are_refused(llama):
    """As vLLM refuses it: max_num_batched_tokens below max_num_seqs (config/scheduler.py)."""
    model = Model(name="m", shape=read_shape(llama()))

    with pytest.raises(ConfigError) as caught:
        plan(model, CARDS["h200"], Ask(max_num_batched_tokens=64, max_num_seqs=256))

    assert caught.value.key == "max_num_batched_tokens"
