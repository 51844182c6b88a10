"""What Python code becomes, and what is left to a person."""

from __future__ import annotations

from textwrap import dedent

import pytest

from workbench.legacy.places import Reading, State
from workbench.legacy.python import read_python

EXTRA = '{"top_k": 40, "min_p": 0.05, "repetition_penalty": 1.0}'


def read(text: str) -> Reading:
    return read_python(dedent(text).lstrip("\n"))


def after(text: str) -> str:
    return read(text).text


def decided(text: str) -> str:
    """What a person has to decide, as one text."""
    return " ".join(note for place in read(text).places for note in place.decide)


LLAMA = """
from llama_cpp import Llama
llm = Llama("m.gguf")
"""


def test_a_chat_gets_llama_cpps_defaults_said():
    """Temperature 0.2, top_p 0.95, top_k 40, min_p 0.05, by their new names and places."""
    moved = after(LLAMA + 'x = llm.create_chat_completion(messages=m)["choices"]\n')

    assert moved == dedent(
        f"""
        from llm_client import LLM
        llm = LLM()
        x = llm.chat(
            messages=m,
            temperature=0.2,
            top_p=0.95,
            extra_body={EXTRA},
        )["choices"]
        """
    ).lstrip("\n")


def test_a_greedy_answer_needs_no_cuts_said():
    """At temperature 0 the likeliest token comes, whatever is cut; the penalty still counts."""
    moved = after(LLAMA + "x = llm.create_chat_completion(messages=m, temperature=0)\n")

    assert "top_p" not in moved
    assert 'extra_body={"repetition_penalty": 1.0}' in moved


@pytest.mark.parametrize(
    ("said", "becomes"),
    [
        ("repeat_penalty=1.2", '"repetition_penalty": 1.2'),
        ("top_k=10", '"top_k": 10'),
        ("seed=-1", None),
        ("max_tokens=None", None),
        ("max_tokens=-1", None),
        ("stop=[]", None),
        ("typical_p=1.0", None),
        ("mirostat_mode=0", None),
        ('function_call="auto", functions=f', 'tool_choice="auto"'),
        (
            'functions=f, function_call={"name": "n"}',
            'tool_choice={"type": "function", "function": {"name": "n"}}',
        ),
        ("functions=f", 'tools=[{"type": "function", "function": each} for each in f]'),
        ("logit_bias=b", "logit_bias=b"),
        ("logprobs=True, top_logprobs=3", "top_logprobs=3"),
        (
            'response_format={"type": "json_object"}',
            'response_format={"type": "json_object"}',
        ),
        (
            'response_format={"type": "json_object", "schema": S}',
            '"json_schema": {"name": "answer", "schema": S}',
        ),
        ("grammar=g", '"structured_outputs": {"grammar": g}'),
    ],
)
def test_a_parameter_of_a_chat_becomes(said: str, becomes: str | None):
    """A new name, a new place, a new form, or nothing where it did nothing."""
    moved = after(LLAMA + f"llm.create_chat_completion(messages=m, {said})\n")
    name = said.split("=", maxsplit=1)[0]

    if becomes is None:
        assert f"{name}=" not in moved
        assert "# migrate:" not in moved
    else:
        assert becomes in moved


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("mirostat_mode=2", "temperature with min_p"),
        ("tfs_z=0.9", "min_p does a similar thing"),
        ("typical_p=0.5", "top_p or min_p"),
        ("logits_processor=p", "logit_bias"),
        ("functions=f", "tool_calls"),
        ("response_format=fmt", "json_schema"),
        ("temperature=-1.0", "temperature=1"),
        ("novelty=3", "does not know it"),
    ],
)
def test_what_has_no_counterpart_is_said_above_the_call(said: str, instead: str):
    """It goes out of the call, and a comment stays until somebody has decided."""
    text = LLAMA + f"llm.create_chat_completion(messages=m, {said})\n"

    assert instead in decided(text)
    assert "# migrate: " in after(text)
    assert instead in " ".join(
        place.decide[0] for place in read(after(text)).places if place.decide
    )


