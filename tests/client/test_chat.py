"""
One question, one answer, over a real socket.
"""

from __future__ import annotations

import pickle
import traceback

import pytest

from tests.client.conftest import NEVER
from tests.helpers import eventually
from tests.scripted import (
    HELLO,
    Answer,
    Do,
    ScriptedServer,
    completion,
    event,
    model_list,
    reply,
    stream,
)
from workbench import errors
from workbench.client import Client, Retries, Timeouts
from workbench.records import ChatMessage, SamplingParams, ToolCall, Usage

NO_SUCH_MODEL = reply(
    404,
    {
        "error": {
            "message": "The model `big` does not exist.",
            "type": "NotFoundError",
            "param": "model",
            "code": 404,
        }
    },
)
TOO_LONG = reply(
    400,
    {
        "error": {
            "message": "This model's maximum context length is 2048 tokens. However, your prompt "
            "contains 2050 input tokens, which exceeds this limit even without any output tokens.",
            "type": "BadRequestError",
            "param": "input_tokens",
            "code": 400,
        }
    },
)


def test_an_answer_comes_back_as_a_record(server: ScriptedServer, client: Client) -> None:
    """
    Text, reason, usage, id and end-to-end latency; no TTFT without a stream.
    """
    server.answer(completion("Hello"))
    answer = client.chat("hi", SamplingParams(max_tokens=5, top_k=3))

    assert str(answer) == "Hello"
    assert answer.finish_reason == "stop"
    assert answer.usage == Usage(input_tokens=3, output_tokens=2)
    assert answer.request_id == "chatcmpl-1"
    assert answer.base_url == server.base_url
    assert answer.ttft_s is None
    assert answer.e2e_latency_s is not None
    assert answer.e2e_latency_s > 0


def test_vllms_own_parameters_reach_the_server(server: ScriptedServer, client: Client) -> None:
    """
    top_k is not OpenAI's, and is in the body all the same; what is unset is not.
    """
    server.answer(completion())
    client.chat("hi", SamplingParams(max_tokens=5, top_k=3))

    assert server.requests[0].json == {
        "model": "pocket",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 5,
        "top_k": 3,
    }


def test_tools_pass_as_they_are_and_calls_come_back(server: ScriptedServer, client: Client) -> None:
    """
    The schema is the caller's; the call's arguments are the model's, to the letter.
    """
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"x":'}}
    server.answer(completion(None, tool_calls=[call]))
    answer = client.chat("1+1?", tools=[tool])

    assert server.requests[0].json["tools"] == [tool]
    assert answer.tool_calls == (ToolCall(id="c1", name="add", arguments='{"x":'),)
    assert answer.message.content is None


def test_without_a_model_the_first_served_is_asked_for_once(server: ScriptedServer) -> None:
    """
    Two chats, one look at the list.
    """
    server.listings = [model_list("first", "second")]
    server.answer(completion())
    with Client(server.base_url) as client:
        answers = [client.chat("a"), client.chat("b")]

    assert [answer.model for answer in answers] == ["first", "first"]
    assert [request.path for request in server.requests].count("/v1/models") == 1


def test_a_model_that_was_switched_away_is_asked_for_again(server: ScriptedServer) -> None:
    """
    A client that found its model itself finds the new one after a switch, with the same request.
    """
    server.listings = [model_list("old"), model_list("new")]
    server.answer(NO_SUCH_MODEL, completion())
    with Client(server.base_url) as client:
        answer = client.chat("a")

    assert answer.model == "new"


def test_a_server_without_models_is_said_to_have_none(server: ScriptedServer) -> None:
    """
    There is nobody to ask.
    """
    server.listings = [model_list()]
    with Client(server.base_url) as client, pytest.raises(errors.ServerFailureError) as caught:
        client.chat("hi")

    assert "no model" in str(caught.value)


def test_an_unknown_model_names_the_served_ones(server: ScriptedServer, client: Client) -> None:
    """
    The server is asked what it has, so that the error can say it.
    """
    server.listings = [model_list("pocket", "pocket-mini")]
    server.answer(NO_SUCH_MODEL)
    with pytest.raises(errors.ModelNotServedError) as caught:
        client.chat("hi", model="big")

    assert caught.value.requested == "big"
    assert caught.value.served == ("pocket", "pocket-mini")
    assert caught.value.status_code == 404
    assert "pocket-mini" in caught.value.message


