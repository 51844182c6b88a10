"""
Notebooks without a person: executed by papermill, kept, timed, reported.

The notebooks start and find the server themselves, as they do in JupyterLab;
what is passed on is which project folder and which backend they belong to.
"""

from __future__ import annotations

import ast
import os
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from . import units
from .errors import ConfigError, NotebookError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .session import Session

TRACEBACK_LINES = 12
"""Lines of a failing cell's traceback worth showing: the last ones say what happened."""

INDEX = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Executed notebooks</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 45em; margin: 2em auto; padding: 0 1em; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
td, th {{ text-align: left; padding: .3em 1.5em .3em 0; border-bottom: 1px solid #ccc; }}
</style>
<h1>Executed notebooks</h1>
<table>
<tr><th scope="col">notebook</th><th scope="col">result</th><th scope="col">cells</th>\
<th scope="col">time</th></tr>
{rows}</table>
<p>{count} notebooks in {total}, {when}.</p>
</html>
"""

KERNEL_LOG_LEVEL = "--IPKernelApp.log_level=CRITICAL"
"""A kernel's own notes (how it is shut down, what its sockets are) would tear the progress bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookRun:
    """
    One executed notebook.

    Args:
        cells_run: Code cells that ended without an error, of ``cells``.

        written: The executed copy, then the HTML page if one was asked for.
    """

    notebook: Path
    cells: int
    cells_run: int
    duration_s: float
    written: tuple[Path, ...]
    error: NotebookError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Write it as plain data."""
        return {
            "notebook": str(self.notebook),
            "ok": self.error is None,
            "cells": self.cells,
            "cells_run": self.cells_run,
            "duration_s": round(self.duration_s, 3),
            "written": [str(path) for path in self.written],
            "error": str(self.error) if self.error else None,
        }


def numbered_notebooks(folder: Path) -> tuple[Path, ...]:
    """
    List the numbered notebooks of *folder* in their order.

    Raises:
        ConfigError: There are none.
    """
    found = tuple(sorted(folder.glob("[0-9][0-9]_*.ipynb")))
    if not found:
        raise ConfigError(
            f"There are no numbered notebooks in {folder}.",
            hint="Name the notebooks to run: workbench run my.ipynb",
            key="notebooks",
            source="default",
        )
    return found


def typed_parameters(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Read values as Python literals where they are some (``3``, ``True``), else as text."""
    return {name: _literal(text) for name, text in pairs}


def environment_for(session: Session) -> dict[str, str]:
    """Name the variables by which a notebook's kernel finds the session's server."""
    settings = session.settings
    told = {
        "WORKBENCH_BACKEND": ("backend", settings.backend),
        "WORKBENCH_PROFILE": ("profile", settings.profile),
        "WORKBENCH_BASE_URL": ("base_url", settings.base_url),
        "WORKBENCH_MODEL": ("model", settings.model),
        "WORKBENCH_PORT": ("port", settings.port),
        "WORKBENCH_MAX_MODEL_LEN": ("max_model_len", settings.max_model_len),
        "WORKBENCH_GPU_MEMORY_UTILIZATION": (
            "gpu_memory_utilization",
            settings.gpu_memory_utilization,
        ),
    }
    # What came from the environment is inherited, and what nobody said stays unsaid.
    arguments = {
        variable: str(value)
        for variable, (name, value) in told.items()
        if settings.origins[name] == "argument"
    }
    places = {"WORKBENCH_HOME": settings.home, "WORKBENCH_STATE_DIR": settings.state_dir}
    return arguments | {variable: str(path) for variable, path in places.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """
    Notebooks to execute one after the other.

    Args:
        out: Folder of the executed copies; made when missing.

        parameters: Values for the cells tagged ``parameters``. A notebook
            that does not have a name does not get it.

        html: Whether to write a page of each as well.
    """

    notebooks: tuple[Path, ...]
    out: Path
    parameters: Mapping[str, Any]
    html: bool = False
    cell_timeout_s: int = 600

    def check(self) -> None:
        """
        Look for mistakes before a server is started for nothing.

        Raises:
            ConfigError: A file is not a notebook, two copies would have one
                name or replace a notebook, or no notebook has a parameter.
        """
        copies = [self.out / notebook.name for notebook in self.notebooks]
        for notebook, copy in zip(self.notebooks, copies, strict=True):
            if copy.resolve() == notebook.resolve() or copies.count(copy) > 1:
                raise ConfigError(
                    f"The executed copy of {notebook} would replace another notebook: {copy}.",
                    hint="Choose another folder with --out, or run them one by one.",
                    key="out",
                    source="argument",
                )
        known = [_known_parameters(notebook) for notebook in self.notebooks]
        _check_parameters(self.parameters, set().union(*known))

    def run(self, environment: Mapping[str, str]) -> list[NotebookRun]:
        """
        Execute them; a failed one does not keep the next from running.

        Each shows a progress bar of its cells. The executed copy is saved
        after every cell, so that what was done is there even if this process
        is killed.

        Args:
            environment: Variables that the kernels get besides this process's.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        with _environ(environment):
            return [self._run_one(notebook) for notebook in self.notebooks]

    def _run_one(self, notebook: Path) -> NotebookRun:
        copy = self.out / notebook.name
        copy.unlink(missing_ok=True)  # an earlier run's copy is not this one's
        before_s = time.monotonic()
        error = self._execute(notebook, copy)
        duration_s = time.monotonic() - before_s
        cells, cells_run = _count_cells(copy)
        written = [copy] if copy.exists() else []
        if self.html and written:
            written.append(_write_html(copy))
        return NotebookRun(
            notebook=notebook,
            cells=cells,
            cells_run=cells_run,
            duration_s=duration_s,
            written=tuple(written),
            error=error,
        )

    def _execute(self, notebook: Path, copy: Path) -> NotebookError | None:
        import papermill

        known = _known_parameters(notebook)
        try:
            papermill.execute_notebook(
                str(notebook),
                str(copy),
                parameters={
                    name: self.parameters[name] for name in self.parameters if name in known
                },
                kernel_name="python3",
                language="python",
                cwd=str(notebook.resolve().parent),
                execution_timeout=self.cell_timeout_s,
                progress_bar={"desc": notebook.name},
                extra_arguments=[KERNEL_LOG_LEVEL],
            )
        except papermill.PapermillExecutionError as exc:
            return _failed_cell(notebook, exc)
        except Exception as exc:  # a dead kernel, a time-out: a row of the table, not the end
            return _failed(notebook, exc)
        return None


def _known_parameters(notebook: Path) -> set[str]:
    """Name what the cells tagged ``parameters`` assign."""
    cells = [
        cell
        for cell in _read(notebook).cells
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", [])
    ]
    return {
        target.id
        for cell in cells
        for statement in ast.walk(_parsed(cell.source))
        for target in getattr(statement, "targets", [getattr(statement, "target", None)])
        if isinstance(target, ast.Name)
    }


def _parsed(source: str) -> ast.AST:
    try:
        return ast.parse(source)
    except SyntaxError:  # a magic among the parameters; what it assigns is not known
        return ast.Module(body=[], type_ignores=[])


def _read(path: Path) -> Any:
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError) as exc:
        raise ConfigError(
            f"{path} is not a notebook that can be read: {exc}",
            hint="Name files that JupyterLab opens.",
            key="notebooks",
            source=str(path),
        ) from exc


def _check_parameters(parameters: Mapping[str, Any], anywhere: set[str]) -> None:
    """Refuse a name that no notebook has: papermill would only warn, and use the default."""
    for name in parameters:
        if name not in anywhere:
            raise ConfigError(
                f"No notebook has a parameter {name!r}; there are: {', '.join(sorted(anywhere))}.",
                hint="Parameters are the names assigned in the cell tagged `parameters`.",
                key=name,
                source="argument",
            )


def _failed_cell(notebook: Path, exc: Any) -> NotebookError:
    trace = "\n".join(_without_colour("\n".join(exc.traceback)).splitlines()[-TRACEBACK_LINES:])
    return NotebookError(
        f"{notebook.name} stopped at cell [{exc.exec_count}]:\n\n{exc.source.strip()}\n\n{trace}",
        notebook=notebook,
        cell=exc.exec_count,
        ename=exc.ename,
    )


def _failed(notebook: Path, exc: Exception) -> NotebookError:
    return NotebookError(
        f"{notebook.name} could not be run to its end: {type(exc).__name__}: {exc}",
        notebook=notebook,
        cell=None,
        ename=type(exc).__name__,
    )


def _count_cells(path: Path) -> tuple[int, int]:
    if not path.exists():
        return 0, 0
    code = [cell for cell in _read(path).cells if cell.cell_type == "code" and cell.source.strip()]
    done = [
        cell
        for cell in code
        if cell.execution_count is not None
        and not any(output.output_type == "error" for output in cell.outputs)
    ]
    return len(code), len(done)


def _write_html(path: Path) -> Path:
    from nbconvert.exporters import HTMLExporter

    body, _ = HTMLExporter().from_filename(str(path))
    page = path.with_suffix(".html")
    page.write_text(body)
    return page


def write_index(runs: Sequence[NotebookRun], path: Path) -> None:
    """Write an HTML page with the notebooks that were run, how they went and how long they took."""
    rows = "".join(
        f"<tr><td>{_link(run)}</td><td>{'failed' if run.error else 'ok'}</td>"
        f"<td>{run.cells_run} of {run.cells}</td><td>{units.seconds(run.duration_s)}</td></tr>\n"
        for run in runs
    )
    total = units.seconds(sum(run.duration_s for run in runs))
    page = INDEX.format(rows=rows, count=len(runs), total=total, when=f"{datetime.now():%F %R}")
    path.write_text(page, encoding="utf-8")


def _link(run: NotebookRun) -> str:
    pages = [each.name for each in run.written if each.suffix == ".html"]
    name = escape(run.notebook.name)
    return f'<a href="{quote(pages[0])}">{name}</a>' if pages else name


def write_junit(runs: Sequence[NotebookRun], path: Path) -> None:
    """Write the runs as JUnit XML, one test case a notebook, as CI systems read it."""
    suite = ET.Element(
        "testsuite",
        name="notebooks",
        tests=str(len(runs)),
        failures=str(sum(run.error is not None for run in runs)),
        time=f"{sum(run.duration_s for run in runs):.3f}",
    )
    for run in runs:
        case = ET.SubElement(
            suite,
            "testcase",
            name=run.notebook.name,
            classname="notebooks",
            time=f"{run.duration_s:.3f}",
        )
        if run.error:
            failure = ET.SubElement(case, "failure", message=str(run.error.ename))
            failure.text = _xml_text(str(run.error))
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def _xml_text(text: str) -> str:
    """Drop the control characters that XML 1.0 cannot hold."""
    return "".join(char for char in text if char in "\t\n" or char >= " ")


def _without_colour(text: str) -> str:
    from nbconvert.filters import strip_ansi

    return str(strip_ansi(text))


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


@contextmanager
def _environ(variables: Mapping[str, str]) -> Iterator[None]:
    """Let the kernels that are started inherit *variables*."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
