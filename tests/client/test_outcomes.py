"""
Every request tells its outcome exactly once, whatever became of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from tests.client.conftest import NEVER
from tests.helpers import eventually
from tests.scripted import Answer, Do, ScriptedServer, completion, reply, stream, text
from workbench import errors
from workbench.client import Client, Timeouts
from workbench.records import Failure, Generation, Outcome

FAILED = reply(503, {"error": {"message": "Broken.", "code": 503}})
HALF = stream(text("Hel"), Do.CUT)
STALLED = stream(text("Hel"), Do.STALL)


def chat(client: Client) -> object:
    return client.chat("hi")


def read(client: Client) -> object:
    return client.stream("hi").read()


def iterate(client: Client) -> object:
    return list(client.stream("hi"))


def achat(client: Client) -> object:
    return asyncio.run(client.achat("hi"))


def aread(client: Client) -> object:
    async def ask() -> object:
        return await client.astream("hi").read()

    return asyncio.run(ask())


def leave(client: Client) -> object:
    for _ in client.stream("hi"):
        break
    return None


def leave_at_once(client: Client) -> object:
    client.stream("hi").close()
    return None


@pytest.mark.parametrize(
    ("ask", "answer", "error"),
    [
        pytest.param(chat, completion(), None, id="chat"),
        pytest.param(read, None, None, id="read"),
        pytest.param(iterate, None, None, id="iterate"),
        pytest.param(achat, completion(), None, id="achat"),
        pytest.param(aread, None, None, id="aread"),
        pytest.param(chat, FAILED, errors.ServerFailureError, id="chat-failed"),
        pytest.param(read, FAILED, errors.ServerFailureError, id="stream-failed"),
        pytest.param(iterate, HALF, errors.StreamInterruptedError, id="cut"),
        pytest.param(aread, HALF, errors.StreamInterruptedError, id="async-cut"),
        pytest.param(chat, reply(200, "{"), errors.ServerFailureError, id="nonsense"),
        pytest.param(leave, STALLED, asyncio.CancelledError, id="left"),
        pytest.param(leave_at_once, STALLED, asyncio.CancelledError, id="left-at-once"),
    ],
)
def test_one_request_is_one_outcome(
    server: ScriptedServer,
    client: Client,
    outcomes: list[Outcome],
    ask: Callable[[Client], object],
    answer: Answer | None,
    error: type[BaseException] | None,
) -> None:
    """
    A generation, or a failure with the error the caller saw; it is told before the caller returns.
    """
    if answer:
        server.answer(answer)
    if error and not issubclass(error, asyncio.CancelledError):
        with pytest.raises(error):
            ask(client)
    else:
        ask(client)

    assert len(outcomes) == 1
    if error is None:
        assert isinstance(outcomes[0], Generation)
    else:
        assert isinstance(outcomes[0], Failure)
        assert type(outcomes[0].error) is error
    assert outcomes[0].model == "pocket"


def test_a_failure_carries_what_came(
    server: ScriptedServer, client: Client, outcomes: list[Outcome]
) -> None:
    """
    The partial answer and its stamps go to telemetry as to the caller.
    """
    server.answer(HALF)
    with pytest.raises(errors.StreamInterruptedError) as caught:
        read(client)
    (failure,) = outcomes

    assert isinstance(failure, Failure)
    assert failure.error is caught.value
    assert failure.partial is not None
    assert failure.partial.text == "Hel"
    assert len(failure.timings.chunks_s) == 1


def test_a_time_out_is_one_outcome(server: ScriptedServer) -> None:
    """
    Our own limit, with its phase.
    """
    outcomes: list[Outcome] = []
    server.answer(STALLED)
    with (
        Client(
            server.base_url,
            model="pocket",
            timeouts=Timeouts(stream_s=0.1),
            on_outcome=outcomes.append,
        ) as client,
        pytest.raises(errors.RequestTimeoutError),
    ):
        read(client)

    assert [type(outcome) for outcome in outcomes] == [Failure]


def test_a_server_that_is_away_is_one_outcome() -> None:
    """
    Even when it fails before a model was known.
    """
    outcomes: list[Outcome] = []
    gone = ScriptedServer()
    gone.close()
    with (
        Client(gone.base_url, on_outcome=outcomes.append, retries=NEVER) as client,
        pytest.raises(errors.ServerUnreachableError),
    ):
        chat(client)

    assert [type(outcome) for outcome in outcomes] == [Failure]


def test_what_a_callback_raises_stays_in_the_log(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Two requests, two failing callbacks, two answers, and one line of log.
    """

    def fail(_: Outcome) -> None:
        raise ZeroDivisionError

    server.answer(completion())
    with (
        caplog.at_level(logging.ERROR),
        Client(server.base_url, model="pocket", on_outcome=fail) as client,
    ):
        answers = [client.chat("a").text, client.chat("b").text]

    assert answers == ["Hello", "Hello"]
    assert len(caplog.records) == 1


def test_a_callback_that_asks_the_same_client_is_told_off(server: ScriptedServer) -> None:
    """
    It runs on the client's own thread, where waiting for that thread would never end.
    """
    said: list[str] = []

    def ask_again(_: Outcome) -> None:
        with pytest.raises(RuntimeError) as caught:
            client.chat("again")
        said.append(str(caught.value))

    server.answer(completion())
    with Client(server.base_url, model="pocket", on_outcome=ask_again) as client:
        client.chat("hi")
        assert eventually(lambda: said)

    assert "achat" in said[0]
