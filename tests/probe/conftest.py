"""
A scripted server, and a target that points at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.scripted import ScriptedServer
from workbench.client import Client, Retries, Timeouts
from workbench.probe.base import Target
from workbench.records import ServedModel

QUICK = Timeouts(connect_s=5, first_token_s=5, stream_s=5, answer_s=5)
KEY = "sk-a-key-of-its-own"


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def server(running: ScriptedServer) -> ScriptedServer:
    running.reset()
    return running


@pytest.fixture
def target_of() -> Iterator[Callable[..., Target]]:
    """
    A client is made for each: it keeps what it has learnt of a server.
    """
    clients: list[Client] = []

    def make(base_url: str, *, max_model_len: int | None = 2048) -> Target:
        client = Client(
            base_url, api_key=KEY, model="pocket", timeouts=QUICK, retries=Retries(times=0)
        )
        clients.append(client)
        model = ServedModel(name="pocket", max_model_len=max_model_len)
        return Target(client=client, model=model, api_key=KEY)

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def target(server: ScriptedServer, target_of: Callable[..., Target]) -> Target:
    return target_of(server.base_url)
