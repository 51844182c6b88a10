"""
How what the verbs return looks: records in, :class:`~workbench.display.View` out.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from textwrap import fill, indent, shorten
from typing import TYPE_CHECKING, Any

from . import units
from .display import GAP, View, for_terminal
from .errors import ClientError, SwitchError
from .records import (
    BootPhase,
    Check,
    ContainerStatus,
    Finding,
    Generation,
    GpuStatus,
    Quicker,
    ServedModel,
    ServerStatus,
    SwitchPlan,
    SwitchReport,
    ToolStep,
    Verdict,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from .doctor import Report, Shown
    from .headless import NotebookRun
    from .hub import Fetched
    from .inventory import Item, OnDisk
    from .predictions import Prediction
    from .probe import KeptProbe, Probe
    from .settings import Settings
    from .smoke import SmokeReport
    from .telemetry import SinkStatus, StoreStatus, TelemetryRecord
    from .vram import Plan

MAX_SHOWN_RESULT = 400
"""The model reads all of a tool's result, and a person the beginning."""

MAX_SHOWN_EVIDENCE = 80
"""A table's line; what did not pass is told in full below it, and --json has all."""


@dataclass(frozen=True, kw_only=True)
class PlanView(View):
    """A plan as a table, with the plan itself and its picture at hand."""

    plan: Plan

    def picture(self) -> Figure:
        """Draw where the card's memory goes."""
        from .plots import memory

        return memory([self.plan])


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


def switch_view(report: SwitchReport, error: SwitchError | None = None) -> View:
    """Show the steps of a switch, and what serves now."""
    before = report.before or "nothing"
    took = units.seconds(report.duration_s)
    title = f"{before} → {report.model}: {'switched' if report.switched else 'failed'}, {took}"
    if not report.steps:
        title = f"{report.model} runs already."
    if report.unavailable_s is not None:
        title += f", of which nothing served for {units.seconds(report.unavailable_s)}"
    return View(
        title=title,
        columns=("step", "verdict", "time", "seen") if report.steps else (),
        numeric=frozenset({"time"}),
        rows=tuple(
            (step.name, step.verdict.upper(), units.seconds(step.duration_s), step.seen)
            for step in report.steps
        ),
        note=str(error) if error else "\n".join(map(_quicker_line, report.quicker)) or None,
        data=asdict(report) | {"error": error.message if error else None},
        ok=report.switched,
    )


def switch_plan_view(plan: SwitchPlan) -> View:
    """Show what a switch would do, the command last: it is the longest."""
    would_run = [_wrapped(f"would run: {plan.command}")] if plan.command else []
    return View(
        title=f"{plan.before or 'nothing'} → {plan.model}: what would be done",
        rows=plan.steps,
        note="\n".join([*map(_quicker_line, plan.quicker), *would_run]),
        data=asdict(plan) | {"steps": [{"name": name, "what": what} for name, what in plan.steps]},
    )


def _quicker_line(way: Quicker) -> str:
    return f"{way.name}: {'' if way.offered else 'needs '}{way.says}"


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


def lint_view(report: Report) -> View:
    """Show what is wrong with a compose file, then what would run."""
    count = units.count(len(report.findings), "finding")
    return View(
        title=f"{_near(report.path)}: {count if report.findings else 'nothing found'}",
        rows=tuple(
            (finding.verdict.upper(), finding.id, finding.seen.splitlines()[0])
            for finding in report.findings
        ),
        note="\n\n".join([*map(_finding_text, report.findings), *map(_would_run, report.services)]),
        data={
            "path": str(report.path),
            "findings": [asdict(finding) for finding in report.findings],
            "services": [asdict(service) for service in report.services],
        },
        ok=report.ok,
    )


def _finding_text(finding: Finding) -> str:
    parts = [
        f"{finding.verdict.upper()} {finding.id}",
        indent(finding.seen, "  "),
        _wrapped(finding.why),
        "  write instead:",
        indent(finding.fix, "    "),
    ]
    return "\n".join([*parts, f"  source: {finding.source}"] if finding.source else parts)


