"""What is said in old code is said in the new, or a person is told of it."""

from __future__ import annotations

from pathlib import PurePath
from textwrap import dedent

from workbench.legacy import shared_models
from workbench.legacy.python import read_python


def after(text: str) -> str:
    return read_python(dedent(text).lstrip("\n")).text


def told(text: str) -> str:
    """What a person is told to decide, as one text."""
    places = read_python(dedent(text).lstrip("\n")).places
    return "\n".join(note for place in places for note in place.decide)


# --- comments -----------------------------------------------------------------------------------


def test_comments_behind_arguments_that_go_stand_above_the_call():
    """A comment is somebody's knowledge; the code that it stood at may go, it does not."""
    moved = after(
        """
        from llama_cpp import Llama
        llm = Llama(
            model_path="m.gguf",
            # n_ctx=2048,  # for long texts
            n_threads=8,  # as many as cores
        )
        """
    )

    assert moved.endswith("# n_ctx=2048,  # for long texts\n# as many as cores\nllm = LLM()\n")


def test_comments_between_and_behind_arguments_stay_at_them():
    """Also the last one's, which has no comma before its comment."""
    moved = after(
        """
        from llama_cpp import Llama
        llm = Llama("m.gguf")
        x = llm(
            "a",  # the prompt
            # short
            max_tokens=5,
            echo=True  # with the prompt
        )
        """
    )

    assert 'prompt="a",  # the prompt\n    # short\n    max_tokens=5,\n' in moved
    assert "echo=True,  # with the prompt\n" in moved


def test_comments_at_an_import_that_goes_stand_above_what_follows():
    """Above and behind it, at the top and at the end of a block."""
    moved = after(
        """
        import json
        # how the model is asked
        import requests  # by hand
        x = 1

        def f():
            import requests
            # at the end
            y = requests.post("http://localhost:8080/completion", json={"prompt": "a"}).json()
            return y["content"]

        z = requests.post("http://localhost:8080/completion", json={"prompt": x}).json()
        print(z["content"])
        """
    )

    for comment in ("# how the model is asked", "# by hand", "# at the end"):
        assert comment in moved


def test_what_tools_are_told_goes_with_its_code():
    """``# noqa`` of a line that is no more would be of another."""
    moved = after(
        """
        from llama_cpp import Llama
        llm = Llama(
            "m.gguf",
            n_threads=8,  # noqa: E501
        )
        """
    )

    assert "noqa" not in moved


def test_a_name_of_llama_cpp_that_stays_is_a_place():
    """Its import stays too, so the comment above it is one that the report has."""
    text = """
        from llama_cpp import Llama, LogitsProcessorList
        llm = Llama("m.gguf")
        processors = LogitsProcessorList([f])
        """

    assert "LogitsProcessorList of llama_cpp has no counterpart" in told(text)
    assert "LogitsProcessorList of llama_cpp has no counterpart" in after(text)


def test_a_library_that_is_imported_for_nothing_that_is_known_is_a_place():
    """``getattr(ollama, name)`` asks too, and nobody reads that off it."""
    assert "ollama is imported" in told("import ollama\nask = getattr(ollama, name)\n")


# --- names --------------------------------------------------------------------------------------


def test_a_module_that_has_an_llm_of_its_own_says_the_adapters_by_its_module():
    """``class LLM`` that made itself would do so for ever."""
    moved = after(
        """
        from llama_cpp import Llama

        class LLM:
            def __init__(self, model: Llama | None = None):
                self.model = model or Llama("m.gguf")
        """
    )

    assert moved.startswith("import llm_client\n")
    assert "model: llm_client.LLM | None" in moved
    assert "self.model = model or llm_client.LLM()" in moved


def test_a_module_that_has_an_llm_client_of_its_own_is_left_until_that_has_another_name():
    """Else one of the two would hide the other."""
    text = """
        import ollama

        def ask(llm_client, prompt):
            return ollama.generate("m", prompt)["response"]
        """

    assert "give this another one first" in told(text)
    assert 'ollama.generate("m", prompt)["response"]' in after(text)


def test_what_is_imported_comes_before_its_first_use():
    """Also where the last import of a module stands below it."""
    moved = after(
        """
        from openai import OpenAI
        client = OpenAI(base_url="http://localhost:11434/v1", api_key="x")
        import json
        """
    )

    assert moved.index("import llm_client") < moved.index("llm_client.SERVER")