def test_a_wrong_path_is_no_unknown_model(server: ScriptedServer) -> None:
    """
    A base URL without /v1 gets 404 too; the hint says where to look.
    """
    with (
        Client(server.base_url.removesuffix("/v1"), model="pocket") as client,
        pytest.raises(errors.RequestRejectedError) as caught,
    ):
        client.chat("hi")

    assert type(caught.value) is errors.RequestRejectedError
    assert "/v1" in (caught.value.hint or "")


def test_a_prompt_that_is_too_long_says_by_how_much(server: ScriptedServer, client: Client) -> None:
    """
    Both numbers, as the server said them.
    """
    server.answer(TOO_LONG)
    with pytest.raises(errors.ContextLengthError) as caught:
        client.chat("hi")

    assert (caught.value.input_tokens, caught.value.max_model_len) == (2050, 2048)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(
            reply(401, {"error": "Unauthorized"}), errors.AuthenticationError, id="no-key"
        ),
        pytest.param(
            reply(429, {"error": {"message": "Slow down.", "code": 429}}, {"retry-after": "7"}),
            errors.RateLimitedError,
            id="rate-limit",
        ),
        pytest.param(
            reply(503, "<html>503</html>", {"content-type": "text/html"}),
            errors.ServerFailureError,
            id="503",
        ),
        pytest.param(reply(200, '{"choices": [{"mess'), errors.ServerFailureError, id="half-json"),
        pytest.param(reply(200, "[]"), errors.ServerFailureError, id="no-object"),
        pytest.param(reply(200, "{}"), errors.ServerFailureError, id="no-choices"),
        pytest.param(Answer((b"{", Do.CUT)), errors.ClientError, id="cut-body"),
        pytest.param(
            Answer((), before_headers=(Do.RESET,)), errors.ServerFailureError, id="hung-up"
        ),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_every_refusal_has_its_error(
    server: ScriptedServer,
    client: Client,
    answer: Answer,
    kind: type[errors.ClientError],
    streamed: bool,
) -> None:
    """
    Streamed or not, with the address, a hint, and intact after pickling.
    """
    server.answer(answer)
    with pytest.raises(kind) as caught:
        client.stream("hi").read() if streamed else client.chat("hi")
    copy = pickle.loads(pickle.dumps(caught.value))

    assert caught.value.base_url == server.base_url
    assert caught.value.hint
    assert (type(copy), str(copy)) == (type(caught.value), str(caught.value))


def test_retry_after_is_carried(server: ScriptedServer, client: Client) -> None:
    """
    The header's seconds are a fact of the error.
    """
    server.answer(reply(429, {}, {"retry-after": "7"}))
    with pytest.raises(errors.RateLimitedError) as caught:
        client.chat("hi")

    assert caught.value.retry_after_s == 7


def test_a_retry_happens_where_nothing_was_delivered(server: ScriptedServer) -> None:
    """
    One 503, then an answer: the caller sees the answer only.
    """
    server.answer(reply(503, {}, {"retry-after-ms": "1"}), completion())
    with Client(
        server.base_url, model="pocket", retries=Retries(times=1, first_wait_s=0.01)
    ) as client:
        answer = client.chat("hi")

    assert answer.text == "Hello"
    assert len(server.chat_requests) == 2


def test_nobody_there_is_said_plainly() -> None:
    """
    A refused connection names the address, the reason and what to start.
    """
    server = ScriptedServer()
    server.close()
    with (
        Client(server.base_url, model="pocket", retries=NEVER) as client,
        pytest.raises(errors.ServerUnreachableError) as caught,
    ):
        client.chat("hi")

    assert server.base_url in caught.value.message
    assert "Connection refused" in caught.value.message
    assert "workbench up" in (caught.value.hint or "")


def test_models_are_listed(server: ScriptedServer, client: Client) -> None:
    """
    Name, path and context length.
    """
    (model,) = client.models()

    assert (model.name, model.root, model.max_model_len) == ("pocket", "/models/pocket", 2048)


