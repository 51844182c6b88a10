"""What the profile run takes, term by term; the sums were seen in vLLM's own counters."""

from __future__ import annotations

import pytest

from workbench.vram import CARDS, read_shape
from workbench.vram.overhead import Batch, terms

MIB = 2**20
H200 = CARDS["h200"]

QWEN3_8B = {
    "architectures": ["Qwen3ForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
}


def eager(config, *, tokens, requests, card=H200, **how):
    batch = Batch(tokens=tokens, requests=requests, compiled=False, **how)
    return terms(read_shape(config), batch, card)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [(2048, 248), (4096, 464), (8192, 896), (16384, 1760)],
)
def test_activations_grow_with_the_batch(llama, tokens, expected):
    """tokens · 2 B · (3 · 4096 + 3 · 14336), and 32 MiB of workspace: as vLLM measured them."""
    found = eager(llama(), tokens=tokens, requests=16)

    assert found["activations"] == expected * MIB


def test_logits_of_a_large_vocabulary_are_more_than_a_layer():
    """
    256 requests · 151,936 · (2 + 4) B, and 2,304 hidden states of 8 KiB: 240.6 MiB.

    With the workspace 272.6; vLLM measured 273.0, and 240 for the layer.
    """
    found = eager(QWEN3_8B, tokens=2048, requests=256)

    assert "activations" not in found
    assert found["logits"] / MIB == pytest.approx(272.6, abs=0.05)


def test_an_mlp_that_holds_its_widest_tensor_takes_one_more(llama):
    """Qwen2's: 4 · 3584 + 3 · 18944 for each token; vLLM measured 311 MiB with 2,048."""
    qwen = llama(
        architectures=["Qwen2ForCausalLM"],
        hidden_size=3584,
        intermediate_size=18944,
        num_attention_heads=28,
        num_key_value_heads=4,
        vocab_size=152064,
    )

    assert eager(qwen, tokens=2048, requests=256)["activations"] == 310 * MIB


def test_quantized_layers_need_no_workspace_of_cublas(llama):
    """It comes later, with the output head; here the layer is still the larger: 864 MiB."""
    awq = llama(quantization_config={"quant_method": "awq", "bits": 4, "group_size": 128})

    assert eager(awq, tokens=8192, requests=1024)["activations"] == 864 * MIB


@pytest.mark.parametrize(
    ("tokens", "requests", "expected"), [(2048, 256, 1034), (8192, 1024, 1130)]
)
def test_compiling_takes_a_second_embedding_table(llama, tokens, requests, expected):
    """1,002 MiB, and two embedded batches of 8 KiB a token: vLLM measured 1,034 and 1,130."""
    found = terms(read_shape(llama()), Batch(tokens=tokens, requests=requests), H200)

    assert found["compiling"] == expected * MIB


def test_a_sampler_that_sorts_takes_24_bytes_more(llama):
    """Values and places, twice, for each logit of each request."""
    lean = eager(llama(), tokens=2048, requests=256)["activations"]
    sorting = eager(llama(), tokens=2048, requests=256, sorts_logits=True)["logits"]

    hidden = (2048 + 256) * 4096 * 2
    assert lean == 248 * MIB
    assert sorting == hidden + 256 * 128_256 * 30 + 32 * MIB
