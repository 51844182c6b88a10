"""
What the tests share: a clean environment, one real server for the whole run, a shell.

Tests come in kinds, the quick ones first; see :class:`Kind`. Those against
the embedded vLLM and the notebooks share one server, which is started when
the first of them needs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from enum import IntEnum
from functools import cache
from pathlib import Path

import hypothesis
import pytest

from tests.compose.vllm_image import build, override
from workbench.errors import WorkbenchError
from workbench.servers.engine import Engine
from workbench.session import Session
from workbench.terminal import PlainProgress

pytest_plugins = ["tests.compose.fixtures"]

PROJECT = Path(__file__).resolve().parent.parent
collect_ignore = ["data"]  # a notebook in it is no test
SETTINGS = ("WORKBENCH_", "OPENAI_", "VLLM_", "HF_", "HUGGING_FACE_", "COMPOSE_", "LOGGING_")
SETTINGS += ("OTEL_", "AZURE_")


class Kind(IntEnum):
    """What a test needs, in the order of running."""

    FAST = 0
    PROCESSES = 1
    ENGINE = 2
    DOCKER = 3
    NOTEBOOK = 4
    BROWSER = 5


class SharedServer:
    """The embedded vLLM of this run, in a state folder of its own, on a free port."""

    def __init__(self, shown: Callable[[], AbstractContextManager[None]]) -> None:
        self.shown = shown  # past pytest's capturing: the first time this takes minutes
        self.state_dir = Path(tempfile.mkdtemp(prefix="workbench-tests-"))
        self.session: Session | None = None
        self.failed: WorkbenchError | None = None

    def up(self) -> Session:
        """Start it once, and fail at once for everybody if that failed."""
        if self.failed:
            raise self.failed
        if self.session is None:
            session = Session(
                model="pocket", port=0, state_dir=str(self.state_dir), boot_timeout_s=300
            )
            try:
                with self.shown():
                    print("\n\nthe embedded vLLM:", file=sys.stderr)
                    session.up(on_progress=PlainProgress())
            except WorkbenchError as exc:
                self.failed = exc
                raise
            self.session = session
        return self.session

    def down(self) -> None:
        """Stop it and forget what it left."""
        if self.session is not None:
            self.session.down()
            self.session.close()
        shutil.rmtree(self.state_dir, ignore_errors=True)


# A slow machine is no failure, and nothing is left in the folder.
hypothesis.settings.register_profile("workbench", deadline=None, database=None)
hypothesis.settings.load_profile("workbench")


def pytest_configure(config: pytest.Config) -> None:
    capture = config.pluginmanager.getplugin("capturemanager")
    shown = capture.global_and_fixture_disabled if capture else nullcontext
    config.shared_server = SharedServer(shown)  # type: ignore[attr-defined]
    # What the reader has set for the workbench must not reach the tests; their
    # kernels find the shared server as a restarted kernel would.
    for name in [name for name in os.environ if name.startswith(SETTINGS)]:
        del os.environ[name]
    os.environ["WORKBENCH_HOME"] = str(PROJECT)
    os.environ["WORKBENCH_STATE_DIR"] = str(config.shared_server.state_dir)  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    config.shared_server.down()  # type: ignore[attr-defined]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_kind)  # stable: the order within a kind stays


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if _kind(item) is Kind.NOTEBOOK:
        item.config.shared_server.up()  # type: ignore[attr-defined]
        if docker_answers():
            _offer_container(item.config.shared_server.state_dir)  # type: ignore[attr-defined]
    if _kind(item) is Kind.DOCKER and not docker_answers():
        pytest.skip('no Docker Engine answers; on Debian or Ubuntu: eval "$(.ci/docker-engine)"')


@cache
def _offer_container(folder: Path) -> None:
    """Let notebooks start this project's own container, with the image that the tests have."""
    engine = Engine(PROJECT / ".engine")
    build(engine)
    file = folder / "override.yml"
    file.write_text(override(engine, environment={"VLLM_CPU_KVCACHE_SPACE": "1"}))
    os.environ |= {
        "COMPOSE_FILE": f"docker-compose.yml:{file}",
        "COMPOSE_PROJECT_NAME": folder.name,
        "WORKBENCH_PROFILE": "cpu",
        "WORKBENCH_EXTRA_ARGS": "--enforce-eager",
        "WORKBENCH_PORT": "0",
    }


@cache
def docker_answers() -> bool:
    """Whether there is a Docker Engine, and a Compose that knows ``start_interval``."""
    commands = (["docker", "info"], ["docker", "compose", "version"])
    return bool(shutil.which("docker")) and all(
        subprocess.run(command, capture_output=True, check=False).returncode == 0
        for command in commands
    )


def _kind(item: pytest.Item) -> Kind:
    if item.path.suffix == ".ipynb":
        return Kind.NOTEBOOK
    if item.get_closest_marker("browser"):
        return Kind.BROWSER
    if item.get_closest_marker("docker"):
        return Kind.DOCKER
    if item.get_closest_marker("engine"):
        return Kind.ENGINE
    return Kind.PROCESSES if item.get_closest_marker("processes") else Kind.FAST


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test sets what it needs."""
    for name in [name for name in os.environ if name.startswith(SETTINGS)]:
        monkeypatch.delenv(name)


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Session:
    """A session whose server is the shared one, and ready."""
    session: Session = request.config.shared_server.up()
    return session


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project folder with the pocket models in it."""
    (tmp_path / "models").mkdir()
    for name in ("pocket", "pocket-mini"):
        (tmp_path / "models" / name).symlink_to(PROJECT / "models" / name)
    return tmp_path


@pytest.fixture
def ip() -> Iterator[object]:
    """A fresh IPython shell with the extension loaded; no history file is touched."""
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    yield shell
    shell.run_line_magic("unload_ext", "workbench")
    InteractiveShell.clear_instance()
