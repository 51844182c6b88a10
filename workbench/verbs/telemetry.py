"""
The verb ``telemetry``: what was recorded, where it went, and what the server counted.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import views
from ..display import View
from ..records import SamplingParams
from .base import Shown, Skin, json_option, shown

if TYPE_CHECKING:
    import pandas as pd


class Moment(click.ParamType[datetime | timedelta]):
    """A time ago, such as ``90s``, ``30m``, ``6h``, ``7d``; or a date and time, ISO 8601."""

    name = "when"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime | timedelta:
        """Read it."""
        if found := re.fullmatch(r"(\d{1,6})([smhd])", str(value)):
            seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]
            ago = timedelta(seconds=int(found[1]) * seconds)
            # No server is older; further back Python's calendar ends.
            return min(ago, LONGEST_AGO)
        try:
            moment = datetime.fromisoformat(str(value))
            moment.astimezone(UTC)
            return moment
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither 30m, 6h, 7d nor 2026-03-01T12:00.", param, ctx)


LONGEST_AGO = timedelta(days=365 * 1000)
MOST_ROWS = 2**31
LONGEST_WAIT_S = 86_400.0
TELL_EVERY_S = 60.0

STATUSES = ("ok", "error", "interrupted")


def chosen_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which requests."""
    options = (
        click.option("--model", help="Only those of this model."),
        click.option("--status", type=click.Choice(STATUSES), help="Only those that ended so."),
        click.option("--since", type=Moment(), help="Only later ones: 30m, 6h, 7d, or a date."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def last_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how many of the requests, and in which order."""
    sort = click.option("--sort", metavar="COLUMN", help="The largest first: ttft_s, duration_s …")
    last = click.option(
        "-n", "--last", type=click.IntRange(1, MOST_ROWS), default=20, show_default=True
    )
    return last(sort(chosen_options(command)))


def last_requests(skin: Skin, *, last: int, sort: str | None, **chosen: Any) -> pd.DataFrame:
    """
    Read the last requests, in the order of sending, or with the largest of a column first.

    Raises:
        click.BadParameter: There is no such column.
    """
    if sort is None:
        return skin.session.telemetry.frame(last=last, **chosen)
    frame = skin.session.telemetry.frame(**chosen)
    if sort not in frame:
        known = ", ".join(frame.columns)
        raise click.BadParameter(f"{sort!r} is none of: {known}.", param_hint="--sort")
    return frame.sort_values(sort, ascending=False, na_position="last").head(last)


@click.group(invoke_without_command=True)
@last_options
@json_option
@click.pass_context
def telemetry(context: click.Context, /, as_json: bool, **chosen: Any) -> Shown:
    """Show the last requests of this folder, or what becomes of them."""
    if context.invoked_subcommand:
        return None
    return shown(views.telemetry_view(last_requests(context.obj, **chosen)), as_json)


@telemetry.command("status")
@json_option
@click.pass_obj
def telemetry_status(skin: Skin, /, as_json: bool) -> Shown:
    """Say what is recorded, and how far each sink is."""
    return shown(views.telemetry_status_view(skin.session.telemetry.stored()), as_json)


@telemetry.command()
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, LONGEST_WAIT_S),
    default=30.0,
    show_default=True,
    help="Seconds that it may take.",
)
@click.option(
    "--from-start", is_flag=True, help="Send all that is recorded, also from before a sink was on."
)
@json_option
@click.pass_obj
def flush(skin: Skin, /, timeout_s: float, from_start: bool, as_json: bool) -> Shown:
    """Send what waits to the sinks now, and wait for it; 1 if something is left."""
    recorded = skin.session.telemetry
    done = recorded.deliver(timeout_s, from_start=from_start)
    view = views.telemetry_status_view(recorded.stored())
    return shown(replace(view, ok=done), as_json)


@telemetry.command()
@click.option("-n", "--last", type=click.IntRange(0, MOST_ROWS), default=10, show_default=True)
@click.option("-f", "--follow", is_flag=True, help="Go on with those that come.")
@json_option
@click.pass_obj
def tail(skin: Skin, /, last: int, follow: bool, as_json: bool) -> None:
    """Write the last requests, a line each."""
    line = views.record_json if as_json else views.record_line
    skin.lines(map(line, skin.session.telemetry.tail(last=last, follow=follow)))


@telemetry.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@chosen_options
@click.pass_obj
def export(skin: Skin, /, file: Path, **chosen: Any) -> Shown:
    """Write requests into FILE.jsonl, FILE.csv or FILE.parquet (with pyarrow)."""
    from ..telemetry import Chosen

    count = skin.session.telemetry.export(file, Chosen(**chosen))
    return View(title=f"{file} has {count:,} requests.")


def _window(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--window",
        "window_s",
        type=click.FloatRange(0),
        default=10.0,
        show_default=True,
        help="Seconds to watch; 0: since the server's start, without waiting.",
    )(command)


@telemetry.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=5000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each message.")
@click.pass_obj
def serve(skin: Skin, /, host: str, port: int, as_json: bool) -> None:
    """Receive what others send to LOGGING_ENDPOINT; keep it, and send it on."""
    from ..sidecar import counted, counts, sidecar

    with sidecar(skin.session, host=host, port=port) as receiver:
        url = "http://{}:{}/logs".format(*receiver.server_address[:2])
        said = f"Set where records come from: LOGGING_ENDPOINT={url} (Ctrl-C ends it)"
        click.echo(json.dumps({"url": url}) if as_json else said)
        told = counts(receiver)
        while True:
            time.sleep(TELL_EVERY_S)
            if (now := counts(receiver)) != told:
                told = now
                click.echo(json.dumps(now) if as_json else counted(receiver), err=not as_json)


@telemetry.command()
@_window
@json_option
@click.pass_obj
def server(skin: Skin, /, window_s: float, as_json: bool) -> Shown:
    """Show what the server says of itself: rates and quantiles over a window."""
    frame = skin.session.server_metrics(window_s)
    return shown(views.server_view(frame, window_s=window_s), as_json)


@telemetry.command()
@_window
@click.option("--ask", "prompt", help="Send this prompt, and look at that one request.")
@json_option
@click.pass_obj
def reconcile(skin: Skin, /, window_s: float, prompt: str | None, as_json: bool) -> Shown:
    """
    Lay what was measured here beside what the server counted.

    Without --ask nothing is sent: what this folder's notebooks and shells
    record during the window is compared.
    """
    found = skin.session.reconcile(prompt, SamplingParams(), window_s=window_s)
    return shown(views.reconcile_view(found), as_json)


@telemetry.command()
@chosen_options
@json_option
@click.pass_obj
def summary(skin: Skin, /, as_json: bool, **chosen: Any) -> Shown:
    """Sum up the recorded requests by model."""
    from ..telemetry.summary import by_model

    frame = skin.session.telemetry.frame(**chosen)
    return shown(views.summary_view(by_model(frame)), as_json)