def test_a_completion_without_a_limit_says_none():
    """Left out, vLLM would stop after 16 tokens; llama.cpp went on to the end of the context."""
    assert "max_tokens=None" in after(LLAMA + "llm('a', max_tokens=-1)\n")
    assert "max_tokens=16" in after(LLAMA + "llm('a')\n")


def test_positional_arguments_get_their_names():
    """By llama-cpp-python's own order: prompt, suffix, max_tokens, temperature."""
    moved = after(LLAMA + "llm.create_completion('a', None, 8, 0.5)\n")

    assert "prompt='a'" in moved
    assert "max_tokens=8" in moved
    assert "temperature=0.5" in moved
    assert "suffix" not in moved


def test_layout_and_comments_stay():
    """A line each stays a line each, and what is said behind a line stays behind it."""
    moved = after(
        LLAMA
        + """
def f():
    return llm.create_chat_completion(
        messages=m,  # the turns
        temperature=0,  # always the same
        max_tokens=8,  # short
    )
"""
    )

    assert moved.endswith(
        """
def f():
    return llm.chat(
        messages=m,  # the turns
        temperature=0,  # always the same
        max_tokens=8,  # short
        extra_body={"repetition_penalty": 1.0},
    )
"""
    )


def test_a_model_is_known_wherever_it_goes():
    """An attribute, a function that returns it, a parameter's type, a dependency's annotation."""
    moved = after(
        """
        from typing import Annotated
        import llama_cpp as lc

        def get() -> lc.Llama:
            return lc.Llama(model_path="m")

        class A:
            def __init__(self, other: "lc.Llama | None" = None):
                self.m = get()
            def ask(self, q, dep: Annotated[lc.Llama, Depends(get)]):
                return self.m(q, temperature=0), dep(q, temperature=0)
        """
    )

    assert "self.m.complete(" in moved
    assert "dep.complete(" in moved
    assert "def get() -> llm_client.LLM:" in moved
    assert "return llm_client.LLM()" in moved


def test_a_model_that_is_made_and_asked_at_once_is_moved_whole():
    """What changes inside a call is kept when the call itself changes."""
    moved = after("from llama_cpp import Llama\nLlama('m').create_embedding('a')\n")

    assert moved == "from llm_client import LLM\nLLM().embeddings(input='a')\n"


def test_the_shim_of_a_first_step_is_moved_as_the_library_is():
    """Whoever changed the import first goes on with --write."""
    moved = after("from workbench.compat.llama_cpp import Llama\nllm = Llama('m')\nllm('a')\n")

    assert moved.startswith("from llm_client import LLM\nllm = LLM()\nllm.complete(")


def test_a_method_that_is_handed_on_is_asked_about():
    """Its arguments are somewhere else: asyncio.to_thread, functools.partial."""
    text = LLAMA + "import asyncio\nasyncio.to_thread(llm.create_chat_completion, messages=m)\n"

    assert "create_chat_completion is handed on" in decided(text)
    assert "to_thread(llm.create_chat_completion, messages=m)" in after(text)


def test_an_old_library_among_other_imports_goes():
    """Under its own name or another; its neighbours stay."""
    text = """
    import os, llama_cpp as lc, json
    import ollama as o
    llm = lc.Llama("m")
    o.chat(model="m", messages=t)
    """
    lines = after(text).splitlines()

    assert lines[0] == "import os, json"
    assert "ollama" not in after(text)
    assert lines.count("import llm_client") == 1


def test_a_type_in_quotes_is_renamed_too():
    """It is a type all the same."""
    assert "x: 'LLM | None'" in after(
        "from llama_cpp import Llama\nx: 'Llama | None' = Llama('m')\n"
    )


