"""
An answer is kept to a form, and read back as what was asked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pydantic
import pytest

from tests.scripted import DONE, ROLE, ScriptedServer, chunk, completion, reply, stream, text
from workbench.client import Client
from workbench.errors import ConfigError, OutputFormatError
from workbench.records import Generation, Outcome, OutputFormat


class City(pydantic.BaseModel):
    """A pydantic model."""

    name: str
    population: int = 0


@dataclass
class Point:
    """A dataclass."""

    x: int
    y: int


@pytest.mark.parametrize(
    ("output", "answer", "value"),
    [
        pytest.param(City, '{"name": "Ulm"}', City(name="Ulm"), id="pydantic"),
        pytest.param(Point, '{"x": 1, "y": 2}', Point(1, 2), id="dataclass"),
        pytest.param(list[int], "[1, 2]", [1, 2], id="list"),
        pytest.param({"type": "object"}, '{"a": null}', {"a": None}, id="schema"),
        pytest.param(OutputFormat(kind="json_object"), "{}", {}, id="json-object"),
    ],
)
def test_the_answer_comes_back_as_what_was_asked_for(
    server: ScriptedServer, client: Client, output: object, answer: str, value: object
) -> None:
    """
    Streamed or not; the server got OpenAI's field.
    """
    server.answer(
        completion(answer), stream(ROLE, text(answer), chunk({}, finish_reason="stop"), DONE)
    )

    assert client.chat("x", output=output).parsed == value
    assert client.stream("x", output=output).read().parsed == value
    assert all("response_format" in request.json for request in server.chat_requests)


def test_the_version_is_asked_once_and_only_where_it_matters(
    server: ScriptedServer,
) -> None:
    """
    A chat without a constraint costs one request, and a constraint one more the first time.
    """
    vote = OutputFormat(kind="choice", value=("yes", "no"))
    with Client(server.base_url, model="pocket") as client:
        server.others["/version"] = [reply(200, {"version": "0.32.0"})]
        server.answer(completion("yes"), completion("no"))
        assert client.chat("x", output=vote).parsed == "yes"
        assert client.chat("x", output=vote).parsed == "no"

    paths = [request.path for request in server.requests]
    assert paths == ["/version", "/v1/chat/completions", "/v1/chat/completions"]


def test_another_server_is_said_to_have_no_regex(server: ScriptedServer) -> None:
    """
    Before a request that would come back unconstrained.
    """
    with (
        Client(server.base_url, model="pocket") as client,
        pytest.raises(ConfigError, match="Only a vLLM"),
    ):
        client.chat("x", output=OutputFormat(kind="regex", value="a+"))


def test_an_answer_of_another_form_is_an_error_with_the_answer(
    server: ScriptedServer, client: Client, outcomes: list[Outcome]
) -> None:
    """
    The request went well, and telemetry says so; reading it did not.
    """
    server.answer(completion("no JSON"))
    with pytest.raises(OutputFormatError, match="form") as caught:
        client.chat("x", output=City)

    assert caught.value.partial.text == "no JSON"
    assert [type(outcome) for outcome in outcomes] == [Generation]


def test_an_answer_that_was_cut_off_is_said_to_be(server: ScriptedServer, client: Client) -> None:
    """
    The reason is max_tokens and not the server.
    """
    cut = json.dumps({"name": "Ulm"})[:-3]
    server.answer(stream(ROLE, text(cut), chunk({}, finish_reason="length"), DONE))
    with pytest.raises(OutputFormatError) as caught:
        list(client.stream("x", output=City))

    assert "max_tokens" in str(caught.value.hint)


def test_brackets_without_end_are_no_form(server: ScriptedServer, client: Client) -> None:
    """
    A small model that is kept to JSON may open them until max_tokens.
    """
    answer = (ROLE, text("[" * 100_000), chunk({}, finish_reason="length"), DONE)
    server.answer(stream(*answer))
    for output in (OutputFormat(kind="json_object"), list[object]):
        with pytest.raises(OutputFormatError):
            client.stream("x", output=output).read()


def test_what_is_no_form_is_a_mistake(client: Client) -> None:
    """
    Found before a request.
    """
    with pytest.raises(TypeError, match="an output is"):
        client.chat("x", output=5)


def test_a_kind_that_nobody_knows_is_a_mistake(server: ScriptedServer, client: Client) -> None:
    """
    Servers pass over a field they do not know, and the answer would look as if kept to it.
    """
    with pytest.raises(TypeError, match="regex, choice, grammar, not 'regexp'"):
        client.chat("x", output=OutputFormat(kind="regexp", value="a+"))  # type: ignore[arg-type]

    assert server.requests == []
