"""
What of a model's ``config.json`` decides about memory, as one frozen record.

Only architectures whose layers are known are read. For any other a
:class:`~workbench.errors.PlanError` names the fact that is missing, because a
plan from a guessed layer would be a wrong number that looks right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import PlanError
from .quantization import Quantization, read_quantization
from .values import Config, names, number_or, size, size_or, table

DTYPE_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """
    How an architecture's layers differ from Llama's.

    Args:
        keeps_up: The MLP holds its widest tensor until it is done. Llama's frees it.

        qkv_bias: Query, key and value have biases whatever the config says.

        window_every: Every so many layers one attends to everything, the others
            to a window; 0 where the config alone tells.

        asks_window: There is a window only where ``use_sliding_window`` is said, and
            only from layer ``max_window_layers`` on.
    """

    keeps_up: bool = True
    qkv_bias: bool = False
    qk_norm: bool = False
    window_every: int = 0
    tied: bool = False
    asks_window: bool = False


# vLLM's own names (vllm/model_executor/models, 0.25.1). The windows of Gemma 2 and 3 are
# written by transformers' config classes and are in few config.json files.
ARCHITECTURES = {
    "LlamaForCausalLM": Traits(keeps_up=False),
    "MistralForCausalLM": Traits(keeps_up=False),
    "Phi3ForCausalLM": Traits(keeps_up=False),
    "Qwen2ForCausalLM": Traits(qkv_bias=True, asks_window=True),
    "Qwen3ForCausalLM": Traits(qk_norm=True, asks_window=True),
    "GemmaForCausalLM": Traits(tied=True),
    "Gemma2ForCausalLM": Traits(tied=True, window_every=2),
    "Gemma3ForCausalLM": Traits(tied=True, qk_norm=True, window_every=6),
    "Gemma3ForConditionalGeneration": Traits(tied=True, qk_norm=True, window_every=6),
    "GptOssForCausalLM": Traits(qkv_bias=True),
    "GraniteForCausalLM": Traits(),
    "MixtralForCausalLM": Traits(),
    "OlmoeForCausalLM": Traits(qk_norm=True),
    "Qwen3MoeForCausalLM": Traits(qk_norm=True, asks_window=True),
    "Olmo2ForCausalLM": Traits(qk_norm=True),
    "Mistral3ForConditionalGeneration": Traits(keeps_up=False),
    "Qwen2_5_VLForConditionalGeneration": Traits(qkv_bias=True, asks_window=True),
}


MOST_LAYERS = 1000
"""More than any model has by far."""

MAX_WINDOW_LAYERS = 28
"""Of Qwen's configurations that do not say: transformers, models/qwen2/configuration_qwen2.py."""

VOCAB_PADDING = 64
"""DEFAULT_VOCAB_PADDING_SIZE in vllm/model_executor/layers/vocab_parallel_embedding.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """
    A layer's experts in place of one MLP.

    Args:
        per_token: So many work on a token.

        intermediate: The inner width of one.
    """

    count: int
    per_token: int
    intermediate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """
    A decoder's sizes.

    Args:
        experts: ``None`` in a dense model.

        windows: For each layer the tokens that it attends to, ``None`` for all.

        latent: Elements that multi-head latent attention keeps per token and
            layer in place of keys and values; ``None`` without it.

        rope_tables: Positions of each rotary table that is kept.

        max_position: The longest context that the config allows, tokens.

        has_encoder: It reads pictures or sound with layers that are not in here.
    """

    architecture: str
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    windows: tuple[int | None, ...]
    max_position: int
    experts: Experts | None = None
    dtype: str = "bfloat16"
    keeps_up: bool = True
    tied: bool = False
    qkv_bias: bool = False
    qk_norm: bool = False
    mlp_bias: bool = False
    latent: int | None = None
    rotary_dim: int = 0
    rope_tables: tuple[int, ...] = ()
    quantization: Quantization | None = None
    has_encoder: bool = False

    @property
    def layers(self) -> int:
        """How many decoder layers there are."""
        return len(self.windows)

    @property
    def dtype_bytes(self) -> int:
        """Bytes of a weight that is not quantized, and of an activation."""
        return DTYPE_BYTES[self.dtype]

    @property
    def kv_width(self) -> int:
        """Elements that one token leaves in one layer's cache."""
        return self.latent or 2 * self.kv_heads * self.head_dim


