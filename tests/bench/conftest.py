"""
A scripted server for each test, and a measurement to show.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scripted import ScriptedServer


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def server(running: ScriptedServer) -> ScriptedServer:
    running.reset()
    return running
