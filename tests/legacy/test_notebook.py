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
