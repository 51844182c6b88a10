"""
The verb that runs notebooks headless.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import views

if TYPE_CHECKING:
    pass

from .base import Shown, Skin, json_option, server_options, shown


@click.command()
@click.argument("notebooks", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-p",
    "--parameter",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A value for the notebooks' parameters cell.",
)
@click.option("--html", is_flag=True, help="Write an HTML page of each, and an index.html.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="JUnit XML for CI.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the executed copies. [default: results/notebooks]",
)
@click.option("--cell-timeout", type=click.IntRange(1), default=600, show_default=True)
@server_options()
@json_option
@click.pass_obj
def run(  # click passes all but the skin by name
    skin: Skin,
    /,
    *,
    notebooks: tuple[Path, ...],
    parameters: tuple[tuple[str, str], ...],
    html: bool,
    junit: Path | None,
    out: Path | None,
    cell_timeout: int,
    as_json: bool,
    **settings: Any,
) -> Shown:
    """Execute notebooks: all numbered, or those named."""
    from .. import headless  # papermill takes seconds to import

    told = headless.typed_parameters(parameters)
    with skin.configured(**_server_of(told, settings)) as session:
        home = session.settings.home
        batch = headless.Batch(
            notebooks=tuple(notebooks) or headless.numbered_notebooks(home / "notebooks"),
            out=out or home / "results" / "notebooks",
            parameters=told,
            html=html,
            cell_timeout_s=cell_timeout,
        )
        batch.check()
        try:
            with skin.progress() as on_progress:
                session.up(on_progress=on_progress)
            runs = batch.run(headless.environment_for(session))
        finally:
            session.down(only_mine=True)
    if html:
        headless.write_index(runs, batch.out / "index.html")
    if junit:
        headless.write_junit(runs, junit)
    return shown(views.runs_view(runs), as_json)


def _server_of(told: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Name the server that the notebooks are told of: with another one up they would refuse it."""
    named = {name: str(told[name]) for name in ("backend", "base_url", "model") if told.get(name)}
    return named | {name: value for name, value in options.items() if value is not None}
