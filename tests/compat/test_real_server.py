"""The shim over the real vLLM: what llama-cpp-python's users do, with the pocket model."""

from __future__ import annotations

import json

import pytest

from workbench.compat.llama_cpp import Llama, LlamaGrammar
from workbench.errors import RequestRejectedError
from workbench.session import Session

pytestmark = pytest.mark.engine

ASKED = [{"role": "user", "content": "What is vLLM?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture
def llama(served: Session) -> Llama:
    return Llama("./models/pocket.Q8_0.gguf", n_ctx=2048, verbose=False, session=served)


def test_a_chat_and_its_stream_say_the_same(llama: Llama):
    """Greedily, whole and in chunks."""
    whole = llama.create_chat_completion(ASKED, temperature=0, max_tokens=24)
    chunks = llama.create_chat_completion(ASKED, temperature=0, max_tokens=24, stream=True)

    text = "".join(each["choices"][0]["delta"].get("content", "") for each in chunks)
    assert text == whole["choices"][0]["message"]["content"]
    assert text.startswith("vLLM is an engine")
    assert whole["choices"][0]["finish_reason"] == "length"
    assert whole["usage"]["completion_tokens"] == 24


def test_a_completion_echoes_counts_and_streams(llama: Llama):
    """The prompt first if it is wanted, log probabilities with the text, tokens as a prompt."""
    whole = llama("vLLM is", max_tokens=6, temperature=0, echo=True, logprobs=2)
    chunks = llama("vLLM is", max_tokens=6, temperature=0, stream=True)
    ids = llama.tokenize(b"vLLM is", add_bos=False)

    choice = whole["choices"][0]
    rest = "".join(each["choices"][0]["text"] for each in chunks)
    assert choice["text"] == f"vLLM is{rest}"
    assert choice["logprobs"]["token_logprobs"][0] is None  # nothing came before it
    assert llama(ids, max_tokens=6, temperature=0)["choices"][0]["text"] == rest


def test_grammars_and_schemas_are_kept_to(llama: Llama):
    """GBNF as it is, and a JSON schema in llama-cpp-python's place for it."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    yes_or_no = llama.create_chat_completion(
        ASKED, grammar=LlamaGrammar.from_string('root ::= "yes" | "no"'), temperature=0
    )
    answer = llama.create_chat_completion(
        ASKED,
        response_format={"type": "json_object", "schema": schema},
        temperature=0,
        max_tokens=32,
    )

    assert yes_or_no["choices"][0]["message"]["content"] in ("yes", "no")
    assert isinstance(json.loads(answer["choices"][0]["message"]["content"])["a"], int)


def test_a_tool_is_called_whole_and_in_pieces(llama: Llama):
    """The pieces of the arguments make the same JSON."""
    asked = [{"role": "user", "content": "What is the weather in Austin?"}]
    whole = llama.create_chat_completion(asked, tools=[WEATHER], temperature=0)
    chunks = llama.create_chat_completion(asked, tools=[WEATHER], temperature=0, stream=True)

    call = whole["choices"][0]["message"]["tool_calls"][0]["function"]
    pieces = [
        part["function"]["arguments"]
        for each in chunks
        for part in each["choices"][0]["delta"].get("tool_calls", [])
    ]
    assert call == {"name": "get_weather", "arguments": '{"city": "Austin"}'}
    assert "".join(pieces) == call["arguments"]


def test_a_bias_moves_the_answer(llama: Llama):
    """A token that gets 100 on top is the one that comes."""
    token = llama.tokenize(b"Hello", add_bos=False)[0]
    answer = llama.create_chat_completion(
        ASKED, logit_bias={token: 100}, temperature=0, max_tokens=2
    )

    assert answer["choices"][0]["message"]["content"] == "HelloHello"


def test_tokens_go_there_and_back(llama: Llama):
    """Bytes in, ids, bytes out; the context is the server's."""
    ids = llama.tokenize(b"Hello there", add_bos=False)

    assert llama.detokenize(ids) == b"Hello there"
    assert llama.tokenizer().decode(ids) == "Hello there"
    assert llama.n_ctx() == 2048


def test_embeddings_want_a_model_that_was_made_for_them(llama: Llama):
    """The pocket model writes, and the error says so."""
    with pytest.raises(RequestRejectedError, match="does not embed"):
        llama.create_embedding("Hello")


def test_openais_objects_come_where_they_are_asked_for(llama: Llama):
    """As llama-cpp-python's method of that name gives them."""
    answer = llama.create_chat_completion_openai_v1(ASKED, temperature=0, max_tokens=4)

    assert answer.choices[0].message.content == "vLLM is an engine"
