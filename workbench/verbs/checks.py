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
    help="Say what is wrong with this compose file, and nothing else.",
)
@click.option("--profile", help="Say what is wrong with this service of the compose file.")
@click.option("--only", multiple=True, metavar="ID", help="Make this check only.")
@click.option("--backend", help="Leave out what only others need: embedded, compose.")
@click.option("--explain", metavar="ID", help="Say what a check looks at, and why.")
@click.option(
    "--symptom", metavar="TEXT|FILE", help="Say what may be behind an error, a log, a sentence."
)
@click.option("--fix", metavar="ID", help="Say what would mend a fault, and with --yes do it.")
@click.option(
    "--yes", is_flag=True, help="With --fix: do it, if it needs no root and risks nothing."
)
@click.option("--dry-run", is_flag=True, help="With --fix: only say what would be done.")
@click.option(
    "--machine",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Look at a machine that `workbench report --capture` wrote, and not at this one.",
)
@json_option
@click.pass_obj
def doctor(
    skin: Skin,
    /,
    *,
    compose_file: Path | None,
    profile: str | None,
    only: tuple[str, ...],
    backend: str | None,
    explain: str | None,
    symptom: str | None,
    fix: str | None,
    yes: bool,
    dry_run: bool,
    folder: Path | None,
    as_json: bool,
) -> Shown:
    """Say what is wrong with this machine or a compose file, what to mend first, and how."""
    from ..doctor import (  # with YAML, for this verb only
        Machine,
        causes,
        chosen,
        examine,
        examine_folder,
        lint,
        mend,
    )
    from ..views import doctor as seen

    if (yes or dry_run) and fix is None:
        raise click.UsageError("--yes and --dry-run go with --fix ID.")
    asked = {
        "--compose or --profile": compose_file or profile,
        "--explain": explain,
        "--symptom": symptom,
        "--fix": fix,
        "--machine": folder,
    }
    named = [name for name, value in asked.items() if value is not None]
    if len(named) > 1:
        raise click.UsageError(f"{' and '.join(named)} are different questions; ask one.")
    settings = skin.session.settings
    if compose_file or profile:
        path = compose_file or _compose_file_in(settings.home)
        linted = lint(path, settings.variables_beside(path), profile=profile)
        return shown(views.lint_view(linted), as_json)
    if explain is not None:
        return shown(seen.explanation(*chosen([explain])), as_json)
    if symptom is not None:
        return shown(seen.causes_view(causes(_text_or_file(symptom))), as_json)
    if folder:
        report = examine_folder(folder, checks=chosen(only, backend=backend))
        return shown(seen.host_view(report, every=bool(only)), as_json)
    machine = Machine(settings.home, settings.variables_beside(settings.home / ".env"))
    if fix is not None:
        mended = mend(fix, machine, really=yes and not dry_run)
        return shown(seen.mended_view(mended), as_json)
    examined = examine(machine, checks=chosen(only, backend=backend))
    return shown(seen.host_view(examined, every=bool(only)), as_json)


def _text_or_file(given: str) -> str:
    """Read a file of that name, if there is one; a log may be longer than a file's name can be."""
    try:
        is_file = Path(given).is_file()
    except (OSError, ValueError):
        is_file = False
    return Path(given).read_text(encoding="utf-8", errors="replace") if is_file else given


def _compose_file_in(folder: Path) -> Path:
    """Find the file that `docker compose` reads there; name the usual one if there is none."""
    from ..servers.compose_cli import FILE_NAMES

    paths = [folder / name for name in FILE_NAMES]
    return next((path for path in paths if path.exists()), folder / "docker-compose.yml")
