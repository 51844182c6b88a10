"""
A scripted server and a client of it, for each test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scripted import ScriptedServer
from workbench.client import Client, Retries, Timeouts
from workbench.records import Outcome

# Short enough to be waited for, long enough for a busy machine's healthy answers.
QUICK = Timeouts(connect_s=5, first_token_s=5, stream_s=5, answer_s=5)


NEVER = Retries(times=0)

OUTCOMES: list[Outcome] = []


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[ScriptedServer, Client]]:
    """
    Shared by a module's tests: making an HTTP client reads every root certificate.
    """
    server = ScriptedServer()
    with Client(
        server.base_url, model="pocket", timeouts=QUICK, on_outcome=OUTCOMES.append, retries=NEVER
    ) as client:
        yield server, client
    server.close()


@pytest.fixture
def server(pair: tuple[ScriptedServer, Client]) -> ScriptedServer:
    pair[0].reset()
    return pair[0]


@pytest.fixture
def client(pair: tuple[ScriptedServer, Client]) -> Client:
    return pair[1]


@pytest.fixture
def outcomes() -> list[Outcome]:
    """
    What the client told about this test's requests, in order.
    """
    OUTCOMES.clear()
    return OUTCOMES
