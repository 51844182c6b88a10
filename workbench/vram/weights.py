"""
What a model's weights take on the card, tensor by tensor.

vLLM fuses query, key and value into one matrix, and gate and up into another,
and what the card loses is what PyTorch's allocator hands out for them, which
is a little more than their bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .cards import Card
from .shape import ModelShape, padded_vocab

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """So many tensors of one size that belong to one part of the model."""

    part: str
    size_bytes: int
    count: int = 1

    @property
    def on_card_bytes(self) -> int:
        """What the allocator takes for all of them."""
        return self.count * allocated(self.size_bytes)


def allocated(size_bytes: int) -> int:
    """
    Say how much PyTorch's allocator takes for a tensor while vLLM loads a model.

    From 10 MiB up a block is a multiple of 2 MiB. From 20 MiB up vLLM forbids to
    split it (``max_split_size_mb=20``); below, a rest of more than 1 MiB is.

    Source: c10/cuda/CUDACachingAllocator.cpp (kMinLargeAlloc, kRoundLarge,
    should_split); vllm/v1/worker/gpu_worker.py, ``load_model``, 0.25.1.
    """
    exact = -(-size_bytes // 512) * 512
    block = -(-size_bytes // (2 * MIB)) * 2 * MIB
    if size_bytes < 10 * MIB:
        return exact
    return exact if size_bytes < 20 * MIB and block - exact > MIB else block


def tensors(shape: ModelShape, card: Card | None) -> Iterator[Tensor]:
    """List a decoder's tensors as vLLM holds them on *card*, or as in their files."""
    wide = shape.dtype_bytes
    vocab = padded_vocab(shape)
    yield Tensor(part="embeddings", size_bytes=vocab * shape.hidden * wide)
    if not shape.tied:
        yield Tensor(part="output head", size_bytes=vocab * shape.hidden * wide)
    for layer in range(shape.layers):
        for name, rows, columns, bias in _linears(shape):
            full = f"model.layers.{layer}.{name}"
            yield from _linear(shape, card, full, rows, columns)
            if bias:
                yield Tensor(part="norms and biases", size_bytes=rows * wide)
    yield Tensor(
        part="norms and biases", size_bytes=shape.hidden * wide, count=2 * shape.layers + 1
    )
    if experts := shape.experts:
        router = experts.count * shape.hidden * wide
        yield Tensor(part="routers", size_bytes=router, count=shape.layers)
    for positions in shape.rope_tables:
        yield Tensor(part="rotary tables", size_bytes=positions * shape.rotary_dim * wide)


def _linears(shape: ModelShape) -> Iterator[tuple[str, int, int, bool]]:
    """Name each layer's matrices with their outputs, inputs, and whether there is a bias."""
    queries = shape.heads * shape.head_dim
    qkv = queries + 2 * shape.kv_heads * shape.head_dim
    yield "self_attn.q_proj", qkv, shape.hidden, shape.qkv_bias
    yield "self_attn.o_proj", shape.hidden, queries, False
    if experts := shape.experts:
        # All experts of a layer are one tensor.
        inner, hidden = experts.count * experts.intermediate, experts.count * shape.hidden
        yield "mlp.experts.gate_proj", 2 * inner, shape.hidden, False
        yield "mlp.experts.down_proj", hidden, experts.intermediate, False
    else:
        yield "mlp.gate_proj", 2 * shape.intermediate, shape.hidden, shape.mlp_bias
        yield "mlp.down_proj", shape.hidden, shape.intermediate, shape.mlp_bias


def _linear(
    shape: ModelShape, card: Card | None, name: str, rows: int, columns: int
) -> Iterator[Tensor]:
    part = "attention" if "self_attn" in name else "experts" if "experts" in name else "MLP"
    scheme = shape.quantization
    if scheme is None or scheme.skips(name):
        yield Tensor(part=part, size_bytes=rows * columns * shape.dtype_bytes)
        return
    packed = round(rows * columns * scheme.bits / 8)
    beside = scheme.matrix_bytes(rows, columns) - packed
    if scheme.zero_bits and card and card.is_hopper:
        # Its kernel (Machete) multiplies zero points by the scales in advance and keeps 16 bits.
        groups = rows * -(-columns // (scheme.group or columns))
        beside += round(groups * (16 - scheme.zero_bits) / 8)
    yield Tensor(part=part, size_bytes=packed)
    yield Tensor(part="scales and zeros", size_bytes=beside)


def by_part(shape: ModelShape, card: Card) -> dict[str, int]:
    """Return what each part of the model takes on *card*, bytes."""
    parts: dict[str, int] = {}
    for tensor in tensors(shape, card):
        parts[tensor.part] = parts.get(tensor.part, 0) + tensor.on_card_bytes
    return parts


def in_file_bytes(shape: ModelShape) -> int:
    """Return the bytes that the same weights have in their files: no tables, no rounding."""
    return sum(
        tensor.count * tensor.size_bytes
        for tensor in tensors(shape, card=None)
        if tensor.part != "rotary tables"
    )


def read_per_token_bytes(shape: ModelShape, card: Card) -> int:
    """Return what is read for a token: not the tables, of which a row is, nor idle experts."""
    parts = by_part(shape, card)
    unread = parts["rotary tables"] + (0 if shape.tied else parts["embeddings"])
    if experts := shape.experts:
        unread += parts["experts"] * (experts.count - experts.per_token) // experts.count
    return sum(parts.values()) - unread
