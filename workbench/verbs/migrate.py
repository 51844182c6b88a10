"""
The verb that moves applications over.
"""

from __future__ import annotations

from pathlib import Path

import click

from .base import Shown, Skin, json_option, shown


@click.command()
@click.argument(
    "path", required=False, type=click.Path(exists=True, path_type=Path), metavar="[PATH]"
)
@click.option("--write", "to_write", is_flag=True, help="Write what is certain; keeps a backup.")
@click.option("--check", is_flag=True, help="Exit with 1 while anything is left, for CI.")
@json_option
@click.pass_obj
def migrate(skin: Skin, /, path: Path | None, to_write: bool, check: bool, as_json: bool) -> Shown:
    """
    Move an application over from llama.cpp, Ollama or HTTP by hand.

    PATH is a file, a folder or a notebook. Without --write nothing is changed.
    """
    from ..migrate import examine, write
    from ..views.migrate import migration_view

    if path is None:
        raise click.UsageError("Name the file or the folder: workbench migrate PATH")
    found = examine(path)
    return shown(migration_view(write(found) if to_write else found, check=check), as_json)
