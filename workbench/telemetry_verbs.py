"""
``telemetry server``, ``reconcile`` and ``summary``: commands for the group ``telemetry``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from . import telemetry_views as views
from .display import Json, View
from .records import SamplingParams

if TYPE_CHECKING:
    from .verbs import Skin

STATUSES = ("ok", "error", "interrupted")


def _window(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--window",
        "window_s",
        type=click.FloatRange(0),
        default=10.0,
        show_default=True,
        help="Seconds to watch; 0: since the server's start, without waiting.",
    )(command)


def _json(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print it for a program.")(command)


@click.command()
@_window
@_json
@click.pass_obj
def server(skin: Skin, /, window_s: float, as_json: bool) -> View | Json:
    """Show what the server says of itself: rates and quantiles over a window."""
    view = views.server_view(skin.session.server_metrics(window_s), window_s=window_s)
    return Json(view.data) if as_json else view


@click.command()
@_window
@click.option("--ask", "prompt", help="Send this prompt, and look at that one request.")
@_json
@click.pass_obj
def reconcile(skin: Skin, /, window_s: float, prompt: str | None, as_json: bool) -> View | Json:
    """
    Lay what was measured here beside what the server counted.

    Without --ask nothing is sent: what this folder's notebooks and shells
    record during the window is compared.
    """
    found = skin.session.reconcile(prompt, SamplingParams(), window_s=window_s)
    view = views.reconcile_view(found)
    return Json(view.data, view.ok) if as_json else view


@click.command()
@click.option("--model", help="Only requests to this one.")
@click.option("--status", type=click.Choice(STATUSES), help="Only those that ended so.")
@click.option("--hours", type=click.FloatRange(0, min_open=True), help="Only the last so many.")
@_json
@click.pass_obj
def summary(
    skin: Skin, /, model: str | None, status: str | None, hours: float | None, as_json: bool
) -> View | Json:
    """Sum up the recorded requests by model."""
    from .telemetry.summary import by_model, select

    since = None if hours is None else timedelta(hours=hours)
    frame = skin.session.telemetry.frame(since=since)
    view = views.summary_view(by_model(select(frame, model=model, status=status)))
    return Json(view.data) if as_json else view


COMMANDS = (server, reconcile, summary)
"""What the group takes: ``for command in COMMANDS: telemetry.add_command(command)``."""
