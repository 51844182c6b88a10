"""
What vLLM needs on the card besides weights and KV cache.

Before it sizes the cache, vLLM runs the model once with the largest batch, and
takes the peak of what PyTorch then held. The terms here are the tensors that
live at that peak, and what the driver keeps for the loaded kernels.

Source: vLLM 0.25.1, ``determine_available_memory`` (v1/worker/gpu_worker.py),
``profile_run`` (v1/worker/gpu/model_runner.py), model_executor/models/llama.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from .cards import Card
from .shape import ModelShape, padded_vocab

MIB = 2**20

FP32_BYTES = 4

SORTED_LOGIT_BYTES = 2 * (4 + 8)
"""
Values and their int64 places, and as much again while they are sorted.

Read in ``apply_top_k_top_p_pytorch`` (v1/sample/ops/topk_topp_sampler.py); not measured.
"""

PROCESSORS = 132
"""Multiprocessors of an H100 and an H200."""

QUANTIZED_WORKSPACE_BYTES = 24 * MIB
"""Machete's for splitting a product; seen with 14 and 32 billion parameters, and not with 7."""

TIMING_BYTES = 50 * MIB
"""
What torch.compile fills the L2 cache with between the kernels that it times: an H100's 50 MiB.

Source: torch/_inductor/runtime/benchmarking.py, ``benchmark_gpu``.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """
    The largest step, which the profile run makes.

    Args:
        tokens: ``max_num_batched_tokens``.

        requests: ``max_num_seqs``.

        compiled: ``torch.compile`` and graphs, which ``--enforce-eager`` turns off.

        sorts_logits: The sampler tries top-k and top-p too, as it did before vLLM's
            second model runner.
    """

    tokens: int
    requests: int
    compiled: bool = True
    sorts_logits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """
    What belongs to a kind of card and follows from no shape.

    Args:
        kernels_bytes: What the driver keeps for the kernels that were loaded.

        workspace_bytes: cuBLAS's or hipBLASLt's for matrix products.
    """

    kernels_bytes: int
    workspace_bytes: int
    source: str


# Workspaces: aten/src/ATen/cuda/CUDABlas.cpp, 32 MiB for Hopper and 76 MiB on ROCm.
HOPPER = Reserve(
    kernels_bytes=230 * MIB,
    workspace_bytes=32 * MIB,
    source="vLLM 0.25.1 on an H100 and an H200 (tests/data/vram)",
)
OTHER = Reserve(
    kernels_bytes=230 * MIB,
    workspace_bytes=76 * MIB,
    source="an H100's kernels, and the larger workspace; not measured on this card",
)


def reserve_of(card: Card) -> Reserve:
    """Choose what was measured on the nearest card."""
    return HOPPER if card.is_hopper or card.maker is None else OTHER


def terms(shape: ModelShape, batch: Batch, card: Card) -> dict[str, int]:
    """Return what the profile run adds, bytes: its highest moment, and the kernels' code."""
    reserve = reserve_of(card)
    moments = {
        "activations": _layer_bytes(shape, batch) + _beside_layer(shape, batch, reserve),
        "logits": _sampler_bytes(shape, batch) + reserve.workspace_bytes,
    }
    if batch.compiled:
        moments["compiling"] = _compiling_bytes(shape, batch)
    highest = max(moments, key=lambda name: moments[name])
    return {highest: moments[highest], "kernels": reserve.kernels_bytes}


def graphs_bytes(shape: ModelShape, batch: Batch) -> int:
    """
    Return what captured graphs take: so much for each layer, between two measurements.

    17.5 MiB a layer with 256 requests (12 to 19 in five models) and 31 with 1,024.
    """
    if not batch.compiled:
        return 0
    return round(shape.layers * (13 + 0.0176 * batch.requests) * MIB)


def _beside_layer(shape: ModelShape, batch: Batch, reserve: Reserve) -> int:
    """
    Return what is there with a layer's tensors.

    Quantized layers multiply without cuBLAS, whose workspace then comes with the
    output head, when the layers' tensors are gone; their own is there while the
    last product is made.
    """
    timing = TIMING_BYTES if batch.compiled else 0
    if shape.quantization is None:
        return reserve.workspace_bytes + timing
    return timing + (QUANTIZED_WORKSPACE_BYTES if shape.keeps_up else 0)


def _compiling_bytes(shape: ModelShape, batch: Batch) -> int:
    """
    Return what torch.compile's first run takes for the embedding.

    A second embedding table, and its result twice: seen so, to the MiB, in five
    runs of four models; where the table is copied was not found.
    """
    width = shape.hidden * shape.dtype_bytes
    return padded_vocab(shape) * width + 2 * batch.tokens * width


def _layer_bytes(shape: ModelShape, batch: Batch) -> int:
    """
    Return what lives at a layer's widest moment, which is nearly always in its MLP.

    There it is the layer's input, which the caller holds, the residual, the
    MLP's input, gate and up in one tensor, and what the activation function
    makes of them; with the MLP's output where gate and up are still held.
    """
    hidden = 4 if shape.keeps_up else 3
    inner = 0 if shape.experts else shape.intermediate
    mlp = hidden * shape.hidden + 3 * inner
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    # query, key and value as one product, their normed copies, and attention's output
    normed = queries + keys if shape.qk_norm else 0
    attention = 3 * shape.hidden + 2 * (queries + keys) + normed
    widest = batch.tokens * shape.dtype_bytes * max(mlp, attention)
    return widest + _experts_bytes(shape, batch)


def _experts_bytes(shape: ModelShape, batch: Batch) -> int:
    """
    Return the buffers that experts work in, which stay.

    Two, for what goes into and comes out of their products; one for MXFP4, as seen with gpt-oss
    (model_executor/layers/fused_moe; the workspaces of v1/worker/workspace.py).
    """
    experts = shape.experts
    if experts is None:
        return 0
    widest = max(2 * experts.intermediate, shape.hidden)
    one = batch.tokens * experts.per_token * widest * shape.dtype_bytes
    is_mxfp4 = shape.quantization is not None and shape.quantization.method == "mxfp4"
    return one if is_mxfp4 else 2 * one


def _sampler_bytes(shape: ModelShape, batch: Batch) -> int:
    """
    Return what lives while the first tokens are drawn.

    All hidden states, those of each request's last token, its logits as the model
    writes them, and a copy in float32 (v1/worker/gpu/sample/sampler.py).
    """
    rows = min(batch.requests, batch.tokens)
    hidden = (batch.tokens + rows) * shape.hidden * shape.dtype_bytes
    logit = shape.dtype_bytes + FP32_BYTES
    if batch.sorts_logits:
        return hidden + rows * shape.vocab * (logit + SORTED_LOGIT_BYTES)
    if shape.experts is None:
        return hidden + rows * shape.vocab * logit
    # Mixtures are run by the first model runner, which tries top-k and top-p: probabilities, as
    # many random numbers, and a row of logits for each multiprocessor (topk_topp_triton.py).
    tried = rows * shape.vocab * (logit + 2 * FP32_BYTES) + PROCESSORS * shape.vocab * FP32_BYTES
    return hidden + tried + _experts_bytes(shape, batch)