def test_the_same_name_elsewhere_holds_something_else():
    """In another function, another class, or a parameter of another type."""
    moved = after(
        LLAMA.replace("llm =", "other =")
        + """
def a():
    llm = Llama("m")
    return llm("a", temperature=0)
def b():
    llm = Tagger()
    return llm("b")
class A:
    def __init__(self):
        self.llm = Llama("m")
    def ask(self):
        return self.llm("c", temperature=0)
class B:
    def __init__(self):
        self.llm = Tagger()
    def ask(self):
        return self.llm("d")
"""
    )

    assert moved.count("llm.complete(") == 2
    assert 'llm("b")' in moved
    assert 'self.llm("d")' in moved


def test_a_model_of_a_class_is_known_by_all_of_its_names():
    """self.llm, cls.llm and Bot.llm; and one that is made only if there is none yet."""
    moved = after(
        """
        from llama_cpp import Llama
        class Bot:
            llm = Llama("m")
            late = None
            def a(self):
                return self.llm("a", temperature=0)
            @classmethod
            def b(cls):
                cls.late = cls.late or Llama("n")
                return cls.llm("b", temperature=0), cls.late("c", temperature=0)
        Bot.llm("d", temperature=0)
        """
    )

    assert moved.count(".complete(") == 4


def test_a_client_of_somebody_elses_server_keeps_its_models():
    """Beside a local one, before and after the move."""
    text = """
from openai import OpenAI
local = OpenAI(base_url="http://localhost:11434/v1", api_key="x")
cloud = OpenAI()
local.chat.completions.create(model="llama3", messages=m)
cloud.chat.completions.create(model="gpt-4o", messages=m)
"""
    moved = after(text)

    assert "local.chat.completions.create(model=llm_client.MODEL" in moved
    assert 'cloud.chat.completions.create(model="gpt-4o"' in moved
    assert after(moved) == moved


def test_a_function_of_the_same_name_is_left_alone():
    """`llm(…)` is a call of the model only where the model is."""
    text = "def llm(x):\n    return x\n\nllm('a')\n"

    assert after(text) == text
    assert read(text).places == ()


def test_what_belongs_to_the_server_is_said_once_at_the_model():
    """The context is a flag of the server's now; threads and layers are nobody's business."""
    text = 'from llama_cpp import Llama\nllm = Llama("m", n_ctx=4096, n_threads=8, verbose=False)\n'

    moved = after(text)
    assert "# migrate: n_ctx=4096 is the server's now: --max-model-len" in moved
    assert "n_threads" not in moved


def test_a_seed_of_the_model_goes_with_it():
    """It is sent with each request that has none."""
    assert "LLM(seed=7)" in after("from llama_cpp import Llama\nllm = Llama('m', seed=7)\n")


def test_the_state_of_a_model_is_left_and_asked_about():
    """There is nothing to write in its place, so the line stays as it is."""
    moved = after(LLAMA + "state = llm.save_state()\n")

    assert "state = llm.save_state()" in moved
    assert "vLLM caches prefixes by itself" in moved


def test_further_arguments_by_dictionary_are_asked_about():
    """What is in **options cannot be seen, so nothing is added that it may say too."""
    moved = after(LLAMA + "llm.create_chat_completion(messages=m, **options)\n")

    assert "llm.chat(messages=m, **options)" in moved
    assert "# migrate: what is in **options has its old names" in moved


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("print(llm.metadata)", "metadata: llm_client.LLM has none"),
        ("llm.reset()", "reset: each request stands alone"),
        ("all = [Llama('m')]", "not in sight"),
        ("by_name = {'a': Llama('m')}", "not in sight"),
        ("make = partial(Llama, n_ctx=8)", "not in sight"),
        ("class Bot(Llama): pass", "not in sight"),
        ("import llama_cpp as lc\nlc.llama_backend_init()", "llama_backend_init, and what else"),
    ],
)
def test_what_a_model_is_asked_out_of_sight_is_told_of(line: str, word: str):
    """What an LLM does not have, and where it goes under other names."""
    moved = after(f"{LLAMA}{line}\n")

    assert word in decided(f"{LLAMA}{line}\n")
    assert after(moved) == moved


