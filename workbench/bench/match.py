"""
Whether two sides of benchmark results can be compared. Pure.

What must be equal is what decides what was asked: model, workload, seed, load,
prefix cache, card. What may differ is what one compares: server, version,
flags, image, driver. Unknown is not different, and is told.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from .result import Result

TOKENS_APART = 0.01
"""Input tokens a request may differ by this share; templates of two versions do."""


@dataclass(frozen=True, slots=True)
class Differs:
    """A fact that is not the same on all runs; *values* as they were found."""

    name: str
    values: tuple[str, ...]


def differences(
    before: Sequence[Result], after: Sequence[Result]
) -> tuple[tuple[Differs, ...], tuple[Differs, ...]]:
    """List what differs and must not, and what may."""
    runs = [*before, *after]
    must = [_must_match(run) for run in runs]
    may = [_may_differ(run) for run in runs]
    refused = [found for name in must[0] if (found := _differs(name, must))]
    refused += [found for name in ("seed", "prompts") if (found := _others(name, before, after))]
    if not any(differs.name == "prompts" for differs in refused):
        refused += _other_lengths(before, after)
    return tuple(refused), tuple(found for name in may[0] if (found := _differs(name, may)))


def _others(name: str, before: Sequence[Result], after: Sequence[Result]) -> Differs | None:
    """
    Find what one side was asked and the other was not.

    Each run of a side may have its own seed: that is how runs are repeated.
    """
    sides = [
        {value for run in runs if (value := _asked(run)[name]) is not None}
        for runs in (before, after)
    ]
    if not all(sides) or sides[0] <= sides[1] or sides[1] <= sides[0]:
        return None
    return Differs(name, tuple(", ".join(sorted(side)) for side in sides))


def _asked(run: Result) -> dict[str, str | None]:
    mark = run.fingerprint
    return {"seed": str(mark.seed) if mark.base_url else None, "prompts": mark.workload_hash}


def _must_match(run: Result) -> dict[str, object]:
    settings, mark = run.settings, run.fingerprint
    ours = bool(mark.base_url)
    return {
        "model": mark.model,
        "revision": mark.model_revision,
        "concurrency": settings.concurrency or "no limit",
        "request rate": settings.request_rate_rps or "none",
        "burstiness": settings.burstiness,
        "ramp": dict(settings.ramp) if settings.ramp else "none",
        "requests": settings.num_prompts,
        "duration": settings.duration_s or "no limit",
        # Of a file of vLLM's own these are not known.
        "workload": dict(mark.workload) or None,
        "request body": dict(settings.body) if ours else None,
        "prefix caching": mark.prefix_caching,
        "card": mark.card,
        "limits of goodput": str(run.metrics.slo) if run.metrics.slo else None,
    }


def _may_differ(run: Result) -> dict[str, object]:
    mark = run.fingerprint
    return {
        "server": mark.server,
        "version": mark.server_version,
        "backend": mark.backend,
        "flags": dict(mark.flags) if mark.flags else None,
        "image": mark.image_digest,
        "driver": mark.driver,
        "max model len": mark.max_model_len,
    }


def _differs(name: str, runs: Sequence[dict[str, object]]) -> Differs | None:
    known = [_text(run[name]) for run in runs if run[name] is not None]
    values = tuple(dict.fromkeys(known))
    return Differs(name, values) if len(values) > 1 else None


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str) if isinstance(value, dict) else str(value)


def _other_lengths(before: Sequence[Result], after: Sequence[Result]) -> list[Differs]:
    """
    Find sides whose prompts are of other lengths, where nothing else says that they are others.

    Runs of one side may differ: each seed draws its own words.
    """
    lengths = [each for each in map(_input_length, (before, after)) if each is not None]
    if not lengths or max(lengths) <= min(lengths) * (1 + TOKENS_APART):
        return []
    return [Differs("input tokens a request", tuple(f"{each:.1f}" for each in lengths))]


def _input_length(runs: Sequence[Result]) -> float | None:
    """Work out the tokens of a request, over all runs of a side that counted them."""
    counted = [run.metrics for run in runs if run.metrics.input_tokens and run.metrics.completed]
    requests = sum(metrics.completed for metrics in counted)
    return sum(metrics.input_tokens or 0 for metrics in counted) / requests if requests else None
