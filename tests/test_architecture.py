"""The layout shows the architecture, and these keep it true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import workbench

PROJECT = Path(__file__).resolve().parent.parent
PACKAGE = PROJECT / "workbench"

# From the bottom up. CONTRIBUTING.md draws it.
LEVELS = (
    {"errors", "records"},
    {"metrics", "units", "urls", "settings", "setting_values", "secretfile", "display", "vram"}
    | {"chosen", "notebook_cell", "filelock", "hubfiles", "metric_names", "scrapes", "reconcile"}
    | {"bootlog", "failures", "fingerprints", "legacy"},
    {"client", "servers", "telemetry", "catalogue", "hub", "model_facts", "predictions"},
    {"boot", "session", "serving", "switch", "conversation", "batch", "headless", "doctor"}
    | {
        "probe",
        "report",
        "smoke",
        "typescript",
        "planning",
        "inventory",
        "lifecycle",
        "recording",
        "server_metrics",
        "bench",
        "sidecar",
        "migrate",
        "compat",
        "transcript",
        "tune",
    },
    {"plots", "views", "verbs", "panels", "terminal", "cells", "completion", "magics", "shell"}
    | {"__main__"},
)

MACHINES = 2
"""The level whose members meet only in session.py."""

# Third-party packages that do I/O have one home each.
HOMES = {
    # What `migrate` writes is an application's, and nothing here imports it.
    "openai": {"client/openai_adapter.py", "migrate/adapters/llm_client.py"}
    | {"compat/llama_cpp.py"},
    "langchain_openai": {"migrate/adapters/llm_langchain.py"},
    "langchain_core": {"migrate/adapters/llm_langchain.py"},
    "huggingface_hub": {"hub/api.py", "hub/refusals.py"},
    "httpx2": {"hub/api.py", "hub/refusals.py", "client/openai_adapter.py"},
    "aiohttp": {"client/openai_adapter.py"},
    "sqlite3": {"telemetry/store.py"},
    "opentelemetry": {f"telemetry/sinks/otlp{part}.py" for part in ("", "_spans", "_metrics")},
    "azure": {f"telemetry/sinks/{sink}.py" for sink in ("cosmos", "eventgrid", "azure_common")},
    "papermill": {"headless.py"},
    "nbconvert": {"headless.py"},
    "nbformat": {"headless.py"},
    "ray": {"bench/ray_workers.py"},
    "psutil": {"servers/processes.py"},
    "dotenv": {"settings.py"},
    "yaml": {"doctor/compose_file.py"},
    "docker": {"servers/containers.py"},
    "rich": {"terminal.py"},
    "matplotlib": {
        *(f"plots/{name}.py" for name in ("base", "bench", "memory", "telemetry", "tune")),
        *(f"views/{name}.py" for name in ("bench", "bench_report", "models", "tune")),
    },
    "tqdm": {"batch.py"},
    "prometheus_client": {"servers/metrics_page.py"},
    "IPython": {"magics.py", "cells.py", "__init__.py"},
    "anywidget": {"panels/surface.py"},
    "ipywidgets": {"panels/tabs.py"},
    "markdown_it": {"panels/markdown.py"},
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def level_of(unit: str) -> int:
    return next(index for index, units in enumerate(LEVELS) if unit in units)


def imports(path: Path) -> set[str]:
    """Absolute names of what a module imports, anywhere in it, types included."""
    package = ["workbench", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found |= {stem} if node.module else {f"{stem}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path):
    """A module knows its own folder and the levels below; machines do not know each other."""
    unit = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if unit == "__init__":
        return
    targets = {name.split(".")[1] for name in imports(path) if name.startswith("workbench.")}
    own = level_of(unit)
    above = {target for target in targets if level_of(target) > own}
    siblings = {target for target in targets - {unit} if level_of(target) == own == MACHINES}

    assert above | siblings == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_library_that_does_io_has_one_home(path: Path):
    """Whoever wants to know how SQLite or the SDK is used reads one file."""
    here = str(path.relative_to(PACKAGE))
    roots = {name.split(".")[0] for name in imports(path)}

    assert {root for root in roots if root in HOMES and here not in HOMES[root]} == set()


def test_only_settings_reads_the_environment():
    """
    Everything else is told. Passing the environment on to a child is not reading it;
    errors.py looks for the debug switch, because settings may be what failed. What
    `migrate` puts beside an application is the application's.
    """
    readers = [
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if "adapters" not in path.parts
        and re.search(r"environ\.get\(|environ\[[^]]+\](?! =)|getenv\(", path.read_text())
    ]

    assert readers == ["errors.py", "settings.py"]


def test_import_loads_nothing_heavy():
    """``import workbench`` brings neither the SDK nor pandas, IPython or asyncio."""
    code = "import sys, workbench; print(*sys.modules)"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )

    assert (
        loaded & {"openai", "pandas", "IPython", "asyncio", "click", "sqlite3", "anywidget"}
        == set()
    )


def test_a_client_does_not_load_what_a_switch_needs():
    """Each client asks whether one is under way; how one is done is a tenth of a second more."""
    code = "import sys, workbench.switch; print(*sys.modules)"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )

    assert loaded & {"workbench.planning", "workbench.doctor", "workbench.switch.use"} == set()


def test_a_status_does_not_load_the_hubs_library(tmp_path: Path):
    """It takes half a second to import, and a status has 0.3 s for everything."""
    code = (
        "import sys\n"
        "sys.argv[1:] = ['status']\n"
        "from workbench.__main__ import main\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "WORKBENCH_HOME": str(tmp_path)},
    )

    assert (
        set(done.stdout.split()) & {"huggingface_hub", "httpx2", "pandas", "prometheus_client"}
        == set()
    )


def test_public_names_are_sorted_and_there():
    """Every name in ``__all__`` can be had, and the list is in order."""
    assert workbench.__all__ == sorted(workbench.__all__)
    assert [name for name in workbench.__all__ if not hasattr(workbench, name)] == []


def test_conda_and_pip_users_get_the_same():
    """environment.yml has no versions of its own beside Python's."""
    conda = (PROJECT / "environment.yml").read_text()
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]

    assert f"python{project['requires-python']}" in conda
    assert "- -e .[dev]" in conda
    assert "dev" in project["optional-dependencies"]
    # channel, python, nodejs, pip, pip:, -e
    assert len(re.findall(r"^\s+- ", conda, re.MULTILINE)) == 6


def test_the_makefile_helps_with_each_of_its_few_targets():
    """At most twelve targets, each with a line of help."""
    targets = re.findall(r"^([a-z]+):(?!=).*$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    helped = re.findall(r"^([a-z]+):.*## \S", (PROJECT / "Makefile").read_text(), re.MULTILINE)

    assert targets == helped
    assert len(targets) <= 12


def test_the_changelog_knows_this_version():
    """The version is a heading of the changelog, or its changes are still unreleased."""
    changelog = (PROJECT / "CHANGELOG.md").read_text()

    assert f"## {workbench.__version__}" in changelog or "## Unreleased" in changelog
