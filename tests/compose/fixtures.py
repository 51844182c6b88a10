"""One container for all tests that need a healthy one, and folders for those that break it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.compose.project import PROJECT, Project
from tests.compose.vllm_image import build
from workbench.servers.engine import Engine
from workbench.session import Session


@pytest.fixture(scope="session")
def image_engine(request: pytest.FixtureRequest) -> Engine:
    """The embedded engine, installed, and the image that runs it imported."""
    engine = Engine(PROJECT / ".engine")
    engine.install(lambda _progress: None)
    build(engine)
    return engine


@pytest.fixture
def make(tmp_path: Path, image_engine: Engine) -> Iterator[Callable[..., Project]]:
    """Make a folder of one's own, cleared away afterwards."""
    made: list[Project] = []

    def make_one(name: str = "desk", **variables: str) -> Project:
        project = Project(tmp_path / f"{tmp_path.name}-{name}", image_engine, **variables)
        made.append(project)
        return project

    yield make_one
    for project in made:
        project.clear()


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory, image_engine: Engine) -> Iterator[Project]:
    """The folder whose container is up for the tests that only look and ask."""
    project = Project(tmp_path_factory.mktemp("shared-desk") / "shared-desk", image_engine)
    yield project
    project.clear()


@pytest.fixture
def contained(desk: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session whose server is the shared container, ready."""
    with closing(desk.session(monkeypatch)) as session:
        session.up()
        yield session
