"""Code that was written for llama-cpp-python runs as it is, and what cannot be had says so."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scripted import ScriptedServer, chunk, completion, event, reply, stream, text, usage
from tools.llama_cpp_signatures import signatures
from workbench.compat import answered
from workbench.compat.llama_cpp import UNSEEDED, Llama, LlamaGrammar, LlamaRAMCache
from workbench.errors import UnsupportedArgumentError
from workbench.records import TokenLogprob
from workbench.session import Session

RECORDED = json.loads((Path(__file__).parents[1] / "data/migrate/llama_cpp.json").read_text())

CONSTANTS = {
    "llama_cpp.LLAMA_DEFAULT_SEED": 0xFFFFFFFF,
    "llama_cpp.LLAMA_SPLIT_MODE_LAYER": 1,
    "llama_cpp.LLAMA_ROPE_SCALING_TYPE_UNSPECIFIED": -1,
    "llama_cpp.LLAMA_POOLING_TYPE_UNSPECIFIED": -1,
    "llama_cpp.LLAMA_ATTENTION_TYPE_UNSPECIFIED": -1,
}
"""llama.cpp's ``include/llama.h``."""

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    server.answer(completion("so it is"))
    yield server
    server.close()


@pytest.fixture
def llama(server: ScriptedServer, tmp_path: Path) -> Iterator[Llama]:
    with Session(
        backend="remote",
        base_url=server.base_url,
        model="pocket",
        state_dir=str(tmp_path),
        telemetry=False,
    ) as session:
        yield Llama("./model.gguf", n_gpu_layers=-1, n_ctx=4096, verbose=False, session=session)


def asked(server: ScriptedServer) -> dict[str, Any]:
    return next(request.json for request in reversed(server.requests) if request.method == "POST")


def default_of(code: str | None) -> object:
    if code is None:
        return inspect.Parameter.empty
    return CONSTANTS[code] if code in CONSTANTS else ast.literal_eval(code)


@pytest.mark.parametrize("method", RECORDED["methods"])
def test_every_public_method_has_the_same_parameters_and_defaults(method: str):
    """As llama-cpp-python's source has them, in the same order; ours may have one more."""
    ours = inspect.signature(getattr(Llama, method)) if callable(getattr(Llama, method)) else None
    theirs = RECORDED["methods"][method]
    if ours is None:
        assert theirs == {}
        return
    parameters = {
        name: each.default
        for name, each in ours.parameters.items()
        if name not in ("self", "session")
        and each.kind is not inspect.Parameter.VAR_KEYWORD
        and each.kind is not inspect.Parameter.VAR_POSITIONAL
    }

    assert parameters == {name: default_of(code) for name, code in theirs.items()}
    assert list(parameters) == list(theirs)


def test_the_record_is_of_the_package_that_is_installed():
    """Where llama-cpp-python is installed, its own source says the same."""
    found = importlib.util.find_spec("llama_cpp")
    if found is None or found.origin is None:
        pytest.skip("llama-cpp-python is not installed: pip install llama-cpp-python")
    there = signatures(Path(found.origin).parent)
    if there["version"] != RECORDED["version"]:
        pytest.skip(f"it is {there['version']}, and the record is of {RECORDED['version']}")

    assert there == RECORDED


def test_a_chat_is_sampled_as_llama_cpp_does_unless_told_otherwise(
    llama: Llama, server: ScriptedServer
):
    """Temperature 0.2, top_p 0.95, top_k 40, min_p 0.05, no penalty: its signature's defaults."""
    answer = llama.create_chat_completion(messages=HELLO, max_tokens=8)

    said = asked(server)
    assert (said["temperature"], said["top_p"]) == (0.2, 0.95)
    assert (said["top_k"], said["min_p"], said["repetition_penalty"]) == (40, 0.05, 1.0)
    assert said["max_tokens"] == 8
    assert "seed" not in said
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "so it is"}
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "./model.gguf"


def test_a_completion_is_sampled_warmer_and_stops_after_sixteen_tokens(
    llama: Llama, server: ScriptedServer
):
    """Temperature 0.8 and max_tokens 16, its signature's defaults, to /v1/completions."""
    server.others["/v1/completions"] = [reply(200, _completion(" is a server"))]

    answer = llama("vLLM", stop="\n")

    said = asked(server)
    assert said["prompt"] == "vLLM"
    assert (said["temperature"], said["max_tokens"], said["stop"]) == (0.8, 16, ["\n"])
    assert answer["choices"][0]["text"] == " is a server"
    assert answer["object"] == "text_completion"


def _completion(said: str) -> dict[str, object]:
    choice = {"index": 0, "text": said, "finish_reason": "length"}
    return {"id": "cmpl-1", "object": "text_completion", "model": "pocket", "choices": [choice]}


