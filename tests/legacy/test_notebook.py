"""Notebooks are read as one program, and only their code changes."""

from __future__ import annotations

import json

import pytest

from workbench.legacy.notebook import read_notebook
from workbench.legacy.places import State


def notebook(*cells: str) -> str:
    return json.dumps(
        {
            "cells": [
                {"cell_type": "markdown", "metadata": {}, "source": ["# Title"]},
                *(
                    {
                        "cell_type": "code",
                        "metadata": {"tags": ["kept"]},
                        "execution_count": 3,
                        "outputs": [{"output_type": "stream", "name": "stdout", "text": ["é"]}],
                        "source": cell.splitlines(keepends=True),
                    }
                    for cell in cells
                ),
            ],
            "metadata": {"kernelspec": {"name": "python3"}},
            "nbformat": 4,
            "nbformat_minor": 4,
        },
        indent=1,
        ensure_ascii=False,
    )


def sources(text: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"]]


MADE = "from llama_cpp import Llama\nllm = Llama('m.gguf')"


def test_a_model_of_one_cell_is_known_in_the_next():
    """And its place says which cell, and which line of it."""
    reading = read_notebook(notebook(MADE, "1 + 1", "x = 2\nllm('a', temperature=0)"))

    assert "llm.complete(" in sources(reading.text)[3]
    call = reading.places[-1]
    assert (call.cell, call.line, call.state) == (4, 2, State.WRITE)


def test_outputs_metadata_and_layout_stay():
    """All but the sources that change is what it was, to the byte."""
    before = notebook(MADE, "print('é')")

    after = json.loads(read_notebook(before).text)

    was = json.loads(before)
    was["cells"][1]["source"] = after["cells"][1]["source"]
    assert after == was
    assert '\n "cells"' in read_notebook(before).text


def test_what_only_ipython_reads_stays():
    """Line magics, shell commands, questions, and cells of another language."""
    cells = ["%load_ext x\nfiles = !ls\nllm?\nm = %wb session", "%%bash\nllama-server -m x", MADE]

    after = sources(read_notebook(notebook(*cells)).text)

    assert after[1:3] == cells[:2]
    assert after[3].startswith("from llm_client import LLM")


def test_magics_hide_nothing():
    """A cell that is timed is Python; a question in a comment is none to IPython."""
    cells = ["%%time\nllm('a')", "x = llm('b')  # does it work?", "if x:\n    !ls\n    llm('c')"]
    reading = read_notebook(notebook(MADE, *cells))

    after = sources(reading.text)
    assert [text.count("llm.complete(") for text in after[2:]] == [1, 1, 1]
    assert after[2].startswith("%%time\n")
    assert "if x:\n    !ls\n    llm" in after[4]


def test_what_stands_in_a_magics_line_is_left_to_a_person():
    """It is seen, and stays what it is: a line cannot become several there."""
    cells = [
        "%time y = llm('a')",
        "%%bash\necho\ncurl http://l:1/completion",
        "!curl l:1/completion",
    ]
    reading = read_notebook(notebook(MADE, *cells))

    left = [place for place in reading.places if place.state is State.DECIDE]
    assert sorted((place.cell, place.line) for place in left) == [(3, 1), (4, 3), (5, 1)]
    assert sources(reading.text)[2:] == cells


def test_old_libraries_of_one_line_become_one():
    """And a second time nothing is left of them."""
    once = read_notebook(notebook("!pip install ollama llama-cpp-python==0.2 x-ollama"))

    assert sources(once.text)[1] == "!pip install openai x-ollama"
    assert read_notebook(once.text).places == ()


def test_an_old_library_is_not_installed_any_more():
    """The package of the new one is, and others on the line stay."""
    reading = read_notebook(notebook("%pip install -q llama-cpp-python[server]==0.3.2 pandas"))

    assert sources(reading.text)[1] == "%pip install -q openai pandas"
    assert reading.places[0].becomes == "%pip install -q openai pandas"


def test_a_second_time_changes_nothing():
    """What is moved stays as it is."""
    once = read_notebook(notebook(MADE, "llm('a', **rest)")).text

    assert read_notebook(once).text == once


@pytest.mark.parametrize("text", ["[]", '{"cells": 3}'])
def test_a_file_that_is_no_notebook_is_said_to_be_none(text: str):
    """JSON alone makes no notebook."""
    with pytest.raises(ValueError, match="cells"):
        read_notebook(text)
