"""Chromium, a JupyterLab, a page in it, and a server whose answers a test writes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.jupyterlab import Lab, Notebook
from tests.conftest import PROJECT
from tests.scripted import ScriptedServer

# Nothing that is not the test's is fetched, synchronized or updated.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
NAMES = ("chromium", "google-chrome")
SIZE = {"width": 1280, "height": 900}

expect.set_options(timeout=20_000)  # it ends as soon as it is so; the machine may be busy


def chromium_path() -> str | None:
    """Find the machine's Chromium, or Chrome."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The machine's Chromium, with an empty folder of user data; nothing is downloaded."""
    found = chromium_path()
    if found is None:
        pytest.skip("there is no Chromium; on Debian: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab with a copy of the course, whose kernels find this run's embedded vLLM."""
    folder = tmp_path_factory.mktemp("lab")
    # The models and the engine are the project's; what is asked for without a server is not.
    own = {
        "WORKBENCH_HOME": str(PROJECT),
        "WORKBENCH_STATE_DIR": os.environ.get("WORKBENCH_STATE_DIR", str(folder / "state")),
        "PYTHONPATH": str(PROJECT),
    }
    running = Lab(folder, own)
    for path in (PROJECT / "notebooks").glob("[0-9]*.ipynb"):
        shutil.copy(path, running.notebooks)
    yield running
    running.close()


@pytest.fixture(scope="session")
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """One for all pages: JupyterLab's 20 MB of JavaScript are compiled once."""
    made = chromium.new_context(viewport=SIZE, reduced_motion="reduce")
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page of its own; what its scripts fail with is the test's failure."""
    made = context.new_page()
    failed: list[str] = []
    made.on("pageerror", lambda error: failed.append(str(error)))
    yield made
    for each in context.pages:
        each.close()
    assert not failed


@pytest.fixture
def notebook(page: Page, lab: Lab) -> Iterator[Callable[..., Notebook]]:
    """Opens a notebook of these cells, or the course's of that name; its kernel ends in the end."""

    def opened(*cells: str, name: str | None = None) -> Notebook:
        name = name or f"scratch-{uuid4().hex[:6]}.ipynb"
        return Notebook(page, lab, lab.write(name, *cells) if cells else name)

    yield opened
    lab.end_kernels()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that says what the test writes, when the test says so."""
    running = ScriptedServer()
    yield running
    running.close()


@pytest.fixture
def attach(server: ScriptedServer) -> str:
    """A first cell: the extension, and the scripted server."""
    return f"%env WORKBENCH_BASE_URL={server.base_url}\n%load_ext workbench"
