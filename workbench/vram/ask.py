"""
The question: what vLLM would be started with, and what earlier boots said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import ConfigError
from .cards import Card
from .overhead import Batch
from .shape import ModelShape

CPU_BATCH = (2048, 128)
"""vLLM's defaults on the CPU (get_batch_defaults, vllm/engine/arg_utils.py, 0.32)."""


SECOND_RUNNER_SINCE = (0, 24)
"""The version from which v1/worker/gpu runs dense models; that it does is seen in 0.25.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """
    Flags of vLLM; ``None`` leaves it its default.

    Args:
        version: vLLM's, as far as it matters here. The default is the one whose
            memory was measured.

        cache_bytes: The KV cache's size where it is given, and not what is left
            of a budget: the CPU's.
    """

    gpu_memory_utilization: float = 0.9
    max_model_len: int | None = None
    max_num_batched_tokens: int | None = None
    max_num_seqs: int | None = None
    kv_cache_dtype: str = "auto"
    enforce_eager: bool = False
    version: tuple[int, int] = (0, 25)
    cache_bytes: int | None = None

    def check(self, shape: ModelShape) -> None:
        """
        Refuse what vLLM would refuse.

        Raises:
            ConfigError: A value is out of its range.
        """
        if not 0 < self.gpu_memory_utilization <= 1:
            raise _wrong(
                "gpu_memory_utilization",
                self.gpu_memory_utilization,
                "It is a share of the card's memory: above 0, at most 1.",
            )
        for name in ("max_num_batched_tokens", "max_num_seqs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise _wrong(name, value, "At least 1.")
        tokens, requests = self.max_num_batched_tokens, self.max_num_seqs
        if tokens is not None and requests is not None and tokens < requests:
            raise _wrong(
                "max_num_batched_tokens",
                tokens,
                f"A step has a token of each request at least, and max_num_seqs is {requests:,}.",
            )
        if self.max_model_len is not None and not 0 < self.max_model_len <= shape.max_position:
            raise _wrong(
                "max_model_len",
                self.max_model_len,
                f"This model's context ends at {shape.max_position:,} tokens.",
            )

    def batch(self, shape: ModelShape, card: Card) -> Batch:
        """Work out the largest step, as vLLM does from flags and defaults."""
        tokens, requests = CPU_BATCH if self.cache_bytes is not None else card.batch_defaults
        requests = self.max_num_seqs or requests
        length = self.max_model_len or shape.max_position
        tokens = self.max_num_batched_tokens or min(tokens, requests * length)
        return Batch(
            tokens=tokens,
            requests=min(requests, tokens),
            compiled=not self.enforce_eager and self.cache_bytes is None,
            sorts_logits=self.version < SECOND_RUNNER_SINCE,
        )

    def flags(self, max_model_len: int) -> tuple[str, ...]:
        """Write it as vLLM's arguments, with the longest context that fits."""
        flags = ["--max-model-len", str(max_model_len)]
        if self.cache_bytes is not None:
            flags += ["--kv-cache-memory-bytes", str(self.cache_bytes)]
        else:
            flags += ["--gpu-memory-utilization", f"{self.gpu_memory_utilization:g}"]
        for name in ("max_num_batched_tokens", "max_num_seqs"):
            if (value := getattr(self, name)) is not None:
                flags += [f"--{name.replace('_', '-')}", str(value)]
        if self.kv_cache_dtype != "auto":
            flags += ["--kv-cache-dtype", self.kv_cache_dtype]
        return (*flags, *(["--enforce-eager"] if self.enforce_eager else []))


def passing_utilization(card: Card) -> float:
    """Return the largest share, in hundredths, that vLLM finds free on this card."""
    free = card.total_bytes if card.free_bytes is None else card.free_bytes
    return math.floor(100 * free / card.total_bytes) / 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """
    What earlier boots on this card, with this version of vLLM, said.

    Args:
        overhead_bytes: What they needed more than was predicted; negative for less.

        boots: So many it rests on.

        weights_bytes: What this very model's weights took; ``None`` if it was never loaded.
    """

    overhead_bytes: int
    boots: int
    weights_bytes: int | None = None


def _wrong(key: str, value: object, hint: str) -> ConfigError:
    return ConfigError(
        f"{key} cannot be {value}.", hint=hint, key=key, source=f"--{key.replace('_', '-')}"
    )
