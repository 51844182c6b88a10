"""
The verb that moves applications over.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .base import Shown, Skin, json_option, shown

if TYPE_CHECKING:
    from ..migrate.folder import OnProgress


@click.command()
@click.argument(
    "path", required=False, type=click.Path(exists=True, path_type=Path), metavar="[PATH]"
)
@click.option("--write", "to_write", is_flag=True, help="Write what is certain; keeps a backup.")
@click.option("--check", is_flag=True, help="Exit with 1 while anything is left, for CI.")
@click.option(
    "--ab",
    "prompts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PROMPTS",
    help="Ask these prompts (a line each, or .jsonl) of the old side and of what is served.",
)
@click.option("--old", metavar="GGUF|URL", help="The old side, for --ab.")
@click.option("--old-model", metavar="NAME", help="Which of the old server's. [default: its first]")
@click.option(
    "--old-api-key",
    metavar="KEY",
    envvar="WORKBENCH_OLD_API_KEY",
    show_envvar=True,
    help="The old server's. In the variable, `ps` does not show it.",
)
@click.option("--temperature", type=float, default=0.0, show_default=True, help="For --ab.")
@click.option("--max-tokens", type=int, default=128, show_default=True, help="For --ab.")
@click.option("--seed", type=int, default=0, show_default=True, help="For --ab.")
@json_option
@click.pass_obj
def migrate(
    skin: Skin,
    /,
    *,
    path: Path | None,
    to_write: bool,
    check: bool,
    prompts: Path | None,
    old: str | None,
    old_model: str | None,
    old_api_key: str | None,
    as_json: bool,
    **sampling: Any,
) -> Shown:
    """
    Move an application over from llama.cpp, Ollama or HTTP by hand.

    PATH is a file, a folder or a notebook. Without --write nothing is changed. With --ab no PATH is
    read: both sides are asked the same, and their answers are laid side by side.
    """
    from ..migrate import examine, write
    from ..views.migrate import comparison_view, migration_view

    if prompts is not None:
        if old is None:
            raise click.UsageError("--ab wants to know the old side: --old GGUF or --old URL")
        from ..migrate.compare import compare_with_served, parameters

        params = parameters(**sampling)
        found = compare_with_served(
            skin.session, prompts, old, params, model=old_model, api_key=old_api_key
        )
        return shown(comparison_view(found), as_json)
    if path is None:
        raise click.UsageError("Name the file or the folder: workbench migrate PATH")
    with _progress(skin, path) as on_progress:
        read = examine(path, on_progress)
    return shown(migration_view(write(read) if to_write else read, check=check), as_json)


def _progress(skin: Skin, path: Path) -> AbstractContextManager[OnProgress | None]:
    """Draw how far a folder is; a file takes no time."""
    return skin.progress() if path.is_dir() else nullcontext(None)
