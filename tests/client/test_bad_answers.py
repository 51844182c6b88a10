"""
What servers and proxies send that nobody promised, and what becomes of it.
"""

from __future__ import annotations

import json

import pytest

from tests.scripted import (
    DONE,
    HELLO,
    ROLE,
    STOP,
    Answer,
    Do,
    ScriptedServer,
    chunk,
    event,
    reply,
    stream,
    text,
)
from workbench.client import Client
from workbench.errors import ClientError, ContextLengthError, ServerFailureError

MIB = 2**20

NO_HTTP = Answer((), before_headers=(b"SSH-2.0-OpenSSH_9.6", Do.CUT))
GZIP = {"content-type": "text/event-stream", "content-encoding": "gzip"}
BRACKETS = b"[" * 100_000


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
        pytest.param(NO_HTTP, id="no-http"),
        pytest.param(Answer((b"plain",), headers=GZIP), id="not-compressed-as-said"),
        pytest.param(stream(b"data: " + BRACKETS + b"\n\n"), id="brackets-without-end"),
        pytest.param(reply(200, BRACKETS.decode()), id="brackets-in-one-piece"),
        pytest.param(reply(400, BRACKETS.decode()), id="brackets-that-refuse"),
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


@pytest.mark.parametrize("answer", [NO_HTTP, Answer((b"plain",), headers=GZIP)])
def test_what_is_no_http_is_said_to_be_none(
    server: ScriptedServer, client: Client, answer: Answer
) -> None:
    """
    SSH, a database, TLS where http:// was written: it answers, so it is not "down".
    """
    server.answer(answer)
    with pytest.raises(ServerFailureError, match="is no HTTP") as caught:
        client.chat("hi")

    assert "port" in str(caught.value.hint)


def test_a_sentence_of_megabytes_is_shown_in_part(server: ScriptedServer, client: Client) -> None:
    """
    Validators quote the request; all of it is in the error's body.
    """
    message = "maximum context length is 2048 tokens" + "x" * 10 * MIB
    server.answer(reply(400, {"error": {"message": message}}))
    with pytest.raises(ContextLengthError) as caught:
        client.chat("hi")

    assert len(caught.value.message) < 3000
    assert caught.value.body == {"error": {"message": message}}


def test_a_media_type_may_be_written_in_capitals(server: ScriptedServer, client: Client) -> None:
    """
    RFC 9110, 8.3.1: type and subtype are the same in any case.
    """
    server.answer(Answer(HELLO, headers={"content-type": "Text/Event-Stream; Charset=UTF-8"}))

    assert client.stream("hi").read().text == "Hello"
