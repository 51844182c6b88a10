"""
A JupyterLab of the tests' own, and one of its notebooks as a reader has it in a browser.

The Lab has a free port, a token and folders of its own, so that nothing of the
machine's settings is read or written. A :class:`Notebook` is used by what is
on the page: menus, keys, clicks.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page, expect

from tests.helpers import eventually

START_S = 60
CELL_S = 90
STOP_S = 15

# Nothing is asked of the network, and a cell that is scrolled away is on the page all the same.
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
DARK = {"apputils-extension/themes": {"theme": "JupyterLab Dark", "adaptive-theme": False}}


class Lab:
    """
    A running JupyterLab.

    Args:
        folder: Empty; it gets the notebooks and all that Jupyter writes.

        environment: What its kernels find beside this process's variables.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir()
        self.token = secrets.token_hex(16)
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._settings = folder / "settings"
        self._log = (folder / "lab.log").open("wb")
        self.set(SETTINGS)
        own = {
            "JUPYTER_TOKEN": self.token,
            "JUPYTERLAB_SETTINGS_DIR": str(self._settings),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this environment, not of the user
            "IPYTHONDIR": str(folder / "ipython"),
        }
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.url.rpartition(':')[2]}"),
            *("--ServerApp.port_retries=0", f"--ServerApp.root_dir={self.notebooks}"),
            "--LabApp.extension_manager=readonly",  # the other one asks a registry
        ]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **own, **environment},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        assert eventually(self._answers, within_s=START_S), self._log_text()

    def set(self, settings: Mapping[str, Mapping[str, object]]) -> None:
        """Write a reader's settings; pages that are opened later have them."""
        for name, values in settings.items():
            package, _, part = name.partition("/")
            file = self._settings / "@jupyterlab" / package / f"{part}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))

    def forget(self, settings: Mapping[str, Mapping[str, object]]) -> None:
        """Take settings away again."""
        for name in settings:
            package, _, part = name.partition("/")
            (self._settings / "@jupyterlab" / package / f"{part}.jupyterlab-settings").unlink()

    def write(self, name: str, *cells: str) -> str:
        """Write a notebook of these code cells, and return its name."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(it) for it in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, self.notebooks / name)
        return name

    def close(self) -> None:
        """End it and its kernels, as Ctrl+C twice does."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._log.close()

    def end_kernels(self) -> None:
        """End all kernels, as closing and shutting down each notebook does."""
        for session in json.loads(self._ask("GET", "/api/sessions")):
            self._ask("DELETE", f"/api/sessions/{session['id']}")

    def _answers(self) -> bool:
        assert self.process.poll() is None, self._log_text()
        try:
            self._ask("GET", "/api/status")
        except OSError:
            return False
        return True

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("Authorization", f"token {self.token}")
        with urllib.request.urlopen(request, timeout=STOP_S) as answer:
            body: bytes = answer.read()
        return body

    def _log_text(self) -> str:
        return Path(self._log.name).read_text(errors="replace")


class Notebook:
    """A notebook that is open in a browser's page."""

    def __init__(self, page: Page, lab: Lab, name: str) -> None:
        self.page = page
        # "reset": nothing of an earlier page's layout comes back.
        page.goto(f"{lab.url}/lab/tree/{name}?token={lab.token}&reset")
        self.root = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        self.idle()

    def idle(self, *, within_s: float = START_S) -> None:
        """Wait until the kernel is connected and does nothing."""
        # The mark beside the kernel's name is "idle" before there is a kernel; this line is not.
        line = self.page.locator("#jp-main-statusbar").get_by_text("| Idle")
        expect(line).to_be_visible(timeout=within_s * 1e3)

    def cell(self, index: int) -> Locator:
        """Return one of the code cells."""
        return self.root.locator(".jp-CodeCell").nth(index)

    def output(self, index: int) -> Locator:
        """Return what is below a code cell."""
        return self.cell(index).locator(".jp-Cell-outputArea")

    def menu(self, menu: str, command: str) -> None:
        """Choose a line of the menu bar."""
        self.page.locator(".lm-MenuBar-item").get_by_text(menu, exact=True).click()
        self.page.locator(f'.lm-Menu-item[data-command="{command}"]').click()

    def run_all(self, *, within_s: float = CELL_S) -> None:
        """Run all cells from the menu, and wait for the last."""
        self.menu("Run", "runmenu:run-all")
        self.ran(self.root.locator(".jp-CodeCell").count() - 1, within_s=within_s)
        self.idle()

    def run(self, index: int) -> None:
        """Put the cursor into a cell and press Shift+Enter, as people do."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")

    def type_and_run(self, index: int, text: str) -> None:
        """Type into a cell, key by key, and run it."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.type(text)
        self.page.keyboard.press("Escape")  # a list of completions, if there is one
        self.run(index)

    def ran(self, index: int, *, within_s: float = CELL_S) -> None:
        """Wait until a cell has a number before it, and no star."""
        prompt = self.cell(index).locator(".jp-InputPrompt")
        numbered = r"/^\[\d+\]:$/"
        self.page.wait_for_function(
            f"(element) => {numbered}.test(element.textContent)",
            arg=prompt.element_handle(),
            timeout=within_s * 1e3,
        )

    def restart_kernel(self) -> None:
        """Restart the kernel from the menu, and say yes."""
        self.menu("Kernel", "kernelmenu:restart")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        expect(self.page.locator(".jp-Dialog")).to_have_count(0)
        self.idle()

    def interrupt(self) -> None:
        """Interrupt the kernel from the menu."""
        self.menu("Kernel", "kernelmenu:interrupt")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
