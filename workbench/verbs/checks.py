"""
Verbs that look for what is wrong: with a server, and with a compose file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .. import views

if TYPE_CHECKING:
    pass

from .base import Shown, Skin, json_option, shown


@click.command()
@json_option
@click.pass_obj
def smoke(skin: Skin, /, as_json: bool) -> Shown:
    """Ask what runs by Python, TypeScript and curl, and compare the answers."""
    return shown(views.smoke_view(skin.session.smoke()), as_json)


@click.command()
@json_option
@click.pass_obj
def probe(skin: Skin, /, as_json: bool) -> Shown:
    """Ask the running server what it and its model can do."""
    with skin.progress() as on_progress:
        found = skin.session.probe(on_progress=on_progress)
    return shown(views.probe_view(found), as_json)


@click.command()
@click.option(
    "--compose",
    "compose_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The compose file to read. [default: the project folder's]",
)
@click.option("--profile", help="Look at this service only.")
@json_option
@click.pass_obj
def doctor(skin: Skin, /, compose_file: Path | None, profile: str | None, as_json: bool) -> Shown:
    """Say what is wrong with a compose file."""
    from ..doctor import lint  # reads YAML, which no other verb needs

    settings = skin.session.settings
    path = compose_file or _compose_file_in(settings.home)
    report = lint(path, settings.variables_beside(path), profile=profile)
    return shown(views.lint_view(report), as_json)


def _compose_file_in(folder: Path) -> Path:
    """Find the file that `docker compose` reads there; name the usual one if there is none."""
    from ..servers.compose_cli import FILE_NAMES

    paths = [folder / name for name in FILE_NAMES]
    return next((path for path in paths if path.exists()), folder / "docker-compose.yml")
