"""``config.json`` becomes sizes, and what is missing is named."""

from __future__ import annotations

import pytest

from workbench.errors import PlanError
from workbench.vram import read_shape

QWEN_WINDOW = {
    "architectures": ["Qwen2ForCausalLM"],
    "sliding_window": 4096,
    "use_sliding_window": True,
}


@pytest.mark.parametrize(
    ("changes", "width"),
    [
        ({"num_key_value_heads": 8}, 2048),  # GQA: 2 · 8 · 128
        ({"num_key_value_heads": 1}, 256),  # MQA: 2 · 1 · 128
        ({"num_key_value_heads": None}, 8192),  # MHA: 2 · 32 · 128
        ({"head_dim": 64}, 1024),  # 2 · 8 · 64, whatever hidden / heads is
        ({"kv_lora_rank": 512, "qk_rope_head_dim": 64}, 576),  # MLA: one latent vector
    ],
    ids=["gqa", "mqa", "mha", "own head size", "mla"],
)
def test_a_token_leaves_keys_and_values_in_each_layer(llama, changes, width):
    """Two vectors for each key-value head, or the latent one with its rotary part."""
    assert read_shape(llama(**changes)).kv_width == width


@pytest.mark.parametrize(
    ("changes", "windows"),
    [
        ({}, [None] * 6),
        ({"sliding_window": 4096}, [4096] * 6),
        ({"sliding_window": 4096, "use_sliding_window": False}, [None] * 6),
        (
            {"sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] * 3},
            [128, None] * 3,
        ),
        ({"architectures": ["Qwen2ForCausalLM"], "sliding_window": 4096}, [None] * 6),
        (QWEN_WINDOW | {"max_window_layers": 6}, [None] * 6),
        (QWEN_WINDOW | {"max_window_layers": 4}, [None] * 4 + [4096] * 2),
        ({"architectures": ["Gemma2ForCausalLM"], "sliding_window": 4096}, [4096, None] * 3),
        ({"architectures": ["Gemma3ForCausalLM"], "sliding_window": 512}, [512] * 5 + [None]),
    ],
    ids=[
        "none",
        "all layers",
        "switched off",
        "by layer",
        "qwen, not asked for",
        "qwen, from beyond the last layer",
        "qwen, from layer 4",
        "gemma 2",
        "gemma 3",
    ],
)
def test_which_layers_have_a_window(llama, changes, windows):
    """As the config lists them, or as the architecture has them where it does not."""
    shape = read_shape(llama(num_hidden_layers=6, **changes))

    assert list(shape.windows) == windows


@pytest.mark.parametrize(
    ("rope", "longest"),
    [
        (None, 131072),
        ({"rope_type": "llama3", "factor": 8.0}, 131072),
        ({"rope_type": "linear", "factor": 2.0}, 262144),
        ({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}, 131072),
    ],
)
def test_the_longest_context_is_the_one_vllm_derives(llama, rope, longest):
    """Llama 3's scaling is in the length already, others multiply it."""
    assert read_shape(llama(rope_scaling=rope)).max_position == longest


def test_a_nested_text_model_is_read(llama):
    """Models that see pictures keep the decoder's sizes one level down."""
    nested = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "text_config": llama(),
        "vision_config": {},
    }

    shape = read_shape(nested)

    assert (shape.hidden, shape.has_encoder) == (4096, True)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"hidden_size": None}, "hidden_size"),
        ({"vocab_size": "many"}, "vocab_size"),
        ({"architectures": ["MambaForCausalLM"]}, "the architecture's layers"),
        ({"architectures": None}, "the architecture's layers"),
        ({"num_local_experts": 8}, "num_experts_per_tok"),
        ({"n_routed_experts": 64}, "what shared experts, and layers without any, take"),
        ({"kv_lora_rank": 512}, "qk_rope_head_dim"),
        (
            {"layer_types": ["linear_attention"]},
            "what a layer of kind linear_attention keeps for each request",
        ),
        ({"quantization_config": {"quant_method": "exl3"}}, "bytes of a exl3 weight"),
        (
            {"quantization_config": {"quant_method": "compressed-tensors"}},
            "config_groups.*.weights.num_bits",
        ),
    ],
)
def test_a_missing_fact_is_named(llama, changes, missing):
    """No guess: the error carries what it would need to know."""
    with pytest.raises(PlanError) as caught:
        read_shape(llama(**changes))

    assert caught.value.missing == missing
    assert caught.value.hint


