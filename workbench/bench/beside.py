"""
What stands beside a result: the bound that memory sets, and what it took of power.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .. import units
from ..errors import WorkbenchError
from ..model_facts import read_facts
from ..vram import Card, find_card, read_shape
from .energy import Energy, Price, mean_watts
from .power import PowerMeter
from .result import Result
from .roofline import Roofline, roofline
from .sweep import knee, points


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What is known of the power: a declared number, or a meter that ran meanwhile."""

    watts: float | None = None
    meter: PowerMeter | None = None
    price: Price | None = field(default=None)


def lines(
    results: tuple[Result, ...], *, models_dir: Path, gpu: str | None, power: Power
) -> list[str]:
    """Say in lines what is beside the results."""
    said = [_knee_line(results)] if len(results) > 2 else []
    of_each = [_of_one(result, models_dir, gpu, power) for result in results]
    if len(set(map(tuple, of_each))) == 1:
        return [line for line in (*said, *of_each[0]) if line]
    for result, each in zip(results, of_each, strict=True):
        said += [f"concurrency {result.settings.concurrency}: {line}" for line in each]
    return [line for line in said if line]


def _of_one(result: Result, models_dir: Path, gpu: str | None, power: Power) -> list[str]:
    said = []
    if result.fingerprint.model_root or gpu:
        bound = bound_of(result, models_dir=models_dir, gpu=gpu)
        said.append(f"memory: {bound}" if isinstance(bound, str) else _bound_line(bound))
    if energy := energy_of(result, power):
        said.append(_energy_line(energy))
    return said


def bound_of(result: Result, *, models_dir: Path, gpu: str | None = None) -> Roofline | str:
    """
    Lay a result beside what memory allows; where that is unknown, say why.

    Args:
        gpu: The server's card by its name; ``None``: as the result says.
    """
    metrics, mark = result.metrics, result.fingerprint
    if metrics.tpot is None or not metrics.completed:
        return "no TPOT, so no share of what memory allows."
    if metrics.input_tokens is None or metrics.output_tokens is None:
        return "tokens are not counted, so no share of what memory allows."
    name = gpu or mark.card
    try:
        card = _card(name)
        shape = read_shape(read_facts(mark.model_root or mark.model, models_dir=models_dir).config)
    except WorkbenchError as exc:
        return f"no share of what it allows: {exc.message}"
    if card is None or card.bandwidth_bytes_s is None:
        return f"the bandwidth of {name or 'this server'} is not known here; a card's: --gpu NAME"
    cache = (mark.flags or {}).get("kv_cache_dtype")
    found = roofline(
        shape,
        card,
        batch=_batch(result),
        context_tokens=round(
            (metrics.input_tokens + metrics.output_tokens / 2) / metrics.completed
        ),
        tpot_s=metrics.tpot.mean.value,
        cache_dtype=str(cache or "auto"),
    )
    return found or "the bandwidth is not known."


def _card(name: str | None) -> Card | None:
    """Find a card by what a driver calls it; a processor is none."""
    if name is None or "cores" in name:
        return None
    for words in (name, name.split(",")[0], " ".join(name.split()[1:])):
        try:
            return find_card(words)
        except WorkbenchError:
            continue
    return None


def _batch(result: Result) -> float:
    """Work out how many requests were decoding on average, by Little's law; one at least."""
    decoding_s = sum(
        request.e2el_s - request.ttft_s
        for request in result.requests
        if request.e2el_s is not None and request.ttft_s is not None
    )
    return max(1.0, decoding_s / result.metrics.duration_s)


def energy_of(result: Result, power: Power) -> Energy | None:
    """Work out what a run took; ``None``: nobody knows the watts."""
    began_s = result.started_at.timestamp()
    ended_s = began_s + result.metrics.duration_s
    watts, source = power.watts, "declared"
    if power.meter is not None:
        watts = mean_watts(power.meter.samples, began_s, ended_s)
        source = power.meter.source or ""
    if watts is None:
        return None
    return Energy(
        watts=watts,
        source=source,
        duration_s=result.metrics.duration_s,
        tokens=result.metrics.output_tokens,
        price=power.price,
    )


def _knee_line(results: tuple[Result, ...]) -> str:
    found = knee(points(results))
    if found is None:
        return ""
    if not found.is_reached:
        return f"knee: not reached at {found.concurrency}; throughput still pays for the waiting"
    low, high = found.between
    return (
        f"knee: at concurrency {found.concurrency} (between {low or 1} and {high}), with "
        f"{found.of_peak:.0%} of the greatest throughput: throughput ÷ latency is greatest there"
    )


def _bound_line(found: Roofline) -> str:
    return found.warning or (
        f"memory: {units.rate(found.measured_tps)} while decoding, {found.share:.0%} of the "
        f"{units.rate(found.ceiling_tps)} that {found.gpu}'s "
        f"{found.bandwidth_bytes_s / 1e9:,.0f} GB/s allow for {found.batch:.1f} at once"
    )


def _energy_line(energy: Energy) -> str:
    used = energy.wh_per_1000
    line = f"energy: {energy.watts:,.0f} W ({energy.source})"
    if used is not None:
        line += f", {used:.3g} Wh for 1,000 output tokens"
    if energy.price and energy.cost_per_1000 is not None:
        line += f", {energy.cost_per_1000:.3g} {energy.price.currency}".rstrip()
    return line
