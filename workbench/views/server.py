"""
How a server looks, what it serves, and the settings that it was started with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .. import units
from ..display import View
from ..records import (
    BootPhase,
    ContainerStatus,
    GpuStatus,
    ServedModel,
    ServerStatus,
)

if TYPE_CHECKING:
    from ..settings import Settings


def status_view(status: ServerStatus) -> View:
    """Show a server's state, with the next command to type where there is one."""
    rows = [
        ("server", f"{status.backend}, {status.state}"),
        ("base URL", status.base_url),
        ("models", ", ".join(_models(status.models)) or units.UNKNOWN),
        ("vLLM", status.version or units.UNKNOWN),
    ]
    if status.pids:
        rows.append(("up for", units.seconds(_age_s(status.started_at))))
        rows.append(("memory", f"{units.size(status.rss_bytes)} (processes: {len(status.pids)})"))
    if status.container:
        rows += _container_rows(status.container, status.started_at)
    rows += [(gpu.name, _gpu(gpu)) for gpu in status.gpus]
    if status.log_path:
        rows.append(("log", str(status.log_path)))
    if status.detail:
        rows.append(("detail", status.detail))
    note = {"stopped": "Start it: workbench up", "failed": "Why: workbench logs"}.get(status.state)
    return View(
        rows=tuple(rows),
        note=None if status.backend == "remote" else note,
        data=asdict(status),
    )


def _container_rows(
    container: ContainerStatus, started_at: datetime | None
) -> list[tuple[str, str]]:
    restarts = f", started again {container.restarts} times" if container.restarts else ""
    rows = [
        ("container", f"{container.name}, profile {container.profile}{restarts}"),
        ("health", container.health or units.UNKNOWN),
        ("image", f"{container.image} ({container.image_digest[:19]})"),
    ]
    if container.memory_bytes is not None:
        busy = container.cpu_percent
        rows += [
            ("up for", units.seconds(_age_s(started_at))),
            ("CPU", units.UNKNOWN if busy is None else f"{busy:.0f} % of a core"),
            (
                "memory",
                f"{units.size(container.memory_bytes)} of "
                f"{units.size(container.memory_limit_bytes)}",
            ),
        ]
    return rows


def _gpu(gpu: GpuStatus) -> str:
    busy = "" if gpu.busy_percent is None else f", {gpu.busy_percent:.0f} % busy"
    return f"{units.size(gpu.memory_used_bytes)} of {units.size(gpu.memory_total_bytes)}{busy}"


def models_view(models: Sequence[ServedModel]) -> View:
    """List what a server serves."""
    return View(
        columns=("served model name", "max model len", "from"),
        numeric=frozenset({"max model len"}),
        rows=tuple(
            (model.name, units.count(model.max_model_len), model.root or units.UNKNOWN)
            for model in models
        ),
        data=[asdict(model) for model in models],
    )


def settings_view(settings: Settings) -> View:
    """List every setting, its value and where the value came from."""
    described = [
        (name, "" if value is None else str(value), origin, text)
        for name, value, origin, text in settings.described()
    ]
    return View(
        title=f"project folder: {settings.home}",
        columns=("setting", "value", "from", "meaning"),
        rows=tuple(described),
        data={name: {"value": value, "from": origin} for name, value, origin, _ in described},
    )


def phase_line(phase: BootPhase) -> str:
    """Write a finished phase with its duration, a running one with an ellipsis."""
    if phase.ended_s is None:
        return f"{phase.name} …"
    return f"{phase.name} {units.seconds(phase.ended_s - phase.began_s)}"


def _models(models: Sequence[ServedModel]) -> list[str]:
    """Write each model once: its name, its other names, and how long its context may be."""
    by_origin: dict[object, list[ServedModel]] = {}
    for model in models:
        by_origin.setdefault(model.root or model.name, []).append(model)
    return [_model(*alike) for alike in by_origin.values()]


def _model(model: ServedModel, *also: ServedModel) -> str:
    names = " = ".join(each.name for each in (model, *also))
    if model.max_model_len is None:
        return names
    return f"{names} (max model len {units.count(model.max_model_len)})"


def _age_s(moment: datetime | None) -> float | None:
    return (datetime.now(UTC) - moment).total_seconds() if moment else None
