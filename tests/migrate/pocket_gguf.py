"""
The pocket model as a GGUF, so that llama.cpp itself is the old side of a test.

    python tests/migrate/pocket_gguf.py models/pocket pocket.gguf

It needs the package ``gguf``. The tokenizer's pattern is one that llama.cpp does not know; GPT-2's
splits lower-case words in the same way, and that is what the tests ask about.

Source:
    llama.cpp, convert_hf_to_gguf.py: names of tensors, the order of rows of Q and K.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.down_proj": "ffn_down",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
}


def write_gguf(model: Path, target: Path) -> None:
    """Write the model's weights as 32-bit floats, with its tokenizer and chat template."""
    import gguf

    config = json.loads((model / "config.json").read_text())
    writer = gguf.GGUFWriter(str(target), "llama")
    _shape(writer, config)
    _tokens(writer, json.loads((model / "tokenizer.json").read_text()), gguf)
    writer.add_chat_template((model / "chat_template.jinja").read_text())
    for name, tensor in _tensors(model / "model.safetensors"):
        writer.add_tensor(_name(name), _rows(name, tensor, config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _shape(writer: Any, config: dict[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def _tokens(writer: Any, tokenizer: dict[str, Any], gguf: Any) -> None:
    added = {each["id"]: each for each in tokenizer["added_tokens"]}
    by_id = {number: token for token, number in tokenizer["model"]["vocab"].items()}
    by_id |= {number: each["content"] for number, each in added.items()}
    kinds = [
        gguf.TokenType.NORMAL
        if number not in added
        else gguf.TokenType.CONTROL
        if added[number]["special"]
        else gguf.TokenType.USER_DEFINED
        for number in sorted(by_id)
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([by_id[number] for number in sorted(by_id)])
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)


def _tensors(path: Path) -> list[tuple[str, np.ndarray]]:
    """Read bfloat16 tensors: they are the upper half of 32-bit floats."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    header.pop("__metadata__", None)
    return [
        (name, _floats(data[slice(*each["data_offsets"])]).reshape(each["shape"]))
        for name, each in header.items()
    ]


def _floats(data: bytes) -> np.ndarray:
    return (np.frombuffer(data, dtype=np.uint16).astype(np.uint32) << 16).view(np.float32)


def _name(name: str) -> str:
    if not name.startswith("model.layers."):
        outer = {"model.embed_tokens.weight": "token_embd.weight"}
        return outer.get(name, "output_norm.weight")
    layer, inner = name.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
    return f"blk.{layer}.{NAMES[inner]}.weight"


def _rows(name: str, tensor: np.ndarray, config: dict[str, Any]) -> np.ndarray:
    """Pair the rows of Q and K as llama.cpp's rotary embedding wants them."""
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    count = next((heads[each] for each in heads if each in name), None)
    if count is None:
        return np.ascontiguousarray(tensor)
    halves = tensor.reshape(count, 2, tensor.shape[0] // count // 2, tensor.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(tensor.shape))


if __name__ == "__main__":
    write_gguf(Path(sys.argv[1]), Path(sys.argv[2]))
