"""
How what the verbs return looks: records in, :class:`~workbench.display.View` out.
"""

from .bench import BenchView, bench_view
from .chat import generation_data, refusal_data, status_line, step_line
from .checks import lint_view, probe_view, smoke_view
from .models import PlanView, fetched_view, inventory_view, plan_view, predictions_view
from .notebooks import runs_view
from .server import models_view, phase_line, settings_view, status_view
from .switch import switch_plan_view, switch_view
from .telemetry import (
    reconcile_view,
    record_json,
    record_line,
    server_view,
    summary_view,
    telemetry_status_view,
    telemetry_view,
)

__all__ = [
    "BenchView",
    "PlanView",
    "bench_view",
    "fetched_view",
    "generation_data",
    "inventory_view",
    "lint_view",
    "models_view",
    "phase_line",
    "plan_view",
    "predictions_view",
    "probe_view",
    "reconcile_view",
    "record_json",
    "record_line",
    "refusal_data",
    "runs_view",
    "server_view",
    "settings_view",
    "smoke_view",
    "status_line",
    "status_view",
    "step_line",
    "summary_view",
    "switch_plan_view",
    "switch_view",
    "telemetry_status_view",
    "telemetry_view",
]