def test_what_stands_in_for_a_library_that_is_not_installed_is_renamed_too():
    """``Llama = None`` says that there is none, and is asked about by the new name."""
    moved = after(
        """
        try:
            from llama_cpp import Llama
        except ImportError:
            Llama = None

        def load():
            return None if Llama is None else Llama("m.gguf")

        def is_one(model):
            return isinstance(model, Llama)
        """
    )

    assert "Llama" not in moved
    assert "    LLM = None\n" in moved
    assert "# migrate" not in moved


# --- answers ------------------------------------------------------------------------------------


def test_an_answer_with_its_type_written_out_is_followed_too():
    """Ollama's own first example; the type is another one now, and goes."""
    moved = after(
        """
        from ollama import chat
        from ollama import ChatResponse
        response: ChatResponse = chat(model="m", messages=m)
        print(response["message"]["content"], response.message.content)
        """
    )

    assert "ollama" not in moved
    assert "response = llm_client.chat(" in moved
    assert moved.count('response["choices"][0]["message"]["content"]') == 2


def test_an_attribute_of_a_message_is_a_key_of_a_dictionary():
    """What was an object is none, also where the message has a name of its own."""
    moved = after(
        """
        import ollama
        response = ollama.chat(model="m", messages=messages, think=True)
        print(response.message.thinking)
        message = response.message
        messages.append(message)
        print(message.content)
        """
    )

    assert 'print(response["choices"][0]["message"].get("reasoning"))' in moved
    assert 'message = response["choices"][0]["message"]\n' in moved
    assert 'print(message["content"])' in moved


def test_a_message_that_goes_out_of_sight_leaves_the_call():
    """Whoever gets it may read attributes of it."""
    text = """
        import ollama
        def ask(m):
            return ollama.chat(model="m", messages=m).message
        """

    assert "goes on from here" in told(text)
    assert "ollama.chat(" in after(text)


def test_counts_of_tokens_are_the_usage():
    """Of Ollama's answers, and of llama.cpp's server's; durations are not there."""
    moved = after(
        """
        import ollama
        r = ollama.generate("m", "p")
        print(r["eval_count"], r["prompt_eval_count"], r["response"])
        """
    )

    assert 'r["usage"]["completion_tokens"], r["usage"]["prompt_tokens"]' in moved
    assert '`r["eval_duration"]` is read' in told(
        """
        import ollama
        r = ollama.generate("m", "p")
        print(r["eval_duration"])
        """
    )


def test_llama_cpps_timings_in_an_answer_leave_the_call():
    """The rest of /v1/chat/completions is the same dictionary, and may go anywhere."""
    assert "timings" in told(
        """
        import requests
        r = requests.post("http://localhost:8080/v1/chat/completions", json={"messages": m})
        answer = r.json()
        print(answer["timings"]["predicted_per_second"])
        """
    )


def test_a_stream_of_texts_stays_one():
    """ctransformers gave pieces of text, and the server gives dictionaries."""
    moved = after(
        """
        from ctransformers import AutoModelForCausalLM
        llm = AutoModelForCausalLM.from_pretrained("m")
        for text in llm("a", stream=True):
            print(text)
        """
    )

    assert 'for text in (piece["choices"][0]["text"] for piece in llm.complete(' in moved


# --- what is said to a model, or with a request -------------------------------------------------


def test_what_ctransformers_was_told_for_all_requests_is_said_in_each():
    """It was these, and not the library's own defaults; a request's own come first."""
    moved = after(
        """
        from ctransformers import AutoModelForCausalLM
        llm = AutoModelForCausalLM.from_pretrained("m", temperature=0.1, max_new_tokens=512)
        print(llm("a"), llm("b", temperature=0.3))
        """
    )

    assert moved.count("max_tokens=512") == 2
    assert moved.count("temperature=0.1") == moved.count("temperature=0.3") == 1


def test_what_cannot_be_written_into_each_request_is_told():
    """A name may mean something else where the model is asked."""
    assert "say it where llm_client is asked" in told(
        """
        from ctransformers import AutoModelForCausalLM
        llm = AutoModelForCausalLM.from_pretrained("m", temperature=args.temperature)
        """
    )


def test_what_an_ollama_client_says_with_each_request_is_told():
    """Headers have a key in them, and a public address may be somebody's service."""
    text = """
        from ollama import Client
        client = Client(host="https://ollama.com", headers={"Authorization": key})
        """

    assert "headers go with no request now" in told(text)
    assert "https://ollama.com" in told(text)


def test_what_a_session_says_with_each_request_is_told():
    """The session stays behind, with the key in its headers."""
    assert "s.headers went with this request" in told(
        """
        import requests
        s = requests.Session()
        s.headers["Authorization"] = key
        x = s.post("http://localhost:8080/completion", json={"prompt": p}).json()["content"]
        """
    )


