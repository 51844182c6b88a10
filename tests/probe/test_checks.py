"""
Every check against servers that do it, do it badly, say no, and say nothing.

Each line of a table is a script, and the verdict that follows from the
definitions in ``workbench/probe/__init__.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from tests.helpers import eventually
from tests.scripted import (
    DONE,
    HELLO,
    ROLE,
    STOP,
    Answer,
    Do,
    ScriptedServer,
    chunk,
    completion,
    model_list,
    reply,
    stream,
    text,
    usage,
)
from workbench.probe import access, chats, endpoints, formats, slots, tools
from workbench.probe.base import Ask, Target
from workbench.records import Verdict

PASS, WARN, SKIP, FAIL = Verdict.PASS, Verdict.WARN, Verdict.SKIP, Verdict.FAIL

WHOLE_AND_STREAMED = (stream(*HELLO), completion("Hello"))
TOO_LONG = "This model's maximum context length is {} tokens. However, your prompt contains {}"


def call(arguments: str, name: str = "get_weather", id: str = "call-1") -> dict[str, object]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calls(*made: Mapping[str, object]) -> Answer:
    return completion(None, tool_calls=list(made))


def streamed_call(*arguments: str, name: str = "get_weather") -> Answer:
    first = {"index": 0, "id": "call-1", "function": {"name": name, "arguments": ""}}
    rest = ({"index": 0, "function": {"arguments": part}} for part in arguments)
    parts = (chunk({"tool_calls": [part]}) for part in (first, *rest))
    return stream(ROLE, *parts, chunk({}, finish_reason="tool_calls"), DONE)


def choices(*made: Mapping[str, object], tokens: int = 2) -> Answer:
    counts = {"prompt_tokens": 3, "completion_tokens": tokens}
    listed = [{"index": index, "finish_reason": "stop", **each} for index, each in enumerate(made)]
    return reply(200, {"id": "chatcmpl-1", "choices": listed, "usage": counts})


def said(content: str, finish_reason: str = "stop") -> Answer:
    return choices({"message": {"content": content}, "finish_reason": finish_reason})


def with_logprob(value: float, *others: Mapping[str, object]) -> Answer:
    line = {"token": "a", "logprob": value, "top_logprobs": list(others)}
    return choices({"message": {"content": "a"}, "logprobs": {"content": [line]}})


def refusal(message: str, status: int = 400) -> Answer:
    return reply(status, {"error": {"message": message, "code": status}})


HELD_BACK = b"".join((ROLE, text("a"), text("b"), STOP, usage(3, 20), DONE))
AUSTIN = call('{"city": "Austin"}')
PARIS = call('{"city": "Paris"}', id="call-2")
LIKELY = {"token": "b", "logprob": -3.0}


@pytest.mark.parametrize(
    ("ask", "answers", "verdict", "seen"),
    [
        (chats.chat, [completion("Hello")], PASS, "Hello"),
        (chats.chat, [completion("")], WARN, "“”"),
        (chats.chat, [choices({"message": {"content": "x"}, "finish_reason": None})], WARN, "no f"),
        (chats.streaming, WHOLE_AND_STREAMED, PASS, "2 chunks"),
        (chats.streaming, [stream(HELD_BACK)], WARN, "in 1 read"),
        (chats.streaming, [stream(ROLE, STOP, DONE)], WARN, "0 chunks"),
        (chats.streaming, [stream(*HELLO), completion("Help")], WARN, "Help"),
        (chats.usage_in_stream, [stream(*HELLO)], PASS, "3 in, 2 out"),
        (chats.usage_in_stream, [stream(ROLE, text("a"), STOP, DONE)], WARN, "no usage"),
        (chats.logprobs, [with_logprob(-0.1, LIKELY)], PASS, "1 of 2 tokens"),
        (chats.logprobs, [with_logprob(0.1, LIKELY)], FAIL, "1 of"),
        (chats.logprobs, [with_logprob(-0.1)], FAIL, "1 of"),
        (chats.logprobs, [completion("a")], FAIL, "0 of 2 tokens"),
        (chats.several, [choices({"message": {"content": "a"}}, {"message": {}})], PASS, "2 answ"),
        (chats.several, [completion("a")], FAIL, "1 answer"),
        (chats.seed, [said("a"), said("a"), said("b")], PASS, "both times"),
        (chats.seed, [said("a"), said("b"), said("b")], WARN, "then “b”"),
        (chats.seed, [said("a"), said("a"), said("a")], WARN, "seed=2"),
        (chats.stop, [said("one two three"), said("one two ")], PASS, "three"),
        (chats.stop, [said("one two three")], FAIL, "three"),
        (chats.stop, [said("one two three"), said("one two", "length")], WARN, "length"),
        (chats.stop, [said("one")], WARN, "one"),
        (chats.context_length, [refusal(TOO_LONG.format(2048, "2050 input tokens"))], PASS, "2050"),
        (chats.context_length, [refusal(TOO_LONG.format(2048, "at least"))], WARN, "unknown"),
        (chats.context_length, [refusal(TOO_LONG.format(99, "2050 input tokens"))], FAIL, "99"),
        (chats.context_length, [refusal("no")], WARN, "400"),
        (chats.context_length, [completion("cut")], WARN, "cut"),
        (tools.auto, [calls(AUSTIN)], PASS, "Austin"),
        (tools.auto, [completion("It rains.")], WARN, "no call, “It rains.”"),
        (tools.auto, [said("Let me think", "length")], WARN, "think"),
        (tools.auto, [calls(call("{}", name="rain"))], WARN, "rain"),
        (tools.auto, [calls(call('{"city": '))], WARN, "city"),
        (tools.required, [calls(AUSTIN)], PASS, "required"),
        (tools.required, [completion("It rains.")], FAIL, "It rains."),
        (tools.required, [said("Let me think", "length")], WARN, "think"),
        (tools.named, [calls(AUSTIN)], PASS, "get_weather"),
        (tools.named, [completion("It rains.")], FAIL, "It rains."),
        (tools.parallel, [calls(AUSTIN, PARIS)], PASS, "Paris"),
        (tools.parallel, [calls(AUSTIN)], WARN, "Austin"),
        (tools.parallel, [calls(AUSTIN, AUSTIN)], FAIL, "Austin"),
        (tools.streamed, [calls(AUSTIN), streamed_call('{"ci', 'ty": "Austin"}')], PASS, "Austin"),
        (tools.streamed, [calls(AUSTIN), streamed_call('{"city":"Austin"}')], PASS, "Austin"),
        (tools.streamed, [calls(AUSTIN), streamed_call('{"city": ')], FAIL, "city"),
        (tools.streamed, [calls(AUSTIN), stream(*HELLO)], FAIL, "no call"),
        (tools.streamed, [calls(AUSTIN), streamed_call('{"city": "Rome"}')], WARN, "Rome"),
        (tools.streamed, [completion("It rains."), stream(*HELLO)], WARN, "It rains."),
        (
            tools.empty_arguments,
            [calls(call("{}", "get_gpu_memory")), streamed_call("{}", name="get_gpu_memory")],
            PASS,
            "{}",
        ),
        (
            tools.empty_arguments,
            [calls(call("{}", "get_gpu_memory")), streamed_call(name="get_gpu_memory")],
            FAIL,
            "streamed get_gpu_memory",
        ),
        (
            tools.empty_arguments,
            [calls(call("{}", "get_gpu_memory")), stream(*HELLO)],
            FAIL,
            "no call",
        ),
        (
            tools.empty_arguments,
            [calls(call("82", "get_gpu_memory")), streamed_call("82", name="get_gpu_memory")],
            WARN,
            "82",
        ),
        (tools.empty_arguments, [completion("24 GB"), stream(*HELLO)], WARN, "24 GB"),
        (formats.json_schema, [said('{"name": "beta", "sure": false}')], PASS, "beta"),
        (formats.json_schema, [said('{"name": "RX", "sure": false}')], FAIL, "RX"),
        (formats.json_schema, [said("Sure!")], FAIL, "Sure!"),
        (formats.json_schema, [said('{"name":', "length")], WARN, "name"),
    ],
)
def test_a_chat_check_tells_the_server_from_the_model(
    ask: Ask,
    answers: Sequence[Answer],
    verdict: Verdict,
    seen: str,
    server: ScriptedServer,
    target: Target,
) -> None:
    """
    What the server owes is FAIL, what the model owes is WARN with what it said.
    """
    server.answer(*answers)
    found = ask(target)

    assert (found.verdict, found.means != "") == (verdict, True)
    assert seen in found.seen


@pytest.mark.parametrize("max_model_len", [None, 10_000_000])
def test_a_prompt_that_may_fit_is_not_sent(
    max_model_len: int | None, server: ScriptedServer, target_of: Callable[..., Target]
) -> None:
    """
    Without a limit nobody knows what is too long; with a huge one it is megabytes.
    """
    found = chats.context_length(target_of(server.base_url, max_model_len=max_model_len))

    assert found.verdict is SKIP
    assert server.chat_requests == []


VERSION = {"/version": [reply(200, {"version": "0.32.0"})]}


@pytest.mark.parametrize(
    ("others", "answer", "verdict"),
    [
        (VERSION, said("048-ee"), PASS),
        (VERSION, said("many"), FAIL),
        (VERSION, said("", "length"), WARN),
        ({}, said("048-ee"), SKIP),
    ],
)
def test_a_pattern_is_asked_of_a_vllm_only(
    others: dict[str, list[Answer]],
    answer: Answer,
    verdict: Verdict,
    server: ScriptedServer,
    target: Target,
) -> None:
    """
    Other servers pass over the field, and an answer that fits would be chance.
    """
    server.others.update(others)
    server.answer(answer)

    assert formats.regex(target).verdict is verdict


@pytest.mark.parametrize(
    ("listing", "verdict"),
    [(model_list("pocket"), PASS), (model_list("other"), WARN), (model_list(), WARN)],
)
def test_a_model_that_is_not_listed_is_a_warning(
    listing: Answer, verdict: Verdict, server: ScriptedServer, target: Target
) -> None:
    """
    It was named by the user, and may answer.
    """
    server.listings = [listing]

    assert chats.models(target).verdict is verdict


def vectors(*lengths: int) -> Answer:
    lines = [{"index": index, "embedding": [0.5] * size} for index, size in enumerate(lengths)]
    return reply(200, {"model": "pocket", "data": lines})


def response(text: str, kind: str = "response") -> Answer:
    output = [{"type": "message", "content": [{"type": "output_text", "text": text}]}]
    return reply(200, {"object": kind, "status": "completed", "output": output})


def metrics_page(running: float) -> Answer:
    return reply(
        200,
        "# TYPE vllm:num_requests_running gauge\n"
        f'vllm:num_requests_running{{engine="0",model_name="pocket"}} {running}\n'
        f'vllm:num_requests_running{{engine="1",model_name="pocket"}} 0.0\n',
    )


@pytest.mark.parametrize(
    ("ask", "path", "answer", "verdict", "seen"),
    [
        (endpoints.embeddings, "/v1/embeddings", vectors(3, 3), PASS, "2 vectors of 3"),
        (endpoints.embeddings, "/v1/embeddings", vectors(3), FAIL, "1 vectors"),
        (endpoints.embeddings, "/v1/embeddings", vectors(3, 2), FAIL, "2, 3"),
        (endpoints.embeddings, "/v1/embeddings", vectors(0, 0), FAIL, "of 0"),
        (endpoints.responses, "/v1/responses", response("Hi"), PASS, "Hi"),
        (endpoints.responses, "/v1/responses", response(""), WARN, "completed"),
        (endpoints.responses, "/v1/responses", response("Hi", "chat"), FAIL, "Hi"),
        (endpoints.metrics, "/metrics", metrics_page(0), PASS, "1 of vLLM's own"),
        (endpoints.metrics, "/metrics", reply(200, "# llama\n"), WARN, "200"),
        (endpoints.metrics, "/metrics", reply(404, ""), SKIP, "404"),
        (endpoints.metrics, "/metrics", reply(500, "broken"), FAIL, "500 “broken”"),
    ],
)
def test_an_endpoint_is_judged_by_what_it_answers(
    ask: Ask,
    path: str,
    answer: Answer,
    verdict: Verdict,
    seen: str,
    server: ScriptedServer,
    target: Target,
) -> None:
    """
    Not by its being there.
    """
    server.others[path] = [answer]
    found = ask(target)

    assert found.verdict is verdict
    assert seen in found.seen


@pytest.mark.parametrize(
    ("back", "verdict"), [("<s>Hello world</s>", PASS), ("Something else", FAIL)]
)
def test_tokens_must_be_the_text_again(
    back: str, verdict: Verdict, server: ScriptedServer, target: Target
) -> None:
    """
    A tokenizer that is not the model's counts wrong, and nobody would notice.
    """
    server.others["/tokenize"] = [reply(200, {"tokens": [1, 2], "max_model_len": 64})]
    server.others["/detokenize"] = [reply(200, {"prompt": back})]

    assert endpoints.tokenize(target).verdict is verdict


LONG_STREAM = stream(ROLE, text("one"), Do.STALL)


@pytest.mark.parametrize(
    ("pages", "answer", "verdict"),
    [([0, 0, 1, 1, 0], LONG_STREAM, PASS), ([1, 2, 1], LONG_STREAM, PASS)],
    ids=["idle before", "somebody else's request runs on"],
)
def test_a_slot_that_is_freed_is_seen_in_the_metrics(
    pages: Sequence[int], answer: Answer, verdict: Verdict, server: ScriptedServer, target: Target
) -> None:
    """
    Up while it streams, and back to what it was after.
    """
    server.others["/metrics"] = [metrics_page(running) for running in pages]
    server.answer(answer)
    found = slots.cancellation(target)

    assert found.verdict is verdict
    assert eventually(lambda: server.hung_up == 1)


def test_a_slot_that_stays_taken_is_a_failure(
    server: ScriptedServer, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The number never comes back.
    """
    monkeypatch.setattr(slots, "FREED_WITHIN_S", 0.1)
    server.others["/metrics"] = [metrics_page(0), metrics_page(1)]
    server.answer(LONG_STREAM)

    assert slots.cancellation(target).verdict is FAIL


