"""What a request does while models are switched: it waits, or fails with a clear word."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripted import ScriptedServer, completion, model_list
from workbench.client import Client
from workbench.errors import ServerUnreachableError
from workbench.switch import Gate, Journal
from workbench.switch.journal import Stage, Underway, now


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A scripted server for each test."""
    server = ScriptedServer()
    yield server
    server.close()


def a_switch() -> Underway:
    return Underway(
        model="pocket-mini", arguments={}, before=None, name="pocket", stage=Stage.DRAIN, at=now()
    )


def client_of(server: ScriptedServer, journal: Journal, *, waits: bool) -> Client:
    gate = Gate(journal, waits=waits, base_url=server.base_url)
    return Client(server.base_url, gate=gate)


def test_without_a_switch_nothing_is_held_back(server: ScriptedServer, tmp_path: Path):
    """A journal that nobody holds is of a switch that was killed: it holds nothing back either."""
    journal = Journal(tmp_path)
    with journal.held():
        journal.begin(a_switch())
    server.answer(completion("Hi"))

    with client_of(server, journal, waits=False) as client:
        assert client.chat("Hello").text == "Hi"


def test_a_request_waits_and_asks_what_is_served_by_then(server: ScriptedServer, tmp_path: Path):
    """The model that it would have asked for is gone."""
    journal = Journal(tmp_path)
    server.answer(completion("one"), completion("two"))
    server.listings = [model_list("pocket"), model_list("pocket-mini")]
    texts = []
    with client_of(server, journal, waits=True) as client:
        client.chat("Hello")
        with journal.held():
            journal.begin(a_switch())
            asking = threading.Thread(target=lambda: texts.append(client.chat("Hello").text))
            asking.start()
            asking.join(timeout=0.3)
            assert asking.is_alive()
            assert len(server.requests) == 2
            journal.end()
        asking.join(timeout=10)

    assert texts == ["two"]
    assert server.requests[-1].json["model"] == "pocket-mini"


def test_or_it_fails_at_once_by_choice(server: ScriptedServer, tmp_path: Path):
    """With what is going on, and how to wait instead."""
    journal = Journal(tmp_path)
    with (
        journal.held(),
        client_of(server, journal, waits=False) as client,
    ):
        journal.begin(a_switch())
        with pytest.raises(ServerUnreachableError, match="switched to pocket-mini") as caught:
            client.chat("Hello")

    assert "WORKBENCH_DURING_SWITCH=wait" in caught.value.hint
    assert server.requests == []
