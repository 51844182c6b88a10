"""
Which cell of a notebook is running, and which time.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CellRun:
    """
    One execution of one cell.

    Args:
        cell: The frontend's id of it.

        execution: The number beside it, ``[7]``.
    """

    cell: str
    execution: int


def running_cell() -> CellRun | None:
    """
    Return the cell that is running; ``None`` where nobody knows.

    That is in a script, in a shell, and under what runs a notebook headless,
    cell by cell and each once. JupyterLab 4, Notebook 7 and VS Code send ids.
    """
    # Not imported: who has no notebook has not loaded it, and need not.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "get_parent"):
        return None
    cell = (shell.get_parent() or {}).get("metadata", {}).get("cellId")
    return CellRun(cell=cell, execution=shell.execution_count) if cell else None
