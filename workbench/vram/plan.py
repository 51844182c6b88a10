"""
Will it fit? vLLM's own arithmetic, before vLLM is started.

    budget = total × gpu_memory_utilization
    KV cache = budget − weights − what the profile run needs

The answer is a :class:`Plan`: the bytes of each part, the tokens that the cache
holds, the longest context, and the flags to start vLLM with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ..display import View
from ..errors import PlanError
from . import table
from .ask import Ask, Correction, passing_utilization
from .cards import Card
from .kv import KvLayout, layout
from .notes import notes, refusal
from .overhead import Batch, graphs_bytes, terms
from .shape import ModelShape
from .weights import by_part, in_file_bytes, read_per_token_bytes

# Of the versions whose sources were read: 0.25.1, 0.28, 0.31, 0.32.
NULL_BLOCK_SINCE = (0, 31)
GRAPHS_COUNTED_SINCE = (0, 28)


LEARNT = "seen in earlier boots"


class Confidence(StrEnum):
    """What the overhead rests on."""

    MEASURED = "measured"  # boots of this model on this card
    CORRECTED = "corrected"  # boots of other models on this card
    CALIBRATED = "calibrated"  # the formula's terms, measured on a card of this kind
    ESTIMATED = "estimated"  # the same terms, on another kind of card
    EXACT = "exact"  # the cache's size is given


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    An answer, with the sizes that it is made of.

    Args:
        weights: What each part of the model takes.

        overhead: What vLLM needs besides weights and cache, by what it is for.

        graphs_bytes: What captured graphs take after the cache was made, beyond the budget.

        max_model_len: The longest context that fits, tokens; 0 if none does.

        asked_model_len: The context that was asked for, or the model's own.

        kv_cache_tokens: What the cache holds, as vLLM's log counts it.

        max_concurrency: So many requests at once, of the length that was asked
            for, or else of the longest that fits.

        decode_ceiling_tps: Tokens a second of one request with an empty context,
            if reading the weights were all that is done.

        decode_ceiling_full_tps: The same at that length, with its KV cache read too.

        why_not: Why it does not fit; ``None`` if it does.
    """

    model: str
    gpu: str
    total_bytes: int
    free_bytes: int | None
    budget_bytes: int
    weights: Mapping[str, int]
    overhead: Mapping[str, int]
    graphs_bytes: int
    kv_bytes_per_token: int
    kv_cache_bytes: int
    kv_cache_tokens: int
    max_model_len: int
    asked_model_len: int
    max_concurrency: float
    decode_ceiling_tps: float | None
    decode_ceiling_full_tps: float | None
    flags: tuple[str, ...]
    confidence: Confidence
    why_not: str | None
    notes: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether vLLM would start with what was asked for."""
        return self.why_not is None

    @property
    def weights_bytes(self) -> int:
        """All weights."""
        return sum(self.weights.values())

    @property
    def overhead_bytes(self) -> int:
        """All of the overhead."""
        return sum(self.overhead.values())

    @property
    def formula_overhead_bytes(self) -> int:
        """The overhead without what earlier boots added."""
        return self.overhead_bytes - self.overhead.get(LEARNT, 0)

    @property
    def left_bytes(self) -> int:
        """What of the card vLLM does not ask for."""
        return self.total_bytes - self.budget_bytes

    def view(self) -> View:
        """Lay it out as a table."""
        return table.view(self)

    def _repr_mimebundle_(self, **ignored: Any) -> dict[str, str]:
        return self.view()._repr_mimebundle_(**ignored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model to plan: its shape, and what its files hold where that is known."""

    name: str
    shape: ModelShape
    file_bytes: int | None = None


def plan(model: Model, card: Card, ask: Ask, correction: Correction | None = None) -> Plan:
    """
    Work out whether *model* fits on *card*.

    Where vLLM would not even look, because a part of the card is never free,
    the flags are those that pass.

    Raises:
        ConfigError: vLLM would refuse what was asked.

        PlanError: A fact is missing.
    """
    ask.check(model.shape)
    answer = _plan(model, card, ask, correction)
    passing = passing_utilization(card)
    if ask.cache_bytes is None and ask.gpu_memory_utilization > passing:
        less = replace(ask, gpu_memory_utilization=passing)
        return replace(answer, flags=_plan(model, card, less, correction).flags)
    return answer


