"""
The KV cache's arithmetic, which is vLLM's own.

Layers that keep the same tokens form a group. Groups of a model with several
kinds are made equally long, and share one pool of blocks: a block holds
16 tokens of one group's layers.

Source: vllm/v1/core/kv_cache_utils.py and vllm/v1/kv_cache_interface.py, 0.25.1;
0.32 is the same but for the null block.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..errors import PlanError
from .shape import ModelShape

BLOCK_TOKENS = 16
CPU_BLOCK_TOKENS = 128
MLA_BLOCK_TOKENS = 64  # FlashMLA's; vllm/platforms/cuda.py

KV_BYTES = {"fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class KvLayout:
    """
    How a model's cache is cut into blocks.

    Args:
        windows: One entry for each group: the tokens it keeps, ``None`` for all.

        group_layers: Layers in the longest group; the others are padded to it.

        layer_bytes: Of one token in one layer.

        batch_tokens: ``max_num_batched_tokens``: a window keeps those under way too.

        reserves_null_block: The check for the longest request leaves one block out.
    """

    windows: tuple[int | None, ...]
    group_layers: int
    layers: int
    layer_bytes: int
    batch_tokens: int
    block_tokens: int = BLOCK_TOKENS
    reserves_null_block: bool = False

    @property
    def block_bytes(self) -> int:
        """Bytes of one block of the pool."""
        return self.group_layers * self.block_tokens * self.layer_bytes

    @property
    def token_bytes(self) -> int:
        """What a token writes, in all layers together."""
        return self.layers * self.layer_bytes

    def request_blocks(self, length: int) -> int:
        """Count the blocks that a request of *length* tokens holds at most."""
        return sum(self._group_blocks(window, length) for window in self.windows)

    def _group_blocks(self, window: int | None, length: int) -> int:
        if window is None:
            return -(-length // self.block_tokens)
        kept = min(window - 1 + self.batch_tokens, length)
        # One more: a window need not begin where a block does.
        return -(-kept // self.block_tokens) + 1

    def concurrency(self, cache_bytes: int, length: int) -> float:
        """How many requests of *length* tokens the cache holds at once."""
        return (cache_bytes // self.block_bytes) / self.request_blocks(length)

    def tokens(self, cache_bytes: int, length: int) -> int:
        """Count as the log's ``KV cache size`` does: concurrency times length."""
        return int(self.concurrency(cache_bytes, length) * length)

    def longest(self, cache_bytes: int, limit: int) -> int:
        """
        Find the longest request, up to *limit* tokens, for which the cache is large enough.

        It is the log's ``estimated maximum model length``; 0 if not one token fits.
        """
        blocks = cache_bytes // self.block_bytes - self.reserves_null_block
        low, high = 0, limit
        while low < high:
            middle = (low + high + 1) // 2
            if self.request_blocks(middle) <= blocks:
                low = middle
            else:
                high = middle - 1
        return low


def layout(
    shape: ModelShape,
    *,
    batch_tokens: int,
    cache_dtype: str = "auto",
    on_cpu: bool = False,
    reserves_null_block: bool = False,
) -> KvLayout:
    """
    Group a model's layers.

    Raises:
        PlanError: The cache's type has no known size.
    """
    if cache_dtype not in ("auto", *KV_BYTES, "bfloat16", "float16"):
        raise PlanError(
            f"How large a KV cache of type {cache_dtype!r} is is not known here.",
            hint=f"Known are auto, {', '.join(KV_BYTES)}.",
            missing=f"bytes of a {cache_dtype} element",
        )
    kinds = Counter(shape.windows)
    size = _group_size(list(kinds.values()))
    windows = tuple(kind for kind, count in kinds.items() for _ in range(-(-count // size)))
    block = MLA_BLOCK_TOKENS if shape.latent else BLOCK_TOKENS
    return KvLayout(
        windows=windows,
        group_layers=size,
        layers=shape.layers,
        layer_bytes=shape.kv_width * KV_BYTES.get(cache_dtype, shape.dtype_bytes),
        batch_tokens=batch_tokens,
        block_tokens=CPU_BLOCK_TOKENS if on_cpu else block,
        reserves_null_block=reserves_null_block,
    )


def _group_size(counts: list[int]) -> int:
    """Choose as ``_get_kv_cache_groups_uniform_page_size``: pad what is nearly as long."""
    shortest, longest = min(counts), max(counts)
    return longest if longest < shortest * 1.5 else shortest