def test_a_model_is_asked_where_it_is_made():
    """`Llama("m")("a")`: the outer call is a request, and its prompt is kept."""
    made = after("from llama_cpp import Llama\nprint(Llama('m')('a')['choices'][0]['text'])\n")

    assert "LLM().complete(\n    prompt='a'," in made
    assert made.rstrip().endswith(")['choices'][0]['text'])")
    assert "# migrate" not in made


def test_ollamas_functions_are_known_by_their_own_names():
    """`from ollama import chat`; and those that have no counterpart are asked about."""
    moved = after(
        """
        import json, ollama
        from ollama import chat, generate as g
        print(chat(model="m", messages=t)["message"]["content"], g("m", "p")["response"])
        """
    )

    assert moved.count("llm_client.chat(") == 2
    assert "from ollama" not in moved
    assert "llm_client has no show" in decided("import json, ollama\nollama.show('m')\n")


HAND = """
import requests
"""
ASKED = {"prompt": "a", "n_predict": 2}


@pytest.mark.parametrize(
    "call",
    [
        f"post('http://l:1/completion', json={ASKED})",
        f"requests.request('POST', 'http://l:1/completion', json={ASKED})",
        f"urlopen(Request('http://l:1/completion', json.dumps({ASKED}).encode()))",
        f"httpx.Client(base_url='http://l:1').post('/completion', json={ASKED})",
        f"requests.post(config.URL, json={ASKED})",
        "requests.post(URL, json={'model': 'm', 'messages': t})",
    ],
)
def test_requests_by_hand_are_seen_however_they_are_made(call: str):
    """By an imported function, with a method's name, by urllib, below a client's address."""
    text = "import httpx, requests\nfrom requests import post\n"
    text += f"from urllib.request import Request, urlopen\n{call}\n"

    assert len(read(text).places) == 1


def test_headers_that_went_along_are_told_of():
    """But for what says that the body is JSON."""
    call = "requests.post('http://l:1/completion', json={'prompt': 'a'}, headers=%s)\n"

    assert "headers={'X-Team': 'a'} went with" in decided(HAND + call % "{'X-Team': 'a'}")
    assert "went with" not in decided(HAND + call % "{'Content-Type': 'application/json'}")


def test_a_request_to_somebody_else_stays():
    """A provider's API has the same paths; of another name of the internet a person says whose."""
    call = "requests.post('https://%s/v1/chat/completions', json={'messages': m})\n"

    assert read(HAND + call % "api.mistral.ai").places == ()
    assert after(HAND + call % "api.mistral.ai") == HAND.lstrip() + call % "api.mistral.ai"
    assert "for a person to say" in decided(HAND + call % "llm.example.org")


def test_a_completion_by_hand_is_asked_and_read_in_the_new_way():
    """Body, status and the text, all in sight: nothing of the old API is left."""
    moved = after(
        HAND
        + """
def f(q):
    payload = {"prompt": q, "n_predict": 8, "temperature": 0}
    r = requests.post("http://localhost:8080/completion", json=payload, timeout=9)
    r.raise_for_status()
    return r.json()["content"]
"""
    )

    assert "requests" not in moved
    assert "import llm_client" in moved
    assert "payload" not in moved
    assert "raise_for_status" not in moved
    assert "max_tokens=8" in moved
    assert "timeout=9" in moved
    assert 'return r["choices"][0]["text"]' in moved