def test_a_stream_that_was_never_seen_proves_nothing(
    server: ScriptedServer, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Neither that the slot is freed nor that it is not.
    """
    monkeypatch.setattr(slots, "SEEN_WITHIN_S", 0.1)
    server.others["/metrics"] = [metrics_page(0)]

    assert slots.cancellation(target).verdict is WARN


def test_a_server_that_is_gone_has_freed_nothing(
    server: ScriptedServer, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    No number is not zero.
    """
    monkeypatch.setattr(slots, "FREED_WITHIN_S", 0.1)
    server.others["/metrics"] = [metrics_page(0), metrics_page(1), reply(500, "gone")]
    server.answer(LONG_STREAM)

    assert slots.cancellation(target).verdict is FAIL


def test_without_metrics_a_slot_cannot_be_seen(server: ScriptedServer, target: Target) -> None:
    """
    And nothing long is asked for.
    """
    assert slots.cancellation(target).verdict is SKIP
    assert server.chat_requests == []


OPEN, GUARDED = reply(400, {"detail": "no"}), reply(401, {"detail": "no"})


def elsewhere(target: Target, target_of: Callable[..., Target]) -> Target:
    """The same server by an address that is not the loopback's."""
    return target_of(target.base_url.replace("127.0.0.1", "0.0.0.0"))


@pytest.mark.parametrize(
    ("chats_say", "models_say", "at_home", "away"),
    [
        (GUARDED, GUARDED, PASS, PASS),
        (OPEN, model_list("pocket"), PASS, WARN),
        (OPEN, GUARDED, FAIL, FAIL),
    ],
    ids=["guarded", "a server without a key", "one is guarded and this is not"],
)
def test_an_open_door_is_judged_by_who_can_come(
    chats_say: Answer,
    models_say: Answer,
    at_home: Verdict,
    away: Verdict,
    server: ScriptedServer,
    target: Target,
    target_of: Callable[..., Target],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    On the loopback only this machine's programs; elsewhere everybody.
    """
    monkeypatch.setenv("no_proxy", "*")
    server.answer(chats_say)
    server.listings = [models_say]

    assert access.CHAT(target).verdict is at_home
    assert access.CHAT(elsewhere(target, target_of)).verdict is away


@pytest.mark.parametrize(
    ("status", "verdict"), [(200, WARN), (400, WARN), (401, PASS), (403, PASS), (404, SKIP)]
)
def test_vllms_own_paths_are_open_although_there_is_a_key(
    status: int,
    verdict: Verdict,
    server: ScriptedServer,
    target: Target,
    target_of: Callable[..., Target],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    vLLM's key guards /v1 alone, which is worth a warning where others can come.
    """
    monkeypatch.setenv("no_proxy", "*")
    server.answer(GUARDED)
    server.listings = [GUARDED]
    server.others["/tokenize"] = [reply(status, {})]
    found = access.TOKENIZE(elsewhere(target, target_of))

    assert found.verdict is verdict
    assert found.verdict is not WARN or "/v1 alone" in found.means


def test_health_is_open_for_whoever_watches(server: ScriptedServer, target: Target) -> None:
    """
    Container health checks have no key.
    """
    server.others["/health"] = [reply(200, "")]

    assert access.HEALTH(target).verdict is PASS


def test_access_is_asked_without_the_key(server: ScriptedServer, target: Target) -> None:
    """
    With it every door is open, and nothing would be known.
    """
    for endpoint in (access.MODELS, access.CHAT, access.TOKENIZE, access.METRICS):
        endpoint(target)

    assert [each.path for each in server.requests if "authorization" in each.headers] == []


def test_an_address_without_a_server_fails(target_of: Callable[..., Target]) -> None:
    """
    Nobody there is no open door.
    """
    assert access.HEALTH(target_of("http://127.0.0.1:9/v1")).verdict is FAIL


def test_a_target_does_not_show_its_key(target: Target) -> None:
    """
    Nor does the client in it.
    """
    assert target.api_key is not None
    assert target.api_key not in repr(target)
