"""
What was not delivered is sent again, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.conftest import QUICK
from tests.scripted import (
    DONE,
    HELLO,
    ROLE,
    STOP,
    Answer,
    Do,
    ScriptedServer,
    chunk,
    reply,
    stream,
    text,
)
from workbench.client import Client, Retries
from workbench.client.retry import wait_before
from workbench.errors import (
    ClientError,
    RateLimitedError,
    RequestRejectedError,
    RequestTimeoutError,
    ServerFailureError,
    StreamInterruptedError,
)

SOON = Retries(times=2, first_wait_s=0.001, budget_s=5)


@pytest.fixture
def patient(server: ScriptedServer) -> Iterator[Client]:
    with Client(server.base_url, model="pocket", timeouts=QUICK, retries=SOON) as client:
        yield client


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(reply(503, {"error": {"message": "starting"}}), id="503"),
        pytest.param(reply(500, "oops"), id="500"),
        pytest.param(reply(429, {}, {"retry-after": "0"}), id="429"),
        pytest.param(reply(408, {}), id="408"),
        pytest.param(Answer((), before_headers=(Do.CUT,)), id="hung-up"),
        pytest.param(stream(ROLE, Do.CUT), id="cut-before-the-first-token"),
    ],
)
def test_what_was_not_delivered_is_sent_again(
    server: ScriptedServer, patient: Client, failure: Answer
) -> None:
    """
    The second attempt brings the answer, and it says that there were two.
    """
    server.answer(failure, stream(*HELLO))
    answer = patient.stream("hi").read()

    assert (answer.text, answer.attempts) == ("Hello", 2)
    assert len(server.chat_requests) == 2


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        pytest.param(reply(400, {}), RequestRejectedError, id="400"),
        pytest.param(reply(401, {}), RequestRejectedError, id="401"),
        pytest.param(reply(200, "<html>"), ServerFailureError, id="a-page"),
        pytest.param(stream(ROLE, text("Hel"), Do.CUT), StreamInterruptedError, id="cut-later"),
    ],
)
def test_what_would_fail_again_or_has_come_is_not(
    server: ScriptedServer, patient: Client, failure: Answer, error: type[ClientError]
) -> None:
    """
    A refusal stays one; and half an answer must not be followed by a whole one.
    """
    server.answer(failure, stream(*HELLO))
    with pytest.raises(error):
        patient.stream("hi").read()

    assert len(server.chat_requests) == 1


def test_a_server_that_is_too_slow_is_not_asked_twice(server: ScriptedServer) -> None:
    """
    It is too busy already.
    """
    server.answer(stream(Do.STALL), stream(*HELLO))
    limits = type(QUICK)(first_token_s=0.1)
    with (
        Client(server.base_url, model="pocket", timeouts=limits, retries=SOON) as client,
        pytest.raises(RequestTimeoutError),
    ):
        client.stream("hi").read()

    assert len(server.chat_requests) == 1


def test_the_number_of_attempts_has_an_end(server: ScriptedServer, patient: Client) -> None:
    """
    Two times more, and then the error is the last one's.
    """
    server.answer(*[reply(503, {"error": {"message": f"no {n}"}}) for n in (1, 2, 3)])
    with pytest.raises(ServerFailureError, match="no 3"):
        patient.chat("hi")

    assert len(server.chat_requests) == 3


def test_a_server_that_wants_more_time_than_the_budget_is_believed(
    server: ScriptedServer, patient: Client
) -> None:
    """
    Coming back sooner than it asks for would only be refused again.
    """
    server.answer(reply(429, {}, {"retry-after": "6"}))
    with pytest.raises(RateLimitedError) as caught:
        patient.chat("hi")

    assert caught.value.retry_after_s == 6
    assert len(server.chat_requests) == 1


@pytest.mark.parametrize("after", ["6", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_any_refusal_may_say_when_to_come_back(
    server: ScriptedServer, patient: Client, after: str
) -> None:
    """
    A server that starts answers 503, and says so in seconds or as a date.
    """
    server.answer(reply(503, {}, {"retry-after": after}))
    with pytest.raises(ServerFailureError) as caught:
        patient.chat("hi")

    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s >= 6
    assert len(server.chat_requests) == 1


def test_what_a_reader_has_seen_is_not_sent_again(server: ScriptedServer, patient: Client) -> None:
    """
    Also if it was no token yet: a call's id would come twice.
    """
    begun = chunk({"tool_calls": [{"index": 0, "id": "call-1"}]})
    server.answer(stream(ROLE, begun, Do.CUT), stream(*HELLO))
    with pytest.raises(StreamInterruptedError):
        patient.stream("hi").read()

    assert len(server.chat_requests) == 1


def test_nothing_is_left_of_an_attempt_that_failed(server: ScriptedServer, patient: Client) -> None:
    """
    The first attempt's request id would lead to the wrong line of the server's log.
    """
    first = stream(ROLE, Do.CUT, headers={"x-request-id": "one"})
    second = stream(ROLE, text("Hi"), STOP, DONE, headers={"x-request-id": "two"})
    server.answer(first, second)

    assert patient.stream("hi").read().request_id == "two"


def test_waits_grow_and_differ() -> None:
    """
    Doubled up to the longest, shortened by up to a half at random; a server's wish is a floor.
    """
    policy = Retries(first_wait_s=1.0, longest_wait_s=4.0)
    waits = [[wait_before(number, policy, asked_s=None) for _ in range(50)] for number in range(4)]

    assert all(
        longest / 2 <= min(row) < max(row) <= longest
        for row, longest in zip(waits, (1, 2, 4, 4), strict=True)
    )
    assert wait_before(0, policy, asked_s=3.0) == 3.0