@pytest.mark.parametrize(
    "use",
    [
        "print(r.status_code)",
        "return r",
        "g(r.json())",
        "for line in r.iter_lines(): pass",
        "r = 3",
        "print(r.json()['timings'])",
    ],
)
def test_an_answer_that_goes_out_of_sight_is_left_to_a_person(use: str):
    """What is read of it elsewhere may be anything, so the call stays and is asked about."""
    text = HAND + (
        "def f(q):\n"
        '    r = requests.post("http://localhost:8080/completion", json={"prompt": q})\n'
        f"    {use}\n"
    )

    assert "requests.post" in after(text)
    assert "# migrate: llm_client.complete(…) asks it" in after(text)


def test_openais_form_by_hand_keeps_its_answer():
    """The same JSON comes back, so it may go wherever it went."""
    moved = after(
        HAND
        + """
r = requests.post("http://gpu:8080/v1/chat/completions", json={"model": "m", "messages": m})
show(r.json())
"""
    )

    assert "r = llm_client.chat(messages=m)" in moved
    assert "show(r)" in moved


@pytest.mark.parametrize(
    "url",
    ["https://api.openai.com/v1/chat/completions", "http://shop/api/chat", "/v1/orders"],
)
def test_other_peoples_addresses_are_no_business_of_ours(url: str):
    """OpenAI's own server, and an application's own /api/chat."""
    assert read(HAND + f'requests.post("{url}", json={{"messages": m}})\n').places == ()


def test_an_asynchronous_request_is_left_to_a_person():
    """The adapter waits for its answers, and would hold up an event loop."""
    text = """
    import httpx

    async def f():
        async with httpx.AsyncClient() as c:
            r = await c.post("http://localhost:8080/v1/chat/completions", json={"messages": m})
            return r.json()
    """

    assert "AsyncOpenAI" in decided(text)
    assert "await c.post(" in after(text)


def test_an_error_of_requests_is_not_raised_any_more():
    """Whoever caught it has to catch OpenAI's."""
    text = (
        HAND
        + """
try:
    x = requests.post("http://l:8080/v1/completions", json={"prompt": q}).json()
except requests.ConnectionError:
    x = None
"""
    )

    assert "openai.APIConnectionError" in decided(text)


def test_ollamas_answers_are_read_in_the_new_way():
    """By key or by attribute, whole or streamed, in an f-string too."""
    moved = after(
        """
        import ollama

        r = ollama.chat(model="m", messages=t, options={"temperature": 0, "num_ctx": 4096})
        print(r.message.content, f"{r['message']['content']}")
        for part in ollama.generate("m", "why", system="s", stream=True):
            print(part["response"])
        """
    )

    assert 'print(r["choices"][0]["message"]["content"], ' in moved
    assert "f\"{r['choices'][0]['message']['content']}\"" in moved
    assert '{"role": "system", "content": "s"}, {"role": "user", "content": "why"}' in moved
    assert 'part["choices"][0]["delta"].get("content", "")' in moved
    assert "ollama" not in moved.replace("Ollama", "")


@pytest.mark.parametrize(
    ("said", "becomes"),
    [
        ('options={"seed": 0}', "seed=0"),
        ("think=False", '"chat_template_kwargs": {"enable_thinking": False}'),
        ('format=""', None),
        ("format='json'", 'response_format={"type": "json_object"}'),
    ],
)
def test_what_ollama_was_told_is_told_on(said: str, becomes: str | None):
    """A seed of 0 is a seed, no thoughts is not what vLLM does anyway, and no format is none."""
    moved = after(f"import ollama\nollama.chat(model='m', messages=t, {said})\n")

    assert becomes in moved if becomes else "response_format" not in moved


@pytest.mark.parametrize(
    ("path", "word"), [("chat/completions", "top_k 40"), ("completions", "16")]
)
def test_what_a_request_by_hand_left_to_the_server_is_told(path: str, word: str):
    """The old server's defaults are not known here, so they are not said in the call."""
    call = f"requests.post('http://localhost:8080/v1/{path}', json={{'prompt': 'a'}})"

    (place,) = read(f"import requests\n{call}\n").places
    assert word in place.changes[0]