@pytest.mark.parametrize("unlimited", [None, -1, 0])
def test_no_limit_is_said_where_silence_would_mean_sixteen(
    llama: Llama, server: ScriptedServer, unlimited: int | None
):
    """vLLM's completions stop after 16 tokens unless max_tokens is there and null."""
    server.others["/v1/completions"] = [reply(200, _completion("…"))]

    llama("vLLM", max_tokens=unlimited)

    assert asked(server)["max_tokens"] is None


def test_a_chat_without_a_limit_says_none(llama: Llama, server: ScriptedServer):
    """A chat without max_tokens goes on to the end of the context, on both sides."""
    llama.create_chat_completion(HELLO)

    assert "max_tokens" not in asked(server)


def test_a_schema_goes_where_the_server_looks_for_it(llama: Llama, server: ScriptedServer):
    """llama-cpp-python has it beside the type, OpenAI's API in json_schema."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    llama.create_chat_completion(HELLO, response_format={"type": "json_object", "schema": schema})

    assert asked(server)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema},
    }


def test_functions_become_tools_and_the_call_comes_back_as_both(
    llama: Llama, server: ScriptedServer
):
    """Code that reads function_call, and code that reads tool_calls, finds the same call."""
    function = {"name": "get_weather", "arguments": '{"city": "Austin"}'}
    call = {"id": "1", "type": "function", "function": function}
    server.answer(completion(None, tool_calls=[call]))
    offered = {"name": "get_weather", "parameters": {"type": "object"}}

    answer = llama.create_chat_completion(
        HELLO, functions=[offered], function_call={"name": "get_weather"}
    )

    said = asked(server)
    assert said["tools"] == [{"type": "function", "function": offered}]
    assert said["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    message = answer["choices"][0]["message"]
    assert message["function_call"] == message["tool_calls"][0]["function"] == function


def test_a_grammar_goes_as_text(llama: Llama, server: ScriptedServer):
    """The server's version says in which field; 0.32 has structured_outputs."""
    server.others["/version"] = [reply(200, {"version": "0.32.0"})]

    llama.create_chat_completion(HELLO, grammar=LlamaGrammar.from_string('root ::= "yes" | "no"'))

    assert asked(server)["structured_outputs"] == {"grammar": 'root ::= "yes" | "no"'}


def test_a_streamed_chat_has_the_role_then_text_then_the_reason(
    llama: Llama, server: ScriptedServer
):
    """The chunks of llama-cpp-python: a role, contents, and an empty delta with the reason."""
    server.answer(stream(text("so "), text("it is"), chunk({}, finish_reason="stop"), usage(3, 2)))

    chunks = list(llama.create_chat_completion(HELLO, stream=True))

    deltas = [each["choices"][0]["delta"] for each in chunks]
    assert deltas[0] == {"role": "assistant"}
    assert "".join(delta.get("content", "") for delta in deltas) == "so it is"
    assert (deltas[-1], chunks[-1]["choices"][0]["finish_reason"]) == ({}, "stop")
    assert {each["object"] for each in chunks} == {"chat.completion.chunk"}


def test_a_seed_is_sent_and_the_next_is_drawn_from_it(server: ScriptedServer, tmp_path: Path):
    """
    random.Random(7).randint(0, 2**32) is llama-cpp-python's own next seed.

    Source:
        llama_cpp/llama.py 0.3.36, _create_completion
    """
    import random

    with Session(
        backend="remote", base_url=server.base_url, model="pocket", state_dir=str(tmp_path)
    ) as session:
        seeded = Llama("m.gguf", seed=7, session=session)
        seeded.create_chat_completion(HELLO)
        drawn = asked(server)["seed"]
        server.answer(completion("so it is"))
        seeded.create_chat_completion(HELLO, seed=3)

    assert drawn == random.Random(7).randint(0, 2**32)
    assert asked(server)["seed"] == 3


@pytest.mark.parametrize(
    ("argument", "value", "instead"),
    [
        ("mirostat_mode", 2, "min_p"),
        ("tfs_z", 0.9, "min_p"),
        ("typical_p", 0.9, "min_p"),
        ("logits_processor", [len], "logit_bias"),
        ("temperature", -1.0, "top_k=0"),
    ],
)
def test_what_has_no_counterpart_raises_with_what_to_do(
    llama: Llama, argument: str, value: object, instead: str
):
    """Nothing is dropped in silence, and nothing is sent."""
    with pytest.raises(UnsupportedArgumentError) as refused:
        llama.create_chat_completion(HELLO, **{argument: value})

    assert refused.value.argument.startswith(argument)
    assert instead in (refused.value.hint or "")


