"""``quantization_config`` as people write it: each variant, and what is none."""

from __future__ import annotations

import pytest

from workbench.errors import PlanError
from workbench.vram.quantization import read_quantization


@pytest.mark.parametrize("blocks", [[["q_proj"], ["k_proj"]], ["q_proj", "k_proj"]])
def test_gptq_names_what_it_quantizes_in_blocks_or_not(blocks):
    """One list is names, and not letters of which nearly every layer's name has one."""
    found = read_quantization({"quant_method": "gptq", "modules_in_block_to_quantize": blocks})

    assert found is not None
    assert found.only == ("q_proj", "k_proj")
    assert found.skips("model.layers.0.mlp.down_proj")


def test_the_methods_case_does_not_matter():
    """``AWQ`` has zero points as ``awq`` has: 4 bits a group of 128 beside the scale."""
    found = read_quantization({"quant_method": "AWQ", "bits": 4, "group_size": 128})

    assert found is not None
    assert (found.zero_bits, found.group) == (4, 128)


@pytest.mark.parametrize(
    "config",
    [
        {"quant_method": "awq", "bits": "four"},
        {"quant_method": "awq", "bits": -4},
        {"quant_method": "gptq", "group_size": "abc"},
        {"quant_method": "gptq", "modules_in_block_to_quantize": [[1]]},
        {"quant_method": "compressed-tensors", "config_groups": [1]},
        {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": "x"}}},
        {
            "quant_method": "compressed-tensors",
            "config_groups": {"g": {"weights": {"num_bits": 4, "group_size": "128"}}},
        },
        {
            "quant_method": "compressed-tensors",
            "config_groups": {"g": {"weights": {"num_bits": 4}}},
            "ignore": ["re:("],
        },
        {"quant_method": "fp8", "weight_block_size": 128},
        {"quant_method": "fp8", "weight_block_size": [0, 128]},
        {"quant_method": "bitsandbytes", "llm_int8_skip_modules": "lm_head"},
        {"quant_method": ["awq"]},
    ],
)
def test_what_cannot_be_read_is_a_plans_error(config):
    """It names the field; a traceback would name a line of the workbench."""
    with pytest.raises(PlanError):
        read_quantization(config)
