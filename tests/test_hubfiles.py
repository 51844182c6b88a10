"""What is a name on the hub, and which of a repository's files vLLM takes."""

from __future__ import annotations

import pytest

from workbench.hubfiles import is_hub_name, taken


@pytest.mark.parametrize(
    ("model", "is_name"),
    [
        ("Qwen/Qwen3-8B", True),
        ("gpt2", True),
        ("/models/pocket", False),
        ("./pocket", False),
        ("mine/8b/merged", False),
    ],
)
def test_the_hub_is_asked_for_names_only(model: str, is_name: bool):
    """A path in the container is nothing that it knows."""
    assert is_hub_name(model) is is_name


def test_safetensors_are_taken_and_the_same_weights_in_other_forms_are_not():
    """vLLM reads one of them; the others would be fetched for nothing."""
    names = [
        *("config.json", "tokenizer.json", "merges.txt", "tokenizer.model", "chat_template.jinja"),
        *("model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json"),
    ]
    others = ["pytorch_model.bin", "consolidated.safetensors", "original/params.json", "README.md"]

    assert taken([*names, *others, "onnx/model.onnx", "flax_model.msgpack"]) == names


def test_other_weights_are_taken_where_there_are_no_safetensors():
    """Older repositories have nothing else."""
    assert taken(["config.json", "pytorch_model.bin"]) == ["config.json", "pytorch_model.bin"]


def test_weights_in_mistrals_own_form_are_taken_if_there_are_no_others():
    """Some of its repositories have only these."""
    assert taken(["params.json", "consolidated.safetensors"]) == [
        "params.json",
        "consolidated.safetensors",
    ]


def test_how_an_embedding_model_pools_is_taken():
    """It is the one thing in a folder of its own that vLLM reads."""
    names = ["config.json", "model.safetensors", "modules.json", "1_Pooling/config.json"]

    assert taken([*names, "../config.json", "2_Dense/model.safetensors"]) == names