def test_a_key_is_sent_and_never_shown(server: ScriptedServer) -> None:
    """
    A server that quotes the key back gets it hidden, in causes and debug tracebacks too.
    """
    key = "sk-very-secret"
    said = {"error": {"message": f"Wrong key {key}", "code": 401}}
    server.answer(reply(401, said), reply(401, said), stream(event(said)), stream(*HELLO))
    shown: list[object] = []
    with Client(server.base_url, api_key=key, model="pocket", on_outcome=shown.append) as client:
        shown.append(client)
        for ask in (client.chat, client.stream, client.stream):
            with pytest.raises(errors.ClientError) as caught:
                getattr(ask("hi"), "read", str)()
            shown += [caught.value, vars(caught.value), caught.value.__cause__]
            shown += traceback.format_exception(caught.value)
        shown.append(client.stream("hi"))

    assert server.requests[0].headers["authorization"] == f"Bearer {key}"
    assert key not in "".join(f"{thing!r}{thing!s}" for thing in shown)


@pytest.mark.parametrize("key", ["500", "error", "message", "null"])
def test_a_key_that_is_a_word_of_the_answer_hides_it(server: ScriptedServer, key: str) -> None:
    """
    What is left without it may be no JSON: the kind stays, and the words are shown as they are.
    """
    said = {"error": {"message": "no", "code": 500, "param": None}}
    server.answer(reply(500, said), stream(event(said)))
    with Client(server.base_url, api_key=key, model="pocket", retries=NEVER) as client:
        for ask in (client.chat, lambda prompt: client.stream(prompt).read()):
            with pytest.raises(errors.ServerFailureError) as caught:
                ask("hi")

            assert caught.value.status_code == 500
            assert key not in str(caught.value.body)


def test_without_a_key_the_environments_is_not_taken(
    server: ScriptedServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Only the settings read the environment; the SDK would do it on its own.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-environment")
    server.answer(completion())
    client.chat("hi")

    assert "sk-from-environment" not in str(server.requests[0].headers)


@pytest.mark.parametrize("base_url", ["localhost:8000", "ftp://x", "http://", ""])
def test_an_address_that_is_none_is_a_mistake(base_url: str) -> None:
    """
    Found when the client is made, not when it is used.
    """
    with pytest.raises(ValueError, match="base URL"):
        Client(base_url)


def test_wrong_messages_are_refused_before_a_request(
    server: ScriptedServer, client: Client
) -> None:
    """
    A programmer's mistake reaches no server.
    """
    with pytest.raises(ValueError, match="at least one"):
        client.chat([])

    assert server.requests == []


def test_a_closed_client_says_so() -> None:
    """
    Closing twice is fine; using it afterwards is a mistake.
    """
    client = Client()
    client.close()
    client.close()

    with pytest.raises(RuntimeError, match="closed"):
        client.chat("hi")


def test_a_time_out_frees_the_slot(server: ScriptedServer) -> None:
    """
    The connection is closed when the caller gets the error.
    """
    server.answer(Answer((), before_headers=(Do.STALL,)))
    limits = Timeouts(answer_s=0.1)
    with (
        Client(server.base_url, model="pocket", timeouts=limits, retries=NEVER) as client,
        pytest.raises(errors.RequestTimeoutError) as caught,
    ):
        client.chat("hi")

    assert eventually(lambda: server.hung_up)
    assert caught.value.phase == "first_token"
    assert isinstance(caught.value, TimeoutError)


def test_the_conversation_goes_on_with_the_answer(server: ScriptedServer, client: Client) -> None:
    """
    `answer.message` is the next turn.
    """
    server.answer(stream(*HELLO))
    first = client.stream("hi").read()
    client.stream([*first.messages, first.message, ChatMessage("user", "and?")]).read()

    assert server.requests[1].json["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "and?"},
    ]


def test_an_option_that_nobody_reads_is_a_mistake(server: ScriptedServer, client: Client) -> None:
    """
    ``temperature`` belongs into SamplingParams, and would be ignored here.
    """
    with pytest.raises(TypeError, match="no option temperature"):
        client.chat("x", temperature=0)  # type: ignore[call-arg]

    assert server.requests == []
