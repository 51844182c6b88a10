"""
What a server can be asked besides a chat.
"""

from __future__ import annotations

import pytest

from tests.scripted import ScriptedServer, reply
from workbench.client import Client
from workbench.errors import RequestRejectedError, ServerFailureError
from workbench.records import Tokens


def test_texts_become_vectors(server: ScriptedServer, client: Client) -> None:
    """
    One text or many; the server gets a list.
    """
    lines = [{"index": 0, "embedding": [0.5, -1.0]}]
    server.others["/v1/embeddings"] = [reply(200, {"model": "pocket", "data": lines})]

    assert client.embed("a text").vectors == ((0.5, -1.0),)
    assert server.requests[-1].json == {
        "model": "pocket",
        "input": ["a text"],
        "encoding_format": "float",
    }


def test_a_model_that_does_not_embed_is_named(server: ScriptedServer, client: Client) -> None:
    """
    vLLM answers 404, which is not a wrong base URL here.
    """
    with pytest.raises(RequestRejectedError) as caught:
        client.embed("a text")

    assert "pocket writes and does not embed" in str(caught.value.hint)


def test_vllms_own_paths_are_below_the_root(server: ScriptedServer, client: Client) -> None:
    """
    Not below /v1.
    """
    server.others["/tokenize"] = [reply(200, {"tokens": [1, 2], "max_model_len": 64})]

    assert client.tokenize("Hello") == Tokens(ids=(1, 2), max_model_len=64)
    assert client.count("Hello") == 2
    assert [request.path for request in server.requests] == ["/tokenize", "/tokenize"]


def test_anything_else_can_be_fetched(server: ScriptedServer, client: Client) -> None:
    """
    A page that is no JSON is an error with what it says.
    """
    server.others["/load"] = [reply(200, {"server_load": 3}), reply(200, "<html>")]

    assert client.fetch("/load") == {"server_load": 3}
    with pytest.raises(ServerFailureError, match="<html>"):
        client.fetch("/load")
