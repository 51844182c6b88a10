"""What is said in old code is said in the new, or a person is told of it."""

from __future__ import annotations

from textwrap import dedent

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
