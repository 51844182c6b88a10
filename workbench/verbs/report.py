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
@json_option
@click.pass_obj
def report(skin: Skin, /, out: Path | None, as_json: bool) -> Shown:
    """Gather what an issue needs, without secrets, prompts and names: doctor, versions, boots …"""
    from ..views import report as seen

    bundle = skin.session.report()
    if out is None:
        return shown(seen.report_view(bundle), as_json)
    text = seen.report_json(bundle) if as_json else seen.markdown(bundle)
    out.write_text(text, encoding="utf-8")
    return View(title=f"{out} has the report. Read it before you give it to anybody.")
