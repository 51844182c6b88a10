"""
What a card's memory lets a model decode at most, and how much of it a run had. Pure.

For each step of decoding a card reads the weights once, whatever the number of
requests, and the KV cache of each request. Bandwidth divided by those bytes
bounds the steps a second, and each step brings a token for each request. It is
a bound: no card reaches its data sheet's bandwidth, nor only reads.

Of a mixture of experts the weights are taken that one token needs; a batch
reads more, so that there the bound is further off. A run above it measured
something else than it was thought to.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..vram import Card, ModelShape
from ..vram.kv import layout
from ..vram.weights import read_per_token_bytes

ROUNDING = 0.02
"""What a clock and a mean may do to a run that is at its bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """
    A bound for decoding, and a run beside it.

    Args:
        batch: Requests that decode at once, the run's mean.

        context_tokens: What each has in the KV cache, the run's mean.

        step_bytes: Read for one step.

        ceiling_tps: Tokens a second of all requests together, at most.

        measured_tps: Tokens a second while decoding: batch / TPOT.
    """

    gpu: str
    bandwidth_bytes_s: float
    batch: float
    context_tokens: int
    weights_bytes: int
    step_bytes: float
    ceiling_tps: float
    measured_tps: float

    @property
    def share(self) -> float:
        """How much of the bound was had."""
        return self.measured_tps / self.ceiling_tps

    @property
    def is_impossible(self) -> bool:
        """Whether more was measured than the memory can bring."""
        return self.share > 1 + ROUNDING

    @property
    def warning(self) -> str | None:
        """Say what an impossible result may be."""
        if not self.is_impossible:
            return None
        return (
            f"{self.share:.0%} of what {self.gpu}'s memory allows: this measured something else. "
            "Is it another card, other or quantized weights, speculative decoding, or a server "
            "that sends tokens in bursts?"
        )


def roofline(
    shape: ModelShape,
    card: Card,
    *,
    batch: float,
    context_tokens: int,
    tpot_s: float,
    cache_dtype: str = "auto",
) -> Roofline | None:
    """
    Work out the bound for a model on a card; ``None`` where the bandwidth is not known.

    Raises:
        PlanError: A fact of the model is missing.
    """
    if card.bandwidth_bytes_s is None:
        return None
    weights = read_per_token_bytes(shape, card)
    step = weights + batch * _cache_bytes(shape, context_tokens, cache_dtype)
    return Roofline(
        gpu=card.name,
        bandwidth_bytes_s=card.bandwidth_bytes_s,
        batch=batch,
        context_tokens=context_tokens,
        weights_bytes=weights,
        step_bytes=step,
        ceiling_tps=batch * card.bandwidth_bytes_s / step,
        measured_tps=batch / tpot_s,
    )


def _cache_bytes(shape: ModelShape, tokens: int, cache_dtype: str) -> int:
    """Add up what a request's tokens have in all layers; one with a window reads that only."""
    kept = sum(min(window or tokens, tokens) for window in shape.windows)
    return kept * layout(shape, batch_tokens=0, cache_dtype=cache_dtype).layer_bytes
