"""
What a plan says in words: why it does not fit, and what its numbers rest on.
"""

from __future__ import annotations

from ..units import size
from .ask import Ask, Correction, passing_utilization
from .cards import GIB, Card
from .overhead import Batch, reserve_of
from .shape import ModelShape


def refusal(
    card: Card, ask: Ask, *, used: int, budget: int, asked: int, longest: int
) -> str | None:
    """Say why vLLM would not start; ``None`` if it would."""
    free = _free(card)
    if budget > free and ask.cache_bytes is not None:
        return f"Weights and KV cache take {_gib(budget)}, and this machine has {_gib(free)}."
    if budget > free:
        return (
            f"vLLM asks for {_gib(budget)}, and of this card's {_gib(card.total_bytes)} only "
            f"{_gib(free)} are free. A gpu_memory_utilization of {passing_utilization(card):g} "
            "passes."
        )
    if used >= budget:
        return (
            f"Weights and overhead take {_gib(used)} of a budget of {_gib(budget)}: "
            "nothing is left for the KV cache."
        )
    if asked > longest:
        return (
            f"A context of {asked:,} tokens needs more KV cache than the {size(budget - used)} "
            f"that are left. The longest that fits: {longest:,} tokens."
        )
    return None


def notes(
    shape: ModelShape,
    card: Card,
    ask: Ask,
    batch: Batch,
    correction: Correction | None,
    *,
    beyond: int,
) -> tuple[str, ...]:
    """
    Say what is assumed, and where the overhead comes from.

    Args:
        beyond: What vLLM takes in the end: its budget and the graphs on top.
    """
    if ask.cache_bytes is not None:
        return (
            "On the CPU the cache's size is given (VLLM_CPU_KVCACHE_SPACE, in GiB), and the "
            "weights are in host memory.",
        )
    said = [
        "As vLLM {}.{} does it; another: --vllm-version.".format(*ask.version),
        f"max_num_batched_tokens {batch.tokens:,}, max_num_seqs {batch.requests:,}"
        + _which_defaults(card, ask),
    ]
    if card.assumed:
        said.append(
            f"/dev/dxg is there and no GPU can be asked: the card is taken for a {card.name}."
        )
    if card.free_bytes is not None:
        said.append(
            f"Under WSL HIP gives {_gib(card.free_bytes)} of {_gib(card.total_bytes)}; "
            "programs on Windows take of it too."
        )
    if beyond > _free(card):
        said.append(
            f"With its graphs vLLM takes {_gib(beyond)} in the end, and {_gib(_free(card))} are "
            "free: take less, or --enforce-eager."
        )
    if correction:
        said.append(f"The overhead is corrected by {correction.boots} earlier boots on this card.")
    else:
        said.append(f"The overhead's constants: {reserve_of(card).source}.")
    if shape.has_encoder:
        said.append("What the encoder of pictures or sound takes in the profile run is not in it.")
    return tuple(said)


def _free(card: Card) -> int:
    return card.total_bytes if card.free_bytes is None else card.free_bytes


def _which_defaults(card: Card, ask: Ask) -> str:
    if ask.max_num_batched_tokens is not None and ask.max_num_seqs is not None:
        return "."
    if card.maker is None:
        return ": vLLM's larger defaults, because the card has no name; name it with --gpu."
    return ": vLLM's defaults for this card."


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.2f} GiB"
