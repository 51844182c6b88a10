"""
The verb that makes what can be pasted into an issue.
"""

from __future__ import annotations

from pathlib import Path

import click

from ..display import View
from .base import Shown, Skin, json_option, shown


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it into a file: Markdown, or JSON with --json.",
)
@click.option(
    "--capture",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write what this machine answers the doctor's checks into a folder instead.",
)
@json_option
@click.pass_obj
def report(skin: Skin, /, out: Path | None, capture: Path | None, as_json: bool) -> Shown:
    """Gather what an issue needs: doctor, versions, boots, errors; no secrets, prompts, names."""
    from ..views import report as seen

    if Path() in (out, capture):
        raise click.UsageError("The name is empty.")  # and would be this folder
    if out and capture:
        raise click.UsageError("--out and --capture write two different things; name one.")
    if capture:
        from ..report import capture as captured
        from ..report import this_machine

        machine = this_machine(skin.session.settings)
        return shown(seen.captured_view(captured(machine, capture)), as_json)
    bundle = skin.session.report()
    if out is None:
        return shown(seen.report_view(bundle), as_json)
    text = seen.report_json(bundle) if as_json else seen.markdown(bundle)
    out.write_text(text, encoding="utf-8")
    return View(title=f"{out} has the report. Read it before you give it to anybody.")
