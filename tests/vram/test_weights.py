"""What weights take, by part and by scheme."""

from __future__ import annotations

import pytest

from workbench.vram import CARDS, read_shape
from workbench.vram.quantization import read_quantization
from workbench.vram.weights import allocated, by_part, in_file_bytes, read_per_token_bytes

MIB = 2**20
H200 = CARDS["h200"]


def test_the_parameters_of_llama_are_counted(llama):
    """8,030,261,248 parameters of two bytes, as the hub says of Llama-3.1-8B."""
    assert in_file_bytes(read_shape(llama())) == 2 * 8_030_261_248


def test_tied_embeddings_are_there_once(llama):
    """Without an output head of its own: 128,256 · 4096 parameters less."""
    tied = read_shape(llama(tie_word_embeddings=True))

    assert in_file_bytes(tied) == 2 * (8_030_261_248 - 128_256 * 4096)


def test_the_card_holds_a_rotary_table_too(llama):
    """131,072 positions of 128 elements in bfloat16: 32 MiB."""
    assert by_part(read_shape(llama()), H200)["rotary tables"] == 32 * MIB


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        (100, 512),
        (9 * MIB, 9 * MIB),
        (10 * MIB + 512, 10 * MIB + 512),  # 2 MiB less 512 B are left: split off
        (11 * MIB, 12 * MIB),  # 1 MiB is left: too little to split
        (int(24.5 * MIB), 26 * MIB),  # from 20 MiB on never split
        (48 * MIB, 48 * MIB),
    ],
)
def test_the_allocator_rounds_up(asked, taken):
    """To 512 bytes, and large blocks to 2 MiB unless the rest is worth splitting off."""
    assert allocated(asked) == taken


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        # 4096 · 1024 weights of 4 bits; 32 groups a row, each 2 bytes of scale and 4 bits of zero
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 2 * MIB + 32 * 1024 * 2.5),
        (
            {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": False},
            2 * MIB + 32 * 1024 * 2,
        ),
        (
            {"quant_method": "gptq", "bits": 8, "group_size": 64, "sym": False},
            4 * MIB + 64 * 1024 * 3,
        ),
        ({"quant_method": "gptq", "bits": 4, "group_size": -1}, 2 * MIB + 1024 * 2),
        # a float32 for each 128 · 128
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 4 * MIB + 32 * 8 * 4),
        # 32 weights of 4 bits share a byte
        ({"quant_method": "mxfp4"}, 2 * MIB + 4096 * 1024 / 32),
        # 64 weights of 4 bits share a float32
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 2 * MIB + 4096 * 1024 / 64 * 4),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 4 * MIB + 1024 * 4),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {"weights": {"num_bits": 4, "group_size": 128, "symmetric": True}}
                },
            },
            2 * MIB + 32 * 1024 * 2,
        ),
    ],
    ids=[
        *("awq", "awq symmetric", "gptq 8 bit", "gptq by row", "fp8 blocks", "mxfp4"),
        *("bnb 4 bit", "bnb 8 bit", "compressed-tensors"),
    ],
)
def test_a_quantized_matrix_has_scales_beside_it(config, expected):
    """1024 outputs of 4096 inputs, by each scheme's own definition."""
    assert read_quantization(config).matrix_bytes(1024, 4096) == expected


@pytest.mark.parametrize(
    "skipped",
    ["model.layers.0.self_attn", "self_attn.q_proj", "layers.*.self_attn", r"re:.*self_attn.*"],
)
def test_what_is_excluded_is_not_quantized(skipped):
    """By a part of the name or by a pattern."""
    scheme = read_quantization({"quant_method": "awq", "modules_to_not_convert": [skipped]})

    assert scheme.skips("model.layers.0.self_attn.q_proj")
    assert not scheme.skips("model.layers.0.mlp.down_proj")


def test_embeddings_and_head_stay_as_they_are(llama):
    """AWQ of Llama-3.1-8B: 2 · 1002 MiB of 16-bit tables beside 4-bit layers."""
    config = llama(quantization_config={"quant_method": "awq", "bits": 4, "group_size": 128})
    parts = by_part(read_shape(config), CARDS["7900xtx"])

    assert parts["embeddings"] == parts["output head"] == 1002 * MIB
    # 218,103,808 weights a layer, half a byte each
    assert parts["MLP"] + parts["attention"] == 32 * 218_103_808 // 2


def test_a_token_reads_the_experts_that_work_on_it(llama):
    """Of 8 experts 2: a quarter of 8 · 3 · 4096 · 14336 weights in each of 32 layers."""
    mixture = read_shape(llama(num_local_experts=8, num_experts_per_tok=2))
    experts = 32 * 8 * 3 * 4096 * 14336 * 2

    assert by_part(mixture, H200)["experts"] == experts
    assert read_per_token_bytes(mixture, H200) == pytest.approx(
        sum(by_part(mixture, H200).values()) - experts * 6 / 8 - 1002 * MIB - 32 * MIB
    )


def test_a_token_reads_all_but_the_embedding_table(llama):
    """Untied, one row of it is read; tied, it is the output head as well."""
    apart, tied = read_shape(llama()), read_shape(llama(tie_word_embeddings=True))

    assert read_per_token_bytes(apart, H200) == read_per_token_bytes(tied, H200)