def _plan(model: Model, card: Card, ask: Ask, correction: Correction | None) -> Plan:
    shape, batch = model.shape, ask.batch(model.shape, card)
    cache = _layout(shape, ask, batch)
    weights = _weights(model, card, correction)
    overhead = _overhead(shape, card, ask, batch, correction)
    used = sum(weights.values()) + sum(overhead.values())
    budget = _budget(card, ask, used)
    cache_bytes = max(0, budget - used)
    longest = cache.longest(cache_bytes, shape.max_position)
    asked = ask.max_model_len or shape.max_position
    length = min(asked, longest) or asked
    empty, full = _ceilings(shape, card, cache, length)
    graphs = 0 if _counts_graphs(shape, ask) else graphs_bytes(shape, batch)
    return Plan(
        model=model.name,
        gpu=card.name,
        total_bytes=card.total_bytes,
        free_bytes=card.free_bytes,
        budget_bytes=budget,
        weights=weights,
        overhead=overhead,
        graphs_bytes=graphs,
        kv_bytes_per_token=cache.token_bytes,
        kv_cache_bytes=cache_bytes,
        kv_cache_tokens=cache.tokens(cache_bytes, length),
        max_model_len=longest,
        asked_model_len=asked,
        max_concurrency=cache.concurrency(cache_bytes, length),
        decode_ceiling_tps=empty,
        decode_ceiling_full_tps=full,
        flags=ask.flags(length),
        confidence=_confidence(card, ask, correction),
        why_not=refusal(card, ask, used=used, budget=budget, asked=asked, longest=longest),
        notes=notes(shape, card, ask, batch, correction, beyond=budget + graphs),
    )


def _layout(shape: ModelShape, ask: Ask, batch: Batch) -> KvLayout:
    return layout(
        shape,
        batch_tokens=batch.tokens,
        cache_dtype=ask.kv_cache_dtype,
        on_cpu=ask.cache_bytes is not None,
        reserves_null_block=ask.version >= NULL_BLOCK_SINCE,
    )


def _budget(card: Card, ask: Ask, used: int) -> int:
    if ask.cache_bytes is not None:
        return used + ask.cache_bytes
    return math.ceil(card.total_bytes * ask.gpu_memory_utilization)


def _weights(model: Model, card: Card, correction: Correction | None) -> dict[str, int]:
    """Return what each part takes; what was measured or is in the files goes before the formula."""
    if correction and correction.weights_bytes is not None:
        return {"weights": correction.weights_bytes}
    shape = model.shape
    if model.file_bytes is None and (shape.has_encoder or shape.latent):
        what = "its encoder" if shape.has_encoder else "multi-head latent attention"
        raise PlanError(
            f"How large the weights of {what} are does not follow from config.json.",
            hint="Plan the model's folder, or its name on the hub: their files have sizes.",
            missing="weights_bytes",
        )
    parts = by_part(shape, card)
    if model.file_bytes is not None and (other := model.file_bytes - in_file_bytes(shape)):
        parts["other weights"] = other
    return parts


def _overhead(
    shape: ModelShape, card: Card, ask: Ask, batch: Batch, correction: Correction | None
) -> dict[str, int]:
    if ask.cache_bytes is not None:
        return {}
    found = terms(shape, batch, card)
    if _counts_graphs(shape, ask):
        found["graphs"] = graphs_bytes(shape, batch)
    if correction:
        found[LEARNT] = correction.overhead_bytes
    return found


def _counts_graphs(shape: ModelShape, ask: Ask) -> bool:
    """Whether graphs are taken from the budget; the first model runner did, as mixtures' does."""
    return ask.version >= GRAPHS_COUNTED_SINCE or shape.experts is not None


def _ceilings(
    shape: ModelShape, card: Card, cache: KvLayout, length: int
) -> tuple[float | None, float | None]:
    """
    Divide the bandwidth by what one token makes the card read.

    All weights but the embedding table, and, for the second, the cache of a
    context that is full.
    """
    if card.bandwidth_bytes_s is None:
        return None, None
    weights = read_per_token_bytes(shape, card)
    kept = sum(min(window or length, length) for window in shape.windows)
    empty = card.bandwidth_bytes_s / weights
    return empty, card.bandwidth_bytes_s / (weights + kept * cache.layer_bytes)


def _confidence(card: Card, ask: Ask, correction: Correction | None) -> Confidence:
    if ask.cache_bytes is not None:
        return Confidence.EXACT
    if correction:
        seen = correction.weights_bytes is not None
        return Confidence.MEASURED if seen else Confidence.CORRECTED
    return Confidence.CALIBRATED if card.is_hopper else Confidence.ESTIMATED