def test_a_mixtures_inner_width_may_have_a_name_of_its_own(llama):
    """Qwen3's is moe_intermediate_size; OLMoE's and Mixtral's is the usual one."""
    mixture = {"num_experts": 64, "num_experts_per_tok": 8}

    assert read_shape(llama(**mixture)).experts.intermediate == 14336
    assert read_shape(llama(**mixture, moe_intermediate_size=768)).experts.intermediate == 768


def test_float32_weights_are_served_in_16_bits(llama):
    """As ``--dtype auto`` does."""
    assert read_shape(llama(torch_dtype="float32")).dtype_bytes == 2


JUNK = (
    -1,
    3.5,
    True,
    float("nan"),
    float("inf"),
    10**30,
    "abc",
    "4096",
    [1],
    [[]],
    [None],
    {"a": 1},
)

EXPECTED_KIND = {
    "architectures": list,
    "text_config": dict,
    "hidden_size": int,
    "num_hidden_layers": int,
    "num_attention_heads": int,
    "num_key_value_heads": int,
    "head_dim": int,
    "vocab_size": int,
    "sliding_window": int,
    "layer_types": list,
    "rope_scaling": dict,
    "quantization_config": dict,
    "max_position_embeddings": int,
}


@pytest.mark.parametrize("name", EXPECTED_KIND)
def test_what_is_no_value_of_a_field_is_named(llama, name):
    """Anybody may have written the file: a wrong kind is a plan's error, never a wrong plan."""
    for value in (junk for junk in JUNK if not isinstance(junk, EXPECTED_KIND[name])):
        with pytest.raises(PlanError) as caught:
            read_shape(llama(**{name: value}))

        assert name in caught.value.message


@pytest.mark.parametrize(
    "rope",
    [
        {"type": "linear", "factor": "abc"},
        {"type": "linear", "factor": float("nan")},
        {"type": "linear", "factor": -1},
        {"type": "yarn", "factor": 4, "original_max_position_embeddings": [1]},
    ],
)
def test_a_factor_that_is_none_is_named(llama, rope):
    """The context would otherwise be negative, or the reader's to find in a traceback."""
    with pytest.raises(PlanError):
        read_shape(llama(rope_scaling=rope))


def test_a_layer_without_a_kind_is_an_error(llama):
    """The cache of a layer that is listed nowhere has no size."""
    with pytest.raises(PlanError) as caught:
        read_shape(llama(sliding_window=128, layer_types=["full_attention"] * 3))

    assert caught.value.missing == "layer_types"


def test_more_heads_than_elements_is_an_error(llama):
    """A head of no width would leave a cache of no bytes."""
    with pytest.raises(PlanError):
        read_shape(llama(hidden_size=16))


def test_a_scheme_under_its_older_name_is_found(llama):
    """vLLM looks for ``compression_config`` too (model_arch_config_convertor.py)."""
    scheme = {
        "quant_method": "compressed-tensors",
        "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 128}}},
    }
    quantization = read_shape(llama(compression_config=scheme)).quantization

    assert quantization is not None
    assert (quantization.bits, quantization.group) == (4, 128)


@pytest.mark.parametrize("odd", [{"mlp_only_layers": [0]}, {"decoder_sparse_step": 2}])
def test_a_mixture_with_layers_that_are_none_is_an_error(llama, odd):
    """Every second layer without experts is half of the weights."""
    experts = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 768}

    assert read_shape(llama(decoder_sparse_step=1, **experts)).experts is not None
    with pytest.raises(PlanError):
        read_shape(llama(**experts, **odd))


def test_no_encoder_is_none_however_it_is_written(llama):
    """``null`` is no encoder, and the weights follow from the configuration."""
    assert not read_shape(llama(vision_config=None)).has_encoder
