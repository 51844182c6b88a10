"""Configurations that the planner's tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


@pytest.fixture
def llama() -> Callable[..., dict[str, Any]]:
    """Llama-3.1-8B's public sizes, with changes."""

    def make(**changes: Any) -> dict[str, Any]:
        return LLAMA_8B | changes

    return make
