"""
How what the verbs return looks: records in, :class:`~workbench.display.View` out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import units
from .display import View
from .records import BootPhase, Generation, ServedModel, ServerStatus

if TYPE_CHECKING:
    import pandas as pd

    from .headless import NotebookRun
    from .settings import Settings


def status_view(status: ServerStatus) -> View:
    """Show a server's state, with the next command to type where there is one."""
    rows = [
        ("server", f"{status.backend}, {status.state}"),
        ("base URL", status.base_url),
        ("models", ", ".join(map(_model, status.models)) or units.UNKNOWN),
        ("vLLM", status.version or units.UNKNOWN),
    ]
    if status.pids:
        rows.append(("up for", units.seconds(_age_s(status.started_at))))
        rows.append(("memory", f"{units.size(status.rss_bytes)} (processes: {len(status.pids)})"))
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


def telemetry_view(frame: pd.DataFrame) -> View:
    """Show the recorded requests, newest last."""
    # pandas has three ways to say "missing"; here there is one.
    plain = frame.astype(object).where(frame.notna(), None)
    rows = tuple(_telemetry_row(row) for row in plain.to_dict("records"))
    columns = ("time (UTC)", "model", "in", "out", "TTFT", "E2E latency", "status", "finish")
    return View(
        columns=columns,
        numeric=frozenset(columns[2:6]),
        rows=rows,
        note=None if rows else "Nothing was recorded yet.",
        data=json.loads(frame.to_json(orient="records", date_format="iso")),
    )


def _telemetry_row(row: dict[Any, Any]) -> tuple[str, ...]:
    return (
        f"{row['timestamp']:%m-%d %H:%M:%S}",
        str(row["model"]),
        units.count(row["input_tokens"]),
        units.count(row["output_tokens"]),
        units.seconds(row["ttft_s"]),
        units.seconds(row["e2e_latency_s"]),
        str(row["status"]),
        row["finish_reason"] or row["error_type"] or units.UNKNOWN,
    )


def runs_view(runs: Sequence[NotebookRun]) -> View:
    """Show how the notebooks went and where the executed copies are."""
    failed = [run for run in runs if run.error]
    return View(
        columns=("notebook", "result", "cells", "time", "executed copy"),
        numeric=frozenset({"cells", "time"}),
        rows=tuple(
            (
                run.notebook.name,
                "failed" if run.error else "ok",
                f"{run.cells_run}/{run.cells}",
                units.seconds(run.duration_s),
                " ".join(map(_near, run.written)),
            )
            for run in runs
        ),
        note="\n\n".join(str(run.error) for run in failed) or None,
        data=[run.as_dict() for run in runs],
        ok=not failed,
    )


def status_line(generation: Generation, *, interrupted: bool = False) -> str:
    """
    Say in one line how an answer came.

    The rate is that of decoding, 1 / TPOT: output tokens after the first per second.
    """
    usage = generation.usage
    decode_tps = 1 / generation.tpot_s if generation.tpot_s else None
    return " · ".join(
        (
            f"TTFT {units.seconds(generation.ttft_s)}",
            units.count(usage.output_tokens if usage else None, "token"),
            units.rate(decode_tps),
            "interrupted" if interrupted else (generation.finish_reason or "broke off"),
        )
    )


def generation_data(generation: Generation) -> dict[str, Any]:
    """Write an answer as data, without the clock readings that mean nothing elsewhere."""
    data = asdict(generation)
    del data["timings"]
    return data


def phase_line(phase: BootPhase) -> str:
    """Write a finished phase with its duration, a running one with an ellipsis."""
    if phase.ended_s is None:
        return f"{phase.name} …"
    return f"{phase.name} {units.seconds(phase.ended_s - phase.began_s)}"


def _model(model: ServedModel) -> str:
    if model.max_model_len is None:
        return model.name
    return f"{model.name} (max model len {units.count(model.max_model_len)})"


def _near(path: Path) -> str:
    """Write a path as short as it can be typed from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _age_s(moment: datetime | None) -> float | None:
    return (datetime.now(UTC) - moment).total_seconds() if moment else None