def test_pictures_in_a_message_are_told_of():
    """A server that does not know ``images`` answers as if there were none."""
    text = 'import ollama\nm = [{"role": "user", "content": "what?", "images": ["a.png"]}]\n'

    assert "image_url" in told(text + 'print(ollama.chat("m", m).message.content)\n')


def test_functions_of_python_as_tools_leave_the_call():
    """Ollama's library describes them; OpenAI's API takes the description."""
    text = """
        import ollama
        def add(a: int, b: int) -> int:
            return a + b
        print(ollama.chat(model="m", messages=m, tools=[add])["message"]["content"])
        """

    assert "add: functions of Python" in told(text)
    assert "ollama.chat(" in after(text)


def test_how_much_to_think_is_not_whether():
    """A level is reasoning_effort; a truth is the chat template's."""
    text = 'import ollama\nollama.chat(model="m", messages=m, think={})\n'

    assert 'reasoning_effort="low"' in after(text.format('"low"'))
    assert '{"enable_thinking": True}' in after(text.format("True"))
    assert "a level is reasoning_effort" in told(text.format("level"))


# --- OpenAI's SDK ---------------------------------------------------------------------------------

LOCAL = 'from openai import OpenAI\nc = OpenAI(base_url="http://localhost:11434/v1")\n'


def test_every_request_of_a_local_client_names_what_is_served():
    """Whatever method says a model's name: it is not known to the new server."""
    for method in ("chat.completions.create", "completions.create", "responses.create"):
        assert "model=llm_client.MODEL" in after(f'{LOCAL}c.{method}(model="llama3")\n')
    assert "model=MODEL: the old server knew" in told(
        f"{LOCAL}c.chat.completions.create(model=MODEL)\n"
    )
    assert "an embedding model is a server of its own" in told(
        f'{LOCAL}c.embeddings.create(model="m", input="a")\n'
    )


def test_what_only_the_old_server_knew_in_extra_body_is_told():
    """vLLM passes over unknown fields, so nothing would say that they do nothing."""
    request = 'c.chat.completions.create(model="m", extra_body={})\n'

    assert "passes over" in told(LOCAL + request.format('{"options": {"num_ctx": 4096}}'))
    assert "repetition_penalty now" in told(LOCAL + request.format('{"repeat_penalty": 1.1}'))
    assert "extra_body" not in told(LOCAL + request.format('{"top_k": 40}'))


def test_an_old_servers_address_is_told_of_wherever_it_is_set():
    """In the SDK's own variable, in the environment, and in a configuration."""
    for line in (
        'import openai\nopenai.base_url = "http://localhost:8080/v1"',
        'import os, openai\nos.environ["OPENAI_BASE_URL"] = "http://localhost:8080/v1"',
        'import autogen, ollama\nc = [{"model": "m", "base_url": "http://localhost:11434/v1"}]',
    ):
        assert "an old server" in told(line + "\n")


# --- out of sight -------------------------------------------------------------------------------


def test_a_model_that_is_handed_to_a_function_of_the_module_is_known_there():
    """Under the parameter's name, also where that is another one elsewhere."""
    moved = after(
        """
        from llama_cpp import Llama

        def ask(model, prompt):
            return model(prompt)

        class Bot:
            def __init__(self, engine):
                self.engine = engine

            def ask(self, prompt):
                return self.engine(prompt)

        def train(model):
            return model(1)

        llm = Llama("m.gguf")
        ask(llm, "a")
        Bot(llm).ask("b")
        """
    )

    assert "return model.complete(" in moved
    assert "return self.engine.complete(" in moved
    assert "return model(1)" in moved


def test_a_model_that_is_handed_on_is_told_of():
    """Who gets it may call it, and an LLM cannot be called."""
    for line in (
        "pool.map(llm, prompts)",
        "functools.partial(llm, max_tokens=3)",
        "rag.answer(llm, question)",
        "Chain(llm=llm)",
    ):
        assert "is not in sight" in told(f'from llama_cpp import Llama\nllm = Llama("m")\n{line}\n')