def test_a_suffix_and_stopping_functions_are_refused_for_completions(llama: Llama):
    """vLLM refuses a suffix itself; a function cannot go over HTTP."""
    with pytest.raises(UnsupportedArgumentError, match="fill-in-the-middle"):
        llama("def f(", suffix=")")
    with pytest.raises(UnsupportedArgumentError, match="stop_token_ids"):
        llama("x", stopping_criteria=[len])


@pytest.mark.parametrize("method", ["save_state", "n_vocab", "token_eos"])
def test_what_is_in_the_servers_process_raises(llama: Llama, method: str):
    """There is no state, and no vocabulary, in this process."""
    with pytest.raises(UnsupportedArgumentError):
        getattr(llama, method)()


def test_another_model_than_the_servers_is_refused_at_once():
    """An adapter or other rope frequencies would be another model's answers."""
    with pytest.raises(UnsupportedArgumentError, match="--lora-modules"):
        Llama("m.gguf", lora_path="adapter.gguf")
    with pytest.raises(UnsupportedArgumentError, match="hf-overrides"):
        Llama("m.gguf", rope_freq_base=1e6)


def test_a_chat_format_is_warned_of(llama: Llama):
    """Most code names the format that the model has anyway, so it does not stop."""
    with pytest.warns(UserWarning, match="--chat-template"):
        Llama("m.gguf", chat_format="chatml", session=llama._session)


def test_caches_and_resets_are_taken_and_do_nothing(llama: Llama, server: ScriptedServer):
    """The server caches prefixes by itself; nothing is asked of it."""
    llama.set_cache(LlamaRAMCache())
    llama.reset()
    llama.set_seed(UNSEEDED)

    assert server.requests == []


def test_the_context_is_the_servers(llama: Llama):
    """n_ctx was 4096 when the model was made; the server's word counts."""
    assert llama.n_ctx() == 2048


def test_arithmetic_without_a_server_is_the_same():
    """A prefix of two tokens; log-softmax of (0, ln 3) is (ln 1/4, ln 3/4)."""
    assert Llama.longest_token_prefix([1, 2, 3], [1, 2, 4]) == 2
    logprobs = Llama.logits_to_logprobs([0.0, math.log(3)])
    assert logprobs == pytest.approx([math.log(0.25), math.log(0.75)], abs=1e-6)


# --- as its source has it (0.3.36, Llama._create_completion) ------------------------------------


def test_a_limit_beyond_the_context_is_as_many_as_fit(llama: Llama, server: ScriptedServer):
    """llama.cpp cut it; vLLM refuses it, and code that says 65,536 is common."""
    llama.create_chat_completion(HELLO, max_tokens=65536)
    assert "max_tokens" not in asked(server)

    llama.create_chat_completion(HELLO, max_tokens=1500)
    assert asked(server)["max_tokens"] == 1500


def test_top_p_of_zero_is_greedy(llama: Llama, server: ScriptedServer):
    """It kept the likeliest token; the server takes none below its bounds."""
    llama.create_chat_completion(HELLO, top_p=0)

    assert (asked(server)["temperature"], asked(server)["top_p"]) == (0.0, 1.0)


def test_a_stream_does_not_echo(llama: Llama, server: ScriptedServer):
    """Only a whole answer had the prompt in front."""
    server.others["/v1/completions"] = [stream(event(_completion("so")), event("[DONE]"))]
    list(llama("a", echo=True, stream=True))
    assert "echo" not in asked(server)

    server.others["/v1/completions"] = [reply(200, _completion("a so"))]
    llama("a", echo=True)
    assert asked(server)["echo"] is True


def test_offsets_begin_behind_the_prompt_unless_it_is_echoed():
    """And the drawn token is among the likeliest; the first of an echo has none."""
    tokens = (
        TokenLogprob(token="Hi", logprob=math.nan),
        TokenLogprob(token=" you", logprob=-0.5, top=((" all", -0.4),)),
    )

    echoed, behind = (answered._text_logprobs(tokens, begins_at) for begins_at in (0, 7))

    assert echoed
    assert behind
    assert echoed["text_offset"] == [0, 2]
    assert behind["text_offset"] == [7, 9]
    assert echoed["token_logprobs"] == [None, -0.5]
    assert echoed["top_logprobs"] == [None, {" all": -0.4, " you": -0.5}]


def test_a_seed_of_minus_one_is_another_each_time(server: ScriptedServer, tmp_path: Path):
    """Also where the model has a seed of its own."""
    with Session(
        backend="remote", base_url=server.base_url, state_dir=str(tmp_path), telemetry=False
    ) as session:
        Llama("m", seed=3, session=session).create_chat_completion(HELLO, seed=-1)

    assert "seed" not in asked(server)