def padded_vocab(shape: ModelShape) -> int:
    """Return the rows of the embedding table, which vLLM rounds up."""
    return -(-shape.vocab // VOCAB_PADDING) * VOCAB_PADDING


def read_shape(config: Config) -> ModelShape:
    """
    Read a ``config.json``.

    Raises:
        PlanError: The architecture is not known, or a size is not in it.
    """
    architecture = _architecture(config)
    traits = ARCHITECTURES[architecture]
    text = table(config, "text_config") or config
    _refuse_other_layers(text, architecture)
    longest, positions = _positions(text)
    # A second base, for layers with a window, has a table without the factor.
    tables = (positions, longest) if "rope_local_base_freq" in text else (positions,)
    heads = size(text, "num_attention_heads")
    hidden = size(text, "hidden_size")
    head_dim = size_or(text, "head_dim", hidden // heads)
    if not head_dim:  # fewer elements than heads
        size(text, "head_dim")
    bias = bool(text.get("attention_bias", text.get("use_bias", False)))
    return ModelShape(
        architecture=architecture,
        hidden=hidden,
        intermediate=size(text, "intermediate_size"),
        heads=heads,
        kv_heads=size_or(text, "num_key_value_heads", heads),
        head_dim=head_dim,
        vocab=size(text, "vocab_size"),
        windows=_windows(text, traits),
        max_position=longest,
        experts=_experts(text, architecture),
        rope_tables=tables,
        dtype=_dtype(config, text),
        keeps_up=traits.keeps_up,
        tied=bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", traits.tied))),
        qkv_bias=traits.qkv_bias or bias,
        qk_norm=traits.qk_norm,
        mlp_bias=bool(text.get("mlp_bias", text.get("use_bias", False))),
        latent=_latent(text),
        rotary_dim=round(head_dim * number_or(text, "partial_rotary_factor", 1)),
        quantization=read_quantization(_quantization(config) or _quantization(text)),
        has_encoder=any(config.get(name) is not None for name in ("vision_config", "audio_config")),
    )


def _architecture(config: Config) -> str:
    named = names(config, "architectures")
    known = next((name for name in named if name in ARCHITECTURES), None)
    if known:
        return known
    called = ", ".join(named) or "no architecture"
    raise PlanError(
        f"The plan needs to know how the layers of {called} are built, and does not.",
        hint=f"Known are {', '.join(sorted(ARCHITECTURES))}. vLLM can tell: start it, and read "
        "its log with: workbench logs",
        missing="the architecture's layers",
    )


def _refuse_other_layers(text: Config, architecture: str) -> None:
    """Refuse what takes memory in ways that are not worked out here."""
    kinds = set(names(text, "layer_types")) - {"full_attention", "sliding_attention"}
    if kinds:
        kind = ", ".join(sorted(kinds))
        raise _unknown(architecture, f"what a layer of kind {kind} keeps for each request")


def _experts(text: Config, architecture: str) -> Experts | None:
    """Read a mixture whose layers all have experts, and nothing beside them."""
    count = text.get("num_local_experts") or text.get("num_experts")
    dense_too = text.get("mlp_only_layers") or text.get("decoder_sparse_step") not in (None, 1)
    if text.get("n_routed_experts") or dense_too:
        raise _unknown(architecture, "what shared experts, and layers without any, take")
    if not count:
        return None
    inner = "moe_intermediate_size" if "moe_intermediate_size" in text else "intermediate_size"
    return Experts(
        count=size(text, "num_local_experts" if text.get("num_local_experts") else "num_experts"),
        per_token=size(text, "num_experts_per_tok"),
        intermediate=size(text, inner),
    )


def _unknown(architecture: str, missing: str) -> PlanError:
    return PlanError(
        f"The plan of this {architecture} lacks a fact: {missing}.",
        hint="Start it with a small --max-model-len, and read the figures: workbench logs",
        missing=missing,
    )


def _windows(text: Config, traits: Traits) -> tuple[int | None, ...]:
    layers = size(text, "num_hidden_layers", at_most=MOST_LAYERS)
    if not text.get("sliding_window") or not text.get("use_sliding_window", not traits.asks_window):
        return (None,) * layers
    window = size(text, "sliding_window")
    if kinds := names(text, "layer_types"):
        if len(kinds) != layers:
            raise PlanError(
                f"The configuration has {layers} layers, and says the kind of {len(kinds)}.",
                hint="Take the config.json that lies beside the model's weights.",
                missing="layer_types",
            )
        return tuple(window if kind == "sliding_attention" else None for kind in kinds)
    if traits.asks_window:
        first = size_or(text, "max_window_layers", MAX_WINDOW_LAYERS)
        return tuple(window if at >= first else None for at in range(layers))
    every = size_or(text, "sliding_window_pattern", traits.window_every)
    return tuple(None if every and (at + 1) % every == 0 else window for at in range(layers))


def _positions(text: Config) -> tuple[int, int]:
    """
    Derive the longest context, and the positions of the rotary table.

    They differ in Gemma 3, whose length has its linear factor in it already,
    while the table is multiplied by it again.

    Source: ``_get_and_verify_max_len`` in vllm/config/model.py and
    model_executor/layers/rotary_embedding, 0.25.1.
    """
    stated = size(text, "max_position_embeddings")
    rope = table(text, "rope_scaling") or table(text, "rope_parameters")
    kind, factor = rope.get("rope_type", rope.get("type")), number_or(rope, "factor", 1)
    if kind == "yarn":
        original = size_or(rope, "original_max_position_embeddings", stated)
        longest = math.floor(original * factor)
        return longest, longest
    if kind not in ("linear", "dynamic"):
        return stated, stated
    scaled = math.floor(stated * factor)
    return (stated if "gemma3" in str(text.get("model_type")) else scaled), scaled


def _quantization(config: Config) -> Config:
    """Find the scheme; older models of compressed-tensors have it under another name."""
    return table(config, "quantization_config") or table(config, "compression_config")


def _dtype(config: Config, text: Config) -> str:
    """Choose as vLLM's ``--dtype auto`` does: float32 weights are served in 16 bits."""
    stated = str(
        text.get("dtype")
        or text.get("torch_dtype")
        or config.get("dtype")
        or config.get("torch_dtype")
        or "bfloat16"
    ).removeprefix("torch.")
    return stated if stated in ("bfloat16", "float16") else "bfloat16"


def _latent(text: Config) -> int | None:
    if not text.get("kv_lora_rank"):
        return None
    return size(text, "kv_lora_rank") + size(text, "qk_rope_head_dim")