def test_other_libraries_that_ask_an_old_server_are_told_of():
    """Each has a form for OpenAI's API of its own."""
    for line in (
        'from langchain_ollama import OllamaEmbeddings\nx = OllamaEmbeddings(model="m")',
        'from langchain_community.llms import CTransformers\nx = CTransformers(model="m")',
        'from langchain_openai import ChatOpenAI\nx = ChatOpenAI(base_url="http://localhost:1/v1")',
        'from langchain.chat_models import init_chat_model\nx = init_chat_model("m", '
        'model_provider="ollama")',
        'from llama_index.llms.ollama import Ollama\nx = Ollama(model="m")',
        'import litellm\nx = litellm.completion(model="ollama/llama3", messages=m)',
    ):
        assert told(line + "\n"), line


def test_programs_that_are_run_are_told_of():
    """A model's server, or a question to one, by a command."""
    for line in (
        'subprocess.run(["ollama", "run", "llama3"])',
        'subprocess.Popen("./llama-server -m m.gguf", shell=True)',
        'os.system("ollama pull llama3")',
    ):
        assert " now" in told(f"import os, subprocess\n{line}\n"), line


def test_http_by_pythons_own_library_is_told_of():
    """``http.client`` takes its body third."""
    assert told(
        """
        import http.client
        c = http.client.HTTPConnection("localhost", 8080)
        c.request("POST", "/completion", body)
        """
    )


def test_what_a_model_that_is_loaded_is_told_and_nobody_knows_is_told_of():
    """What only says how it is loaded goes; a name that is not llama-cpp-python's may be more."""
    text = 'from llama_cpp import Llama\nllm = Llama("m.gguf", n_threads=8, {}=2)\n'

    assert "does not know it" in told(text.format("novelty"))
    assert told(text.format("n_ubatch")) == ""


def test_clients_that_another_module_makes_are_known():
    """Ollama's by its whole name, since other libraries have a Client; OpenAI's, if it is local."""
    made = {
        "from ollama import Client\nclient = Client()\n": "ollama",
        "import ollama\nclient = ollama.AsyncClient()\n": "ollama_async",
        'from openai import OpenAI\nclient = OpenAI(base_url="http://localhost:1/v1")\n': "openai",
    }
    others = ("import httpx, ollama\nclient = httpx.Client()\n", "client = openai.OpenAI()\n")

    for text, kind in made.items():
        assert shared_models(PurePath("made.py"), text) == {"made.client": kind}
    for text in others:
        assert shared_models(PurePath("made.py"), text) == {}


def test_an_ollama_llm_of_langchain_answers_as_long_as_it_did():
    """LangChain's model for OpenAI's API stops after 256 tokens, where nothing says another."""
    text = 'from langchain_ollama import OllamaLLM\nllm = OllamaLLM(model="m"{})\n'

    assert '"max_tokens": None' in after(text.format(""))
    assert '"max_tokens": None' in after(text.format(", num_predict=-1"))
    limited = after(text.format(", num_predict=9"))
    assert "max_tokens=9" in limited
    assert '"max_tokens": None' not in limited


def test_a_question_over_several_lines_is_asked_once():
    """Code with line ends in it is on one line in a comment, and known again."""
    text = dedent(
        """
        from llama_cpp import Llama
        llm = Llama(
            "m.gguf",
            novelty=make(
                1,
            ),
        )
        llm.metadata
        """
    ).lstrip("\n")
    once = after(text)

    assert after(once) == once
    assert set(told(text).splitlines()) <= set(told(once).splitlines())


def test_the_first_use_that_is_not_known_is_the_one_that_is_named():
    """Always the same one, so that a second look asks nothing new."""
    text = """
        from ollama import generate
        for part in generate("m", "p", stream=True):
            print(part.image, part.total, part.done, part.completed)
        """

    assert {told(text) for _ in range(3)} == {
        "llm_client.chat(…) asks it, but `part.image` is read"
    }


def test_headers_that_say_only_that_it_is_json_need_no_decision():
    """Also by a name; what else is in them does."""
    text = """
        import requests
        headers = {}
        x = requests.post("http://localhost:8080/completion", headers=headers, json={{"prompt": p}})
        print(x.json()["content"])
        """

    assert told(text.format('{"Content-Type": "application/json"}')) == ""
    assert "headers=headers went" in told(text.format('{"Authorization": key}'))


def test_a_class_of_the_module_with_a_field_for_a_model_has_it_in_sight():
    """A dataclass says in its field what it holds."""
    text = """
        from dataclasses import dataclass
        from llama_cpp import Llama

        @dataclass
        class Bot:
            llm: Llama

            def ask(self, prompt):
                return self.llm(prompt)

        bot = Bot(llm=Llama("m.gguf"))
        llm = Llama("m.gguf")
        other = Bot(llm=llm)
        """

    assert told(text) == ""
    assert "self.llm.complete(" in after(text)
