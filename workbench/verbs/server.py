"""
Verbs that start, stop, switch and watch the server.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from .. import views
from ..display import View
from ..errors import ServerError, SwitchError
from ..records import Diagnosis, ServerState

if TYPE_CHECKING:
    pass

from .base import SWITCHED, Shown, Skin, json_option, server_options, shown


@click.command()
@click.option(
    "--apply", is_flag=True, help="If a setting would mend a start that fails, try once with it."
)
@server_options()
@json_option
@click.pass_obj
def up(skin: Skin, /, apply: bool, as_json: bool, **settings: Any) -> Shown:
    """Make the server ready: install, pull, start."""
    with skin.configured(**settings) as session, skin.progress() as on_progress:
        try:
            status = session.up(on_progress=on_progress)
        except ServerError as exc:
            if not apply or exc.diagnosis is None or exc.diagnosis.setting is None:
                raise
            failed = exc.diagnosis
        else:
            return shown(views.status_view(status), as_json)
    return _up_again(skin, failed, settings, as_json=as_json)


def _up_again(skin: Skin, failed: Diagnosis, settings: dict[str, Any], *, as_json: bool) -> Shown:
    """Start once more, with the setting that a failed start was said to need."""
    assert failed.setting is not None
    name, value = failed.setting
    click.echo(f"{failed.cause} Trying {name} = {value} …", err=True)
    with skin.configured(**settings | {name: value}) as session, skin.progress() as on_progress:
        status = session.up(on_progress=on_progress)
    kept = f"It runs with {name} = {value}; to keep it, in .env: WORKBENCH_{name.upper()}={value}"
    return shown(views.status_view(replace(status, detail=kept)), as_json)


@click.command()
@click.option(
    "--if-mine", is_flag=True, help="Only if it was started from here, in this notebook or process."
)
@click.pass_obj
def down(skin: Skin, /, if_mine: bool) -> Shown:
    """Stop the server and every process of it."""
    if skin.session.down(only_mine=if_mine):
        return View(title="The server is stopped.")
    if skin.session.status().state is ServerState.STOPPED:
        return View(title="No server was running.")
    return View(title="The server was not started from here, so it goes on.")


@click.command()
@server_options()
@json_option
@click.pass_obj
def restart(skin: Skin, /, as_json: bool, **settings: Any) -> Shown:
    """Stop the server, and start it again."""
    with skin.configured(**settings) as session, skin.progress() as on_progress:
        status = session.restart(on_progress=on_progress)
    return shown(views.status_view(status), as_json)


@click.command()
@click.argument("model")
@click.option(
    "--drain-timeout",
    "drain_timeout_s",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Seconds that requests under way may take before they are cut off.",
)
@click.option("--force", is_flag=True, help="Try it although the plan says that it does not fit.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and touch nothing.")
@server_options(*SWITCHED)
@json_option
@click.pass_obj
def use(  # click passes all but the skin by name
    skin: Skin,
    /,
    *,
    model: str,
    drain_timeout_s: float,
    force: bool,
    dry_run: bool,
    as_json: bool,
    **settings: Any,
) -> Shown:
    """
    Serve MODEL instead of the one that runs, and go back if that fails.

    MODEL is a name of the catalogue (workbench models), a folder below models/,
    or a name of the hub.
    """
    if dry_run:
        given = {name: value for name, value in settings.items() if value is not None}
        found = skin.session.plan_use(model, drain_timeout_s=drain_timeout_s, force=force, **given)
        return shown(views.switch_plan_view(found), as_json)
    of_server, of_model = _split(settings)
    with skin.configured(**of_server) as session, skin.progress() as on_progress:
        try:
            report = session.use(
                model,
                drain_timeout_s=drain_timeout_s,
                force=force,
                on_progress=on_progress,
                **of_model,
            )
        except SwitchError as exc:
            return shown(views.switch_view(exc.report, exc), as_json)
    return shown(views.switch_view(report), as_json)


def _split(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the settings that say which server from those that say how to serve a model."""
    of_server: dict[str, Any] = {name: settings.pop(name) for name in ("backend", "profile")}
    return of_server, settings


@click.command()
@click.option("--settings", "show_settings", is_flag=True, help="List the settings instead.")
@json_option
@click.pass_obj
def status(skin: Skin, /, show_settings: bool, as_json: bool) -> Shown:
    """Say whether the server is up, and what it uses."""
    if show_settings:
        return shown(views.settings_view(skin.session.settings), as_json)
    return shown(views.status_view(skin.session.status()), as_json)


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on while the server writes.")
@click.option("-n", "--lines", type=click.IntRange(1), default=40, show_default=True)
@click.pass_obj
def logs(skin: Skin, /, follow: bool, lines: int) -> None:
    """Show the end of the server's log."""
    log = skin.session.logs(follow=follow)
    # Up to the first pause it is what was there before; then it is what comes.
    skin.lines(deque(itertools.takewhile(bool, log), maxlen=lines))
    skin.lines(filter(None, log))
