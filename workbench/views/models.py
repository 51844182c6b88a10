"""
How models look: the table of them, a plan, what was predicted, what was fetched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from .. import units
from ..display import View
from ..records import (
    Verdict,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..hub import Fetched
    from ..inventory import Item, OnDisk
    from ..predictions import Prediction
    from ..probe import KeptProbe
    from ..vram import Plan

from .base import near


@dataclass(frozen=True, kw_only=True)
class PlanView(View):
    """A plan as a table, with the plan itself and its picture at hand."""

    plan: Plan

    def picture(self) -> Figure:
        """Draw where the card's memory goes."""
        from ..plots import memory

        return memory([self.plan])


def fetched_view(found: Fetched) -> View:
    """Show what is in a model's folder now, and the command that serves it."""
    at = f"{found.fetched_at:%Y-%m-%d %H:%M} UTC" if found.fetched_at else units.UNKNOWN
    rows = [
        ("model", found.repo),
        ("folder", near(found.folder)),
        ("revision", f"{found.revision}, commit {found.commit[:12]}"),
        ("files", f"{len(found.files)}, {units.size(found.size_bytes)}; checksums right"),
        ("fetched", f"{units.size(found.come_bytes)} now" if found.come_bytes else at),
    ]
    if found.mended:
        rows.append(("mended", f"{', '.join(found.mended)}: not as on the hub, so fetched again"))
    return View(
        rows=tuple(rows),
        note=f"Serve it: workbench use {found.folder.name}",
        data=asdict(found),
    )


def inventory_view(items: Sequence[Item]) -> View:
    """List what there is to serve, and what is known of each."""
    gpu = next((item.plan.gpu for item in items if item.plan), units.UNKNOWN)
    return View(
        title=f"To serve, as it would fit on: {gpu}",
        columns=(
            *("model", "on disk", "fits", "context", "at most", "licence"),
            *("last boot", "last probe"),
        ),
        numeric=frozenset({"context", "at most"}),
        rows=tuple(map(_inventory_row, items)),
        note="\n".join(_inventory_note(items)),
        data=[_inventory_data(item) for item in items],
    )


def _inventory_note(items: Sequence[Item]) -> Iterator[str]:
    yield (
        "at most: tokens per second that one request decodes. "
        "Why each is there, and its settings: --json"
    )
    for item in items:
        if item.no_plan and item.on_disk:
            yield f"{item.name} could not be planned: {item.no_plan}"


def _inventory_row(item: Item) -> tuple[str, ...]:
    entry, plan, boot, probe = item.entry, item.plan, item.last_boot, item.last_probe
    licence = entry.licence if entry and entry.licence else units.UNKNOWN
    return (
        f"{item.name} ●" if item.is_served else item.name,
        _on_disk(item.on_disk),
        units.UNKNOWN if plan is None else ("yes" if plan.fits else "no"),
        units.count(_context(plan) if plan else None),
        units.rate(plan.decode_ceiling_tps if plan else None),
        f"{licence}, gated" if entry and entry.gated else licence,
        f"{boot.at:%Y-%m-%d}, {units.seconds(boot.total_s)}" if boot else units.UNKNOWN,
        _last_probe(probe) if probe else units.UNKNOWN,
    )


def _context(plan: Plan) -> int:
    """Return the context that it would be served with, or the longest that would fit."""
    return plan.asked_model_len if plan.fits else plan.max_model_len


def _on_disk(found: OnDisk | None) -> str:
    if found is None:
        return units.UNKNOWN
    if found.missing_bytes:
        return f"{units.size(found.size_bytes)}, {units.size(found.missing_bytes)} missing"
    return units.size(found.size_bytes)


def _last_probe(probe: KeptProbe) -> str:
    counts = Counter(probe.verdicts.values())
    told = (f"{counts[verdict]} {verdict.upper()}" for verdict in Verdict if counts[verdict])
    return f"{probe.at:%Y-%m-%d}, {', '.join(told)}"


def _inventory_data(item: Item) -> dict[str, Any]:
    data = asdict(replace(item, plan=None))
    return data | {"plan": item.plan.view().data if item.plan else None}


def plan_view(plan: Plan) -> PlanView:
    """Show what each part takes, then the answer in words and the flags to use."""
    shown = plan.view()
    return PlanView(
        **{field.name: getattr(shown, field.name) for field in fields(shown)}, plan=plan
    )


def predictions_view(history: Sequence[Prediction]) -> View:
    """Show for each boot what was predicted and what its log said."""
    columns = ("boot (UTC)", "model", "GPU", "vLLM", "weights", "KV cache", "predicted", "error")
    return View(
        columns=columns,
        numeric=frozenset(columns[4:]),
        rows=tuple(map(_prediction_row, history)),
        note="KV cache and its prediction in tokens, as the log counts them."
        if history
        else "No boot was recorded yet: workbench up",
        data=[asdict(boot) for boot in history],
    )


def _prediction_row(boot: Prediction) -> tuple[str, ...]:
    error = boot.error_percent
    return (
        boot.at[:16].replace("T", " "),
        boot.model,
        boot.gpu,
        boot.version or units.UNKNOWN,
        units.size(boot.measured.weights_bytes),
        units.count(boot.measured.kv_cache_tokens),
        units.count(boot.predicted.kv_cache_tokens if boot.predicted else None),
        units.UNKNOWN if error is None else f"{error:+.1f} %",
    )
