"""By what a request is found again: in the server's spans, and in telemetry."""

from __future__ import annotations

import re

import pytest

from tests.client.conftest import QUICK
from tests.helpers import eventually
from tests.scripted import HELLO, Do, ScriptedServer, chunk, completion, reply, stream, text
from workbench import errors
from workbench.client import Client, Retries
from workbench.client.trace import Trace, new_trace
from workbench.records import Failure, Outcome


def test_a_header_is_that_of_the_standard() -> None:
    """
    Version 00, 32 and 16 hexadecimal digits, and the flag that it is recorded.
    """
    assert Trace("ab" * 16, "cd" * 8).header == f"00-{'ab' * 16}-{'cd' * 8}-01"
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", new_trace().header)


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_the_server_is_told_the_trace(
    client: Client, server: ScriptedServer, streamed: bool
) -> None:
    """
    The header has the ids that the answer has, and no two requests share one.
    """
    server.answer(*[stream(*HELLO) if streamed else completion()] * 2)
    answers = [client.stream("Hi").read() if streamed else client.chat("Hi") for _ in range(2)]

    for answer, request in zip(answers, server.requests, strict=True):
        assert request.headers["traceparent"] == f"00-{answer.trace_id}-{answer.span_id}-01"
    assert answers[0].trace_id != answers[1].trace_id


def test_a_request_that_is_sent_again_stays_in_its_trace(server: ScriptedServer) -> None:
    """
    All attempts are one request of the caller, also for the server's spans.
    """
    server.answer(reply(503, {}), completion())
    with Client(
        server.base_url, model="pocket", timeouts=QUICK, retries=Retries(times=1, first_wait_s=0)
    ) as client:
        client.chat("Hi")

    first, second = server.requests
    assert first.headers["traceparent"] == second.headers["traceparent"]


def test_an_answer_says_which_model_gave_it(client: Client, server: ScriptedServer) -> None:
    """
    Asked by an alias, a server answers with its model's name.
    """
    said = {"model": "pocket-of-the-server"}
    server.answer(stream(chunk({"content": "Hi"}, **said), chunk(finish_reason="stop", **said)))

    assert client.stream("Hi", model="default").read().served_model == "pocket-of-the-server"


def test_a_failure_is_found_as_an_answer_is(
    client: Client, server: ScriptedServer, outcomes: list[Outcome]
) -> None:
    """
    Trace, tags and attempts are told with a request that broke off, too.
    """
    server.answer(stream(text("Hel"), Do.CUT))
    with pytest.raises(errors.StreamInterruptedError) as caught:
        client.stream("Hi", tags={"run": "7"}).read()
    (failure,) = outcomes

    assert isinstance(failure, Failure)
    assert (failure.tags, failure.attempts) == ({"run": "7"}, 1)
    assert failure.trace_id == caught.value.partial.trace_id
    assert failure.trace_id in server.requests[0].headers["traceparent"]


def test_tags_are_not_sent(client: Client, server: ScriptedServer) -> None:
    """
    They are the caller's, and come back with the answer as text.
    """
    server.answer(completion())
    answer = client.chat("Hi", tags={"run": 7})  # type: ignore[dict-item]  # people will

    assert answer.tags == {"run": "7"}
    assert "tags" not in server.requests[0].json
    assert "7" not in str(server.requests[0].json)


def test_the_version_is_asked_beside_the_requests(server: ScriptedServer) -> None:
    """
    Once, if the client is told to; nobody waits for it, and later outcomes say it.
    """
    server.others["/version"] = [reply(200, {"version": "0.32.0"})]
    server.answer(completion())
    with Client(server.base_url, model="pocket", timeouts=QUICK, asks_version=True) as client:
        assert eventually(lambda: client.chat("Hi").server_version == "0.32.0")
        client.chat("Hi")

    assert sum(request.path == "/version" for request in server.requests) == 1


def test_a_server_without_a_version_is_no_error(server: ScriptedServer) -> None:
    """
    Then it is unknown.
    """
    server.answer(completion())
    with Client(server.base_url, model="pocket", timeouts=QUICK, asks_version=True) as client:
        assert [client.chat("Hi").server_version for _ in range(3)] == [None] * 3