def test_a_form_feed_is_no_line_end():
    """Old editors put one between parts of a module; comments are found again behind it."""
    moved = after(f"{LLAMA}\n\f\nx = 1\n\f\nllm.save_state()\n")

    assert after(moved) == moved
    assert read(moved).places[-1].line == moved.split("\n").index("llm.save_state()") + 1


def test_ollamas_tool_calls_are_left_to_a_person():
    """Their arguments are an object there, and JSON text in OpenAI's form."""
    text = "import ollama\nr = ollama.chat('m', t)\nr['message']['tool_calls']\n"

    assert "ollama.chat" in after(text)


def test_ctransformers_text_is_taken_out_of_the_answer():
    """Its call returned the text itself."""
    moved = after(
        """
        from ctransformers import AutoModelForCausalLM
        llm = AutoModelForCausalLM.from_pretrained("m", model_type="llama")
        print(llm("AI is", max_new_tokens=8, temperature=0))
        """
    )

    assert "max_tokens=8" in moved
    assert ')["choices"][0]["text"])' in moved


def test_a_local_servers_openai_client_gets_address_key_and_time_outs():
    """And its model is the one that is served."""
    moved = after(
        """
        from openai import OpenAI
        client = OpenAI(base_url="http://localhost:11434/v1", api_key="ollama")
        client.chat.completions.create(model="llama3", messages=m)
        """
    )

    assert "OpenAI(**llm_client.SERVER)" in moved
    assert "create(model=llm_client.MODEL, messages=m)" in moved


def test_openais_own_client_stays():
    """Whoever asks OpenAI goes on asking OpenAI."""
    text = "from openai import OpenAI\nclient = OpenAI()\nother = OpenAI(base_url=URL)\n"

    assert after(text) == text


@pytest.mark.parametrize("library", ["langchain_community.llms", "langchain.llms"])
def test_langchains_wrapper_becomes_its_model_over_openais_api(library: str):
    """With a record of each answer; what llama.cpp loaded is the server's."""
    moved = read(f"from {library} import LlamaCpp\nm = LlamaCpp(model_path='m', top_k=5)\n")

    assert moved.text.startswith("import llm_langchain\n")
    assert "llm_langchain.completion_model(" in moved.text
    assert '"top_k": 5' in moved.text
    assert moved.adapters == ("llm_client.py", "llm_langchain.py")


def test_ollamas_completions_had_a_template_and_that_is_asked_about():
    """And its defaults are Ollama's: no penalty since 2026-08, top_p 0.9."""
    text = "from langchain_ollama import OllamaLLM\nm = OllamaLLM(model='llama3')\n"

    assert "chat template" in decided(text)
    assert '{"top_k": 40, "repetition_penalty": 1.0, "max_tokens": None}' in after(text)
    assert "top_p=0.9" in after(text)


EVERYTHING = (
    LLAMA
    + HAND
    + """
import ollama
llm.create_chat_completion(messages=m, mirostat_mode=2, **more)
llm.load_state(s)
r = requests.post("http://localhost:8080/completion", json=body)
x = ollama.embeddings(model="m", prompt="p")
"""
)


def test_a_second_time_changes_nothing():
    """Comments are not doubled, and what is moved stays."""
    once = read(EVERYTHING)

    twice = read(once.text)

    assert twice.text == once.text
    assert all(place.state is not State.WRITE for place in twice.places)


def test_a_decision_is_asked_for_until_its_comment_is_deleted():
    """Deleting the comment above a call that moved says: decided."""
    once = after(LLAMA + "llm.create_chat_completion(messages=m, mirostat_mode=2)\n")
    lines = [line for line in once.splitlines(keepends=True) if not line.startswith("#")]

    assert any(place.state is State.DECIDE for place in read(once).places)
    assert all(place.state is State.MOVED for place in read("".join(lines)).places)
