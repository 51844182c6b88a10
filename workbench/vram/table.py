"""
A plan as a table: what each part takes, then the answer in words and the flags.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from .. import units
from ..display import View

if TYPE_CHECKING:
    from .plan import Plan

GIB = 2**30

MOST_PARTS = 4
"""A line's worth; the JSON has all."""


def view(plan: Plan) -> View:
    """Lay it out; *data* has every field, and what is added up from them."""
    return View(
        title=_title(plan),
        columns=("part", "GiB", "of it"),
        numeric=frozenset({"GiB"}),
        rows=tuple(_rows(plan)),
        note="\n".join(_note(plan)),
        data=_data(plan),
        ok=plan.fits,
    )


def _title(plan: Plan) -> str:
    if plan.why_not:
        return f"{plan.model} on {plan.gpu}: does not fit.\n{plan.why_not}"
    return (
        f"{plan.model} on {plan.gpu}: fits with a context of "
        f"{units.count(plan.asked_model_len, 'token')}."
    )


def _rows(plan: Plan) -> Iterator[tuple[str, str, str]]:
    cache = (
        f"{units.count(plan.kv_cache_tokens, 'token')} of {units.size(plan.kv_bytes_per_token)}, "
        f"{plan.max_concurrency:.2f} requests at once"
    )
    yield "weights", _gib(plan.weights_bytes), _parts(plan.weights)
    yield "overhead", _gib(plan.overhead_bytes), _parts(plan.overhead)
    yield "KV cache", _gib(plan.kv_cache_bytes), cache
    yield "budget", _gib(plan.budget_bytes), f"of {_gib(plan.total_bytes)} GiB"
    if plan.graphs_bytes:
        yield "graphs", _gib(plan.graphs_bytes), "afterwards, beyond the budget"


def _parts(parts: Mapping[str, int]) -> str:
    largest = sorted(parts.items(), key=lambda item: -abs(item[1]))[:MOST_PARTS]
    return " · ".join(f"{name} {units.size(size)}" for name, size in largest if size)


def _note(plan: Plan) -> Iterator[str]:
    yield f"The longest context that fits: {units.count(plan.max_model_len, 'token')}"
    if plan.max_model_len:
        yield f"Start it with: {shlex.join(plan.flags)}"
    if plan.decode_ceiling_tps:
        yield (
            f"One request decodes at most {units.rate(plan.decode_ceiling_tps)}, "
            f"{units.rate(plan.decode_ceiling_full_tps)} when its context is full: "
            "all weights are read for each token"
        )
    yield f"Confidence: {plan.confidence}"
    yield from plan.notes


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.2f}"


def _data(plan: Plan) -> dict[str, Any]:
    named = {field.name: getattr(plan, field.name) for field in fields(plan)}
    return named | {
        "fits": plan.fits,
        "weights_bytes": plan.weights_bytes,
        "overhead_bytes": plan.overhead_bytes,
    }
