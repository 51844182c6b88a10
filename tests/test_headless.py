"""Notebooks run without a person: failures shown, parameters checked, results kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.conftest import PROJECT
from workbench import headless
from workbench.errors import ConfigError
from workbench.session import Session
from workbench.views import runs_view

pytestmark = pytest.mark.processes

LIMIT_S = 90
"""What a notebook may take on two cores, its server up."""


def notebook(folder: Path, name: str, *cells: str, parameters: str | None = None) -> Path:
    path = folder / name
    made = nbformat.v4.new_notebook()
    if parameters:
        tagged = nbformat.v4.new_code_cell(parameters)
        tagged.metadata["tags"] = ["parameters"]
        made.cells.append(tagged)
    made.cells += [nbformat.v4.new_code_cell(source) for source in cells]
    nbformat.write(made, path)
    return path


def run(paths: list[Path], out: Path, environment: dict[str, str] | None = None, **changes):
    given = {"parameters": {}, "cell_timeout_s": 60} | changes
    batch = headless.Batch(notebooks=tuple(paths), out=out, **given)
    batch.check()
    return batch.run(environment or {})


def test_a_failed_notebook_shows_its_cell_and_the_next_one_runs(tmp_path: Path):
    """The table has both; below it stand the failing cell and its error, without colour codes."""
    bad = notebook(tmp_path, "00_bad.ipynb", "x = 1", "1 / 0", "y = 2")
    good = notebook(tmp_path, "01_good.ipynb", "2 + 2")

    runs = run([bad, good], tmp_path / "out")
    view = runs_view(runs)
    headless.write_junit(runs, tmp_path / "junit.xml")

    assert [bool(run.error) for run in runs] == [True, False]
    assert (runs[0].cells, runs[0].cells_run) == (3, 1)
    assert not view.ok
    assert "1 / 0" in str(view)
    assert "ZeroDivisionError: division by zero" in str(view)
    assert "\x1b" not in str(view)
    suite = ET.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("name") for case in suite] == ["00_bad.ipynb", "01_good.ipynb"]


def test_parameters_reach_the_cells_and_the_page_is_written(tmp_path: Path):
    """A literal is typed, the environment arrives, and the HTML page has the output."""
    source = "import os; print('n is', n + 1, 'in', os.environ['WHERE'])"
    path = notebook(tmp_path, "00_n.ipynb", source, parameters="n = 1")

    (done,) = run(
        [path],
        tmp_path / "out",
        parameters=headless.typed_parameters([("n", "41")]),
        html=True,
        environment={"WHERE": "here"},
    )

    assert done.error is None
    assert "n is 42 in here" in done.written[1].read_text()


def test_a_parameter_that_no_notebook_has_is_refused(tmp_path: Path):
    """papermill alone would warn and go on with the default."""
    path = notebook(tmp_path, "00_n.ipynb", "n", parameters="n = 1")

    with pytest.raises(ConfigError, match="'m'; there are: n"):
        run([path], tmp_path / "out", parameters={"m": 1})


def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path):
    """A text file with the right name is said not to be one."""
    path = tmp_path / "00_text.ipynb"
    path.write_text("not json")

    with pytest.raises(ConfigError, match="not a notebook"):
        run([path], tmp_path / "out")


def test_a_cell_that_hangs_is_given_up(tmp_path: Path):
    """After the cell's time the run ends with an error that names it."""
    path = notebook(tmp_path, "00_slow.ipynb", "import time; time.sleep(60)")

    (done,) = run([path], tmp_path / "out", cell_timeout_s=1)

    assert done.error is not None
    assert "timed out" in str(done.error).lower() or "timeout" in str(done.error).lower()


def test_the_executed_copy_never_replaces_the_notebook(tmp_path: Path):
    """Naming the notebook's own folder as output is refused."""
    path = notebook(tmp_path, "00_n.ipynb", "1")

    with pytest.raises(ConfigError, match="would replace another"):
        run([path], tmp_path)


