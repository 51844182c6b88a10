"""
What servers and proxies send that nobody promised, and what becomes of it.
"""

from __future__ import annotations

import json

import pytest

from tests.scripted import (
    DONE,
    ROLE,
    STOP,
    Answer,
    ScriptedServer,
    chunk,
    event,
    reply,
    stream,
    text,
)
from workbench.client import Client
from workbench.errors import ClientError, ServerFailureError

MIB = 2**20


def test_a_line_of_ten_megabytes_is_one_chunk(server: ScriptedServer, client: Client) -> None:
    """
    A server that does not stream sends all of it as one.
    """
    line = text("x" * 10 * MIB)
    parts = [line[start : start + 65536] for start in range(0, len(line), 65536)]
    server.answer(stream(ROLE, *parts, STOP, DONE))

    assert len(client.stream("hi").read().text) == 10 * MIB


def test_arguments_of_a_megabyte_are_put_together(server: ScriptedServer, client: Client) -> None:
    """
    A tool that writes a file gets all of it.
    """
    arguments = json.dumps({"text": "é" * MIB})
    pieces = [arguments[start : start + 4096] for start in range(0, len(arguments), 4096)]
    first = {"index": 0, "id": "c", "function": {"name": "write", "arguments": ""}}
    calls = [first, *({"index": 0, "function": {"arguments": piece}} for piece in pieces)]
    server.answer(stream(ROLE, *(chunk({"tool_calls": [call]}) for call in calls), STOP, DONE))

    (call,) = client.stream("hi").read().tool_calls
    assert (call.name, call.arguments) == ("write", arguments)


def test_fields_that_nobody_knows_are_passed_over(server: ScriptedServer, client: Client) -> None:
    """
    Servers add their own, at every place.
    """
    delta = {"content": "Hi", "citations": [1], "audio": {"id": 5}}
    strange = chunk(delta, service_tier=None, x_groq={"id": "r"}, obfuscation="aB3")
    server.answer(stream(event({"object": "ping"}), ROLE, strange, event({}), STOP, DONE))

    assert client.stream("hi").read().text == "Hi"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(502, "<html><h1>502 Bad Gateway</h1></html>"), id="a-proxys-page"),
        pytest.param(reply(200, "<html>Please log in</html>"), id="a-login-page"),
        pytest.param(stream(b"<html>502</html>"), id="a-page-called-a-stream"),
        pytest.param(stream(b'data: {"choices": [\n\n'), id="half-a-chunk"),
        pytest.param(stream(b"data: 5\n\n"), id="a-number"),
        pytest.param(
            stream(event({"error": {"message": "boom", "code": 500}})), id="an-error-event"
        ),
        pytest.param(stream(event({"error": "boom"})), id="an-error-in-a-word"),
        pytest.param(stream(), id="nothing"),
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
def test_nonsense_is_one_of_our_errors(
    server: ScriptedServer, client: Client, answer: Answer, streamed: bool
) -> None:
    """
    With the address, and never as an answer.
    """
    server.answer(answer)
    with pytest.raises(ClientError) as caught:
        client.stream("hi").read() if streamed else client.chat("hi")

    assert caught.value.base_url == client.base_url


def test_a_proxys_page_is_quoted(server: ScriptedServer, client: Client) -> None:
    """
    Its words say whose page it is.
    """
    server.answer(reply(502, "<html><h1>502 Bad Gateway</h1><hr>nginx</html>"))
    with pytest.raises(ServerFailureError, match="nginx") as caught:
        client.chat("hi")

    assert caught.value.status_code == 502
