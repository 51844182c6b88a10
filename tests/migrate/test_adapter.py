"""The client that an application gets: OpenAI's API in llama-cpp-python's form, and records."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import openai
import pytest
from langchain_core.callbacks import BaseCallbackManager

from tests.scripted import (
    HELLO,
    ROLE,
    ScriptedServer,
    completion,
    reply,
    stream,
    text,
)
from workbench.migrate import adapters
from workbench.telemetry.received import record_of_document

ASKED = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def client(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module as an application imports it, with the server in its environment."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("LLM_RETRIES", "0")
    path = f"{adapters.__path__[0]}/llm_client.py"
    spec = importlib.util.spec_from_file_location("llm_client", path)
    assert spec and spec.loader  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    module._llm.close()


def records(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    lines = [record for record in caplog.records if record.name == "llm_client"]
    return [json.loads(line.getMessage()) for line in lines]


def test_an_answer_is_a_dictionary_and_leaves_a_record(
    client: ModuleType, server: ScriptedServer, caplog: pytest.LogCaptureFixture
):
    """Prompt hash, params, tokens, latency, status: what the workbench reads as its own."""
    caplog.set_level(logging.INFO, logger="llm_client")
    server.answer(completion("so it is"))

    answer = client.chat(ASKED, temperature=0.5, extra_body={"top_k": 40})

    assert answer["choices"][0]["message"]["content"] == "so it is"
    assert server.chat_requests[0].json["top_k"] == 40
    assert server.chat_requests[0].headers["authorization"] == "Bearer secret"
    record = record_of_document(records(caplog)[0])
    assert (record.status, record.temperature, record.top_k) == ("ok", 0.5, 40)
    assert (record.input_tokens, record.output_tokens, record.finish_reason) == (3, 2, "stop")
    assert "Hello" not in json.dumps(records(caplog))


def test_a_stream_gives_chunks_with_choices_only(
    client: ModuleType, server: ScriptedServer, caplog: pytest.LogCaptureFixture
):
    """The last chunk, which has the count of tokens alone, is for the record."""
    caplog.set_level(logging.INFO, logger="llm_client")
    server.answer(stream(*HELLO))

    chunks = list(client.chat(ASKED, stream=True))

    said = [each["choices"][0]["delta"].get("content", "") for each in chunks]
    assert "".join(part or "" for part in said) == "Hello"
    record = records(caplog)[0]
    assert (record["output_tokens"], record["num_chunks"], record["streamed"]) == (2, 2, True)
    assert record["ttft_s"] <= record["e2e_latency_s"] <= record["duration_s"]


def test_a_refusal_is_recorded_and_raised(
    client: ModuleType, server: ScriptedServer, caplog: pytest.LogCaptureFixture
):
    """It has no latency, so that failures flatter no mean."""
    caplog.set_level(logging.INFO, logger="llm_client")
    server.answer(reply(400, {"error": {"message": "too long"}}))

    with pytest.raises(openai.BadRequestError):
        client.chat(ASKED)

    record = records(caplog)[0]
    assert (record["status"], record["error_type"]) == ("error", "BadRequestError")
    assert record["http_status"] == 400
    assert "e2e_latency_s" not in record


def test_a_reader_who_leaves_has_not_failed(
    client: ModuleType, server: ScriptedServer, caplog: pytest.LogCaptureFixture
):
    """A stream that is closed early is interrupted."""
    caplog.set_level(logging.INFO, logger="llm_client")
    server.answer(stream(ROLE, *(text("word ") for _ in range(50))))

    chunks = client.chat(ASKED, stream=True)
    next(chunks)
    chunks.close()

    assert records(caplog)[0]["status"] == "interrupted"


def test_time_outs_and_retries_are_said_in_one_place(client: ModuleType):
    """Ten minutes for an answer, five seconds for a connection; retries as the environment says."""
    assert client.SERVER["timeout"] == openai.Timeout(600.0, connect=5.0)
    assert client.SERVER["max_retries"] == 0


@pytest.mark.parametrize(
    ("version", "field", "value"),
    [
        ("0.9.2", "guided_grammar", 'root ::= "a"'),
        ("0.32.0", "structured_outputs", {"grammar": 'root ::= "a"'}),
        ("0.1.dev1+g12345", "structured_outputs", {"grammar": 'root ::= "a"'}),
    ],
)
def test_a_grammar_goes_where_the_servers_version_looks_for_it(
    client: ModuleType, server: ScriptedServer, version: str, field: str, value: object
):
    """0.9.2 is the version of AMD's image for WSL; the other field would be ignored unseen."""
    server.others["/version"] = [reply(200, {"version": version})]
    server.answer(completion("a"))

    client.chat(ASKED, extra_body={"structured_outputs": {"grammar": 'root ::= "a"'}, "top_k": 1})

    said = server.chat_requests[0].json
    assert said[field] == value
    assert said["top_k"] == 1
    assert len({"guided_grammar", "structured_outputs"} & set(said)) == 1


def test_a_seed_goes_with_requests_that_have_none(client: ModuleType, server: ScriptedServer):
    """As llama-cpp-python's Llama(seed=…) did."""
    server.answer(completion("a"))
    seeded = client.LLM(seed=7)
    seeded.chat(ASKED)
    seeded.chat(ASKED, seed=3)

    assert [request.json["seed"] for request in server.chat_requests] == [7, 3]


def test_langchains_answers_leave_records_beside_the_applications_own_callbacks(
    client: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    """Whoever has callbacks would have lost the records by them."""
    monkeypatch.setitem(sys.modules, "llm_client", client)
    path = f"{adapters.__path__[0]}/llm_langchain.py"
    spec = importlib.util.spec_from_file_location("llm_langchain", path)
    assert spec and spec.loader  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    own = module.BaseCallbackHandler()
    manager = BaseCallbackManager([own])
    for given in ([own], manager):
        said = module._with_recorder({"callbacks": given})["callbacks"]
        handlers = said if isinstance(said, list) else said.handlers
        assert [type(each) for each in handlers] == [type(own), module.Recorder]