def _wrapped(text: str) -> str:
    """Break a text at its spaces only: an option cut at its hyphens cannot be copied."""
    return fill(
        text,
        96,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _would_run(service: Shown) -> str:
    """Write what Docker would start, a thing a line; it holds no secrets any more."""
    listed = {
        "mounts": service.mounts,
        "ports": service.ports,
        "devices": service.devices,
        "environment": service.environment,
    }
    lines = [
        f"would run: {service.name}",
        f"  image: {service.image}",
        _wrapped(shlex.join(service.argv)),
        *(f"  {name}: {item}" for name, items in listed.items() for item in items),
        f"  restart: {service.restart}",
        f"  health: {service.health}",
    ]
    return "\n".join(lines)


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


def fetched_view(found: Fetched) -> View:
    """Show what is in a model's folder now, and the command that serves it."""
    at = f"{found.fetched_at:%Y-%m-%d %H:%M} UTC" if found.fetched_at else units.UNKNOWN
    rows = [
        ("model", found.repo),
        ("folder", _near(found.folder)),
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


def probe_view(probe: Probe) -> View:
    """Show what a server and its model can do, by groups; then what is not as it might be."""
    counts = Counter(check.verdict for check in probe.checks)
    summary = ", ".join(f"{counts[verdict]} {verdict.upper()}" for verdict in Verdict)
    version = f"vLLM {probe.vllm_version}" if probe.vllm_version else "no vLLM"
    asked = [check for check in probe.checks if check.verdict is not Verdict.PASS]
    return View(
        title=f"{probe.model} at {probe.base_url} ({version}): {summary}",
        columns=("group", "check", "verdict", "seen", "time"),
        numeric=frozenset({"time"}),
        rows=tuple(map(_check_row, probe.checks, _once(check.group for check in probe.checks))),
        note="\n".join(map(_checks_text, _alike(asked))) or None,
        data=asdict(probe) | {"ok": probe.ok},
        ok=probe.ok,
    )


def _once(names: Iterable[str]) -> Iterator[str]:
    """Leave a name out where it is the same as above."""
    above = None
    for name in names:
        yield "" if name == above else name
        above = name


def _check_row(check: Check, group: str) -> tuple[str, ...]:
    seen = shorten(check.seen, MAX_SHOWN_EVIDENCE, placeholder=" …")
    return (group, check.id, check.verdict.upper(), seen, units.seconds(check.duration_s))


def _alike(checks: Iterable[Check]) -> list[list[Check]]:
    """Put together what means the same: six kinds of tool calls need one setting."""
    alike: dict[tuple[Verdict, str], list[Check]] = {}
    for check in checks:
        alike.setdefault((check.verdict, check.means), []).append(check)
    return list(alike.values())


def _checks_text(checks: Sequence[Check]) -> str:
    first = checks[0]
    names = ", ".join(check.id for check in checks)
    evidence = dict.fromkeys(check.seen for check in checks)
    return "\n".join(
        [f"{first.verdict.upper()} {names}", *map(_wrapped, evidence), _wrapped(first.means)]
    )


def smoke_view(report: SmokeReport) -> View:
    """Show a line for each step, then what to try where one did not pass."""
    failed = sum(step.verdict is Verdict.FAIL for step in report.steps)
    result = f"{failed} of {len(report.steps)} failed" if failed else "nothing failed"
    took = units.seconds(report.duration_s)
    return View(
        title=f"{report.model or 'no model'} at {report.base_url}: {result}, {took}",
        columns=("step", "verdict", "time", "seen"),
        numeric=frozenset({"time"}),
        rows=tuple(
            (step.name, step.verdict.upper(), units.seconds(step.duration_s), step.seen)
            for step in report.steps
        ),
        note="\n".join(
            f"{step.verdict.upper()} {step.name}: {step.next_step}"
            for step in report.steps
            if step.next_step
        )
        or None,
        data=asdict(report),
        ok=report.ok,
    )


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


def telemetry_status_view(status: StoreStatus) -> View:
    """Show what is recorded, and a line for each sink."""
    title = (
        f"{status.path}: {status.rows:,} requests, {units.size(status.size_bytes)}"
        f"{f', {_moment(status.first)} to {_moment(status.last)} (UTC)' if status.first else ''}"
    )
    failing = [f"{sink.name}: {sink.last_error}" for sink in status.sinks if sink.last_error]
    return View(
        title=title,
        columns=("sink", "sent", "waiting", "rejected", "lost", "state") if status.sinks else (),
        numeric=frozenset({"sent", "waiting", "rejected", "lost"}),
        rows=tuple(_sink_row(sink) for sink in status.sinks),
        note="\n".join(failing) or (None if status.sinks else "No sink was turned on yet."),
        data=asdict(status),
    )


def _sink_row(sink: SinkStatus) -> tuple[str, ...]:
    counts = (sink.sent, sink.waiting, sink.rejected, sink.lost)
    return (sink.name, *map(units.count, counts), _sink_state(sink))


def _sink_state(sink: SinkStatus) -> str:
    if sink.failing_since is None:
        return "well" if sink.last_sent_at else "nothing sent yet"
    what = "to be corrected, failing" if sink.permanent else "failing"
    return f"{what} since {_moment(sink.failing_since)}, again at {_moment(sink.retry_at)}"


def _moment(timestamp: str | None) -> str:
    return units.UNKNOWN if timestamp is None else timestamp[:19].replace("T", " ")


def record_line(record: TelemetryRecord) -> str:
    """Write a request as a line of a log."""
    parts = (
        _moment(record.timestamp),
        record.model or units.UNKNOWN,
        record.status,
        record.finish_reason or record.error_type or units.UNKNOWN,
        f"{units.count(record.input_tokens)} + {units.count(record.output_tokens)} tokens",
        f"TTFT {units.seconds(record.ttft_s)}",
        f"E2E {units.seconds(record.e2e_latency_s)}",
    )
    return for_terminal(GAP.join(parts))


def record_json(record: TelemetryRecord) -> str:
    """Write a request as a line for programs."""
    return json.dumps(asdict(record))


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


def step_line(step: ToolStep) -> str:
    """Write a tool's call and what it came to."""
    cut = len(step.result) > MAX_SHOWN_RESULT
    told = f"{step.result[:MAX_SHOWN_RESULT]}…" if cut else step.result
    return f"{step.call.name}({step.call.arguments}) → {told} ({units.seconds(step.duration_s)})"


def generation_data(generation: Generation) -> dict[str, Any]:
    """Write an answer as data, without the clock readings that mean nothing elsewhere."""
    data = asdict(generation)
    del data["timings"]
    return data | {"params": generation.params.given(), "error": None}


def refusal_data(error: ClientError) -> dict[str, Any]:
    """Write a request that failed as data, in the form of an answer: with what had come of it."""
    data = generation_data(error.partial) if error.partial else _nothing_data(error)
    status = getattr(error, "status_code", None)
    about = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
    return data | {"request_id": error.request_id, "error": about | {"status_code": status}}


def _nothing_data(error: ClientError) -> dict[str, Any]:
    """Write an answer of which nothing came: every key is there, and what is unknown is null."""
    data = {
        item.name: None if item.default is MISSING else item.default
        for item in fields(Generation)
        if item.name != "timings"
    }
    return data | {"text": "", "attempts": None, "base_url": error.base_url}


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


def _near(path: Path) -> str:
    """Write a path as short as it can be typed from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _age_s(moment: datetime | None) -> float | None:
    return (datetime.now(UTC) - moment).total_seconds() if moment else None