def test_two_notebooks_of_one_name_do_not_share_a_copy(tmp_path: Path):
    """The second would silently replace the first one's results."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = [notebook(tmp_path / folder, "x.ipynb", "1") for folder in "ab"]

    with pytest.raises(ConfigError, match="would replace another"):
        run(paths, tmp_path / "out")


def test_a_magic_among_the_parameters_is_no_obstacle(tmp_path: Path):
    """A reader's own notebook may do as it likes; it just has no parameters to set."""
    path = notebook(tmp_path, "00_n.ipynb", "n", parameters="%pylab --no-import-all\nn = 1")

    headless.Batch(notebooks=(path,), out=tmp_path / "out", parameters={}).check()
    with pytest.raises(ConfigError, match="No notebook has a parameter 'n'"):
        headless.Batch(notebooks=(path,), out=tmp_path / "out", parameters={"n": 2}).check()


def test_no_numbered_notebooks_is_said(tmp_path: Path):
    """An empty folder names what to type instead."""
    with pytest.raises(ConfigError, match="no numbered notebooks"):
        headless.numbered_notebooks(tmp_path)


def test_the_index_links_each_page_and_has_its_time(tmp_path: Path):
    """One page to open first: what was run, whether it went well, how long it took."""
    good = notebook(tmp_path, "00_good & quick.ipynb", "2 + 2")
    bad = notebook(tmp_path, "01_bad.ipynb", "1 / 0")
    runs = run([good, bad], tmp_path / "out", html=True)
    headless.write_index(runs, tmp_path / "out" / "index.html")

    page = (tmp_path / "out" / "index.html").read_text()
    assert '<a href="00_good%20%26%20quick.html">00_good &amp; quick.ipynb</a>' in page
    assert "<td>failed</td><td>0 of 1</td>" in page
    assert "2 notebooks in" in page


COURSE = PROJECT / "notebooks"


def run_verb(out: Path, names: Sequence[str], environment: dict[str, str], *parameter: str) -> Any:
    """Type ``workbench run`` with some of the course and a parameter; return its rows."""
    notebooks = [str(next(COURSE.glob(f"{name}_*.ipynb"))) for name in names]
    options = ["--html", "--json", "--out", str(out), "-p", *parameter]
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "run", *notebooks, *options],
        env=os.environ | {"WORKBENCH_HOME": str(PROJECT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("model", "names"), [("pocket", ["00"]), ("pocket-mini", ["00", "01", "03", "05"])]
)
def test_the_course_runs_with_either_model(tmp_path: Path, model: str, names: list[str]):
    """One parameter changes the model: it is started, and what a notebook shows is that model's."""
    own = {"WORKBENCH_STATE_DIR": str(tmp_path / "state"), "WORKBENCH_PORT": "0"}
    rows = run_verb(tmp_path / "out", names, own, "model", model)

    assert [row["ok"] for row in rows] == [True] * len(names)
    assert all(row["duration_s"] < LIMIT_S for row in rows)
    executed = nbformat.read(rows[0]["written"][0], as_version=4)
    told = [cell for cell in executed.cells if cell.source.startswith("%wb models --served")]
    assert model in told[0].outputs[0]["data"]["text/plain"].split()
    page = (tmp_path / "out" / "index.html").read_text()
    assert f"{len(names)} notebooks in" in page


@pytest.mark.engine
def test_the_course_runs_on_a_server_of_somebody_else(tmp_path: Path, served: Session):
    """The same notebooks by a URL: what is attached to is not stopped."""
    own = {"WORKBENCH_STATE_DIR": str(tmp_path), "WORKBENCH_API_KEY": served.server.api_key or ""}
    rows = run_verb(tmp_path / "out", ["00", "01", "05"], own, "base_url", served.server.base_url)

    assert [row["ok"] for row in rows] == [True, True, True]
    assert served.status().state == "ready"
