"""What memory lets a model decode."""

from __future__ import annotations

import pytest

from workbench.bench.roofline import Roofline, roofline
from workbench.model_facts import known_models
from workbench.vram import Card, find_card, read_shape

LLAMA = read_shape(known_models()["meta-llama/llama-3.1-8b-instruct"].config)
XTX = find_card("RX 7900 XTX")


def bound(**changes: float) -> Roofline:
    values = {"batch": 1, "context_tokens": 0, "tpot_s": 0.02} | changes
    found = roofline(LLAMA, XTX, **values)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_llama_8b_in_16_bits_decodes_64_tokens_a_second_on_a_7900_xtx_at_most():
    """
    8.03e9 parameters less an embedding table of 128,256 × 4,096 are 7.505e9, times 2 bytes
    15.01 GB; 960 GB/s / 15.01 GB = 63.96 a second. (With the table, 60: the facts' figure.)
    """
    found = bound()

    assert found.weights_bytes == pytest.approx(15.01e9, rel=0.001)
    assert found.ceiling_tps == pytest.approx(63.96, rel=0.001)


def test_the_share_is_tokens_while_decoding_of_the_bound():
    """20 ms a token are 50 a second: 78 % of 63.96."""
    assert bound(tpot_s=0.02).share == pytest.approx(0.7817, rel=0.001)


def test_a_batch_reads_the_weights_once_and_each_cache():
    """
    A token of Llama 8B is 2 × 8 heads × 128 × 2 bytes × 32 layers = 131,072 bytes in the cache.

    32 requests of 1,000 tokens: 4.194 GB beside 15.01 GB; 32 × 960 / 19.20 = 1,600 a second.
    """
    found = bound(batch=32, context_tokens=1000)

    assert found.step_bytes == pytest.approx(15.01e9 + 32 * 1000 * 131072, rel=0.001)
    assert found.ceiling_tps == pytest.approx(1600, rel=0.001)


def test_a_result_above_the_bound_is_called_wrong():
    """10 ms a token would be 100 of 64 tokens a second; a hundredth above it is rounding."""
    assert bound(tpot_s=0.01).is_impossible
    assert "something else" in (bound(tpot_s=0.01).warning or "")
    assert not bound(tpot_s=1 / 64.6).is_impossible
    assert bound(tpot_s=0.02).warning is None


def test_a_card_of_unknown_bandwidth_has_no_bound():
    """A CPU's, or that of a card which is not in the table: unknown, and no guess."""
    cpu = Card(name="cpu", total_bytes=2**34, maker="cpu")

    assert roofline(LLAMA, cpu, batch=1, context_tokens=0, tpot_s=0.02) is None


def test_what_was_measured_on_an_h200_is_below_its_bound():
    """
    201 tokens/s alone, with 512 in and 128 out (vLLM 0.25.1, dummy weights): of
    4,800 / (15.01 + 576 × 131,072 bytes) = 318 a second it is 63 %.
    """
    found = roofline(LLAMA, find_card("h200"), batch=1, context_tokens=576, tpot_s=1 / 201)

    assert found is not None
    assert found.ceiling_tps == pytest.approx(318, rel=0.005)
    assert found.share == pytest.approx(0.632, rel=0.01)
