"""
How notebooks that were run look.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import units
from ..display import View

if TYPE_CHECKING:
    from ..headless import NotebookRun

from .base import near


def runs_view(runs: Sequence[NotebookRun]) -> View:
    """Show how the notebooks went and where the executed copies are."""
    failed = [run for run in runs if run.error]
    return View(
        columns=("notebook", "result", "cells", "time", "executed copy"),
        numeric=frozenset({"cells", "time"}),
        rows=tuple(
            (
                run.notebook.name,
                "failed" if run.error else "ok",
                f"{run.cells_run}/{run.cells}",
                units.seconds(run.duration_s),
                " ".join(map(near, run.written)),
            )
            for run in runs
        ),
        note="\n\n".join(str(run.error) for run in failed) or None,
        data=[run.as_dict() for run in runs],
        ok=not failed,
    )
