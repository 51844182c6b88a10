"""
The verb ``compare``: whether a server has become slower.
"""

from __future__ import annotations

from pathlib import Path

import click

from .base import Shown, Skin, json_option, shown


@click.command()
@click.argument("before", metavar="A", type=click.Path(path_type=Path))
@click.argument("after", metavar="B", type=click.Path(path_type=Path))
@click.option(
    "--threshold",
    type=click.FloatRange(0),
    default=5.0,
    show_default=True,
    help="Per cent from which on a change for the worse matters.",
)
@click.option("--anyway", is_flag=True, help="Compare although they are no match.")
@json_option
@click.pass_obj
def compare(
    _skin: Skin, /, before: Path, after: Path, threshold: float, anyway: bool, as_json: bool
) -> Shown:
    """
    Say whether B is worse than A, beyond what runs differ by.

    A and B: a result of workbench bench or of vllm bench serve, a folder of such, or a quoted
    pattern; all files of a side are runs of the same. Exit status 1: there is a regression, or they
    cannot be compared. 4: it may be, and more runs would tell.
    """
    from ..bench.compare import compare as compared  # with all of a measurement
    from ..bench.files import read_runs
    from ..views.compare import compare_view

    found = compared(
        read_runs([before]), read_runs([after]), threshold=threshold / 100, anyway=anyway
    )
    return shown(compare_view(found), as_json)
