"""Shell scripts: curl finds the new server, and old servers are asked about."""

from __future__ import annotations

import pytest

from workbench.legacy.places import State
from workbench.legacy.shell import read_shell

CURL = """#!/bin/sh
curl -s http://localhost:8080/v1/chat/completions \\
  -d '{"model": "x",
       "messages": []}'
"""


def test_curl_takes_address_key_and_time_out_from_the_environment():
    """Over all of its lines, and the model is the one that is served."""
    assert read_shell(CURL).text == (
        "#!/bin/sh\n"
        'curl -H "Authorization: Bearer ${OPENAI_API_KEY:-none}" --max-time 600 -s '
        '"${OPENAI_BASE_URL:-http://localhost:8000/v1}/chat/completions" \\\n'
        '  -d \'{"model": "default",\n'
        '       "messages": []}\'\n'
    )


def test_a_key_and_a_time_out_that_are_there_stay():
    """Nothing is said twice."""
    text = 'curl -m 5 -H "Authorization: Bearer x" http://l:1/v1/completions\n'

    assert read_shell(text).text.count("Authorization") == 1
    assert "--max-time" not in read_shell(text).text


def test_an_old_servers_flags_are_translated_for_a_person():
    """Which model is served is for them to say."""
    reading = read_shell("  llama-server -m x.gguf -c 4096 \\\n   -ngl 99 --port 8080 &\n")

    assert reading.places[0].state is State.DECIDE
    assert "-c 4096 is --max-model-len" in reading.places[0].decide[0]
    assert reading.text.startswith("  # migrate: llama-server is")


def test_an_old_api_is_asked_about_and_other_commands_are_not():
    """/completion has other names now; a curl to somewhere else is nobody's business."""
    reading = read_shell("curl http://localhost:8080/completion -d @x\ncurl https://example.org/\n")

    assert [place.line for place in reading.places] == [1]


@pytest.mark.parametrize(
    "line",
    [
        """echo "don't" """,
        "echo it\\'s",
        "echo x  # it's",
        """echo 'it'"'"'s'""",
        "cat <<EOF; echo\nit's\nEOF",
    ],
)
def test_a_quote_does_not_hide_what_follows(line: str):
    """One in another kind of quote, behind a backslash or in a comment opens nothing."""
    reading = read_shell(f"{line}\ncurl http://localhost:8080/completion\necho 'a'\n")

    assert [place.line for place in reading.places] == [line.count("\n") + 2]


def test_what_is_open_goes_on():
    """In double quotes too."""
    moved = read_shell('curl l:8080/v1/completions -d "{\n \\"model\\": \\"x\\"}"\n').text

    assert moved.endswith('/completions" -d "{\n \\"model\\": \\"default\\"}"\n')


@pytest.mark.parametrize(
    "command",
    [
        'curl "$HOST/completion"',
        "curl ${HOST}/v1/completions",
        "H=http://localhost:11434; curl $H/api/chat",
        "curl localhost:11434/api/generate -d '{}'",
        "for i in 1; do curl -d '{}' http://l:1/v1/completions; done",
        "x=$(curl http://l:1/completion)",
    ],
)
def test_addresses_are_seen_however_they_are_written(command: str):
    """Without a scheme, below a variable, inside another command."""
    assert len(read_shell(f"{command}\n").places) == 1


def test_two_requests_of_one_command_are_left_to_a_person():
    """Neither is moved without the other."""
    reading = read_shell("curl l:1/v1/completions; curl l:1/v1/completions\n")

    assert reading.places[0].state is State.DECIDE


def test_a_here_document_is_part_of_its_command():
    """The model in it too."""
    moved = read_shell('curl l:1/v1/completions -d @- <<E\n{"model": "x"}\nE\necho\n').text

    assert moved.endswith('<<E\n{"model": "default"}\nE\necho\n')


def test_somebody_elses_server_stays():
    """A provider's is none; of another name of the internet a person says whose it is."""
    cloud = "curl https://api.mistral.ai/v1/chat/completions -d x\n"
    named = "H=https://openrouter.ai/api\ncurl $H/v1/chat/completions -d x\n"
    other = read_shell("curl https://llm.example.org/v1/chat/completions -d x\n")

    assert read_shell(cloud).places == read_shell(named).places == ()
    assert other.places[0].state is State.DECIDE


def test_comments_and_the_end_of_the_file_stay():
    """A comment that speaks of llama-server starts none."""
    text = "# llama-server -m x\necho 'it''s'\necho done"

    assert read_shell(text).text == text
    assert read_shell(text).places == ()


def test_what_else_ends_lines_elsewhere_stays():
    """A form feed, or a separator of Unicode's."""
    text = "echo a\f\necho \u2028b"

    assert read_shell(text).text == text


def test_a_second_time_changes_nothing():
    """What is moved counts, and comments are not doubled."""
    once = read_shell(CURL + "ollama run llama3\n").text

    again = read_shell(once)

    assert again.text == once
    assert [place.state for place in again.places] == [State.MOVED, State.DECIDE]


@pytest.mark.parametrize(
    "command",
    [
        "wget -qO- --post-data '{}' http://localhost:8080/completion",
        "http POST localhost:11434/api/generate model=llama3 prompt=hello",
    ],
)
def test_other_programs_that_ask_by_hand_are_told_of(command: str):
    """Their options are not curl's, so they stay as they are."""
    reading = read_shell(command)

    assert [place.state for place in reading.places] == [State.DECIDE]
    assert reading.text.endswith(command)


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("docker run -d -p 11434:11434 ollama/ollama", "image"),
        ("export OPENAI_API_BASE=http://localhost:8080/v1", "OPENAI_BASE_URL"),
        ("pip install llama-cpp-python", "openai"),
        ("./server -m model.gguf --port 8080", "llama-server is"),
    ],
)
def test_what_is_installed_set_and_started_is_told_of(command: str, word: str):
    """What the application needs around it is as old as its code."""
    assert word in " ".join(read_shell(command).places[0].decide)


def test_pythons_own_flag_is_no_models():
    """``python -m llama_cpp.server --model m.gguf`` names one model."""
    (decide,) = read_shell("python -m llama_cpp.server --model m.gguf").places[0].decide

    assert "--model m.gguf is" in decide
    assert "-m llama_cpp.server" not in decide


def test_vllms_own_port_is_not_taken_for_an_old_server():
    """Whoever has moved sets that one."""
    assert read_shell("export OPENAI_BASE_URL=http://localhost:8000/v1").places == ()


@pytest.mark.parametrize("path", ["/v1/models", "/v1/internal/model/load"])
def test_a_path_that_is_asked_about_is_not_rewritten(path: str):
    """Below /v1 too."""
    reading = read_shell(f"curl http://localhost:5000{path}")

    assert [place.state for place in reading.places] == [State.DECIDE]
    assert reading.text.endswith(path)


def test_what_a_body_says_to_another_server_is_told_of():
    """text-generation-webui's characters and llama.cpp's names: vLLM would pass over them."""
    body = '{"messages": [], "mode": "chat", "repeat_penalty": 1.1, "top_k": 3}'
    reading = read_shell(f"curl http://localhost:5000/v1/chat/completions -d '{body}'")

    (place,) = reading.places
    assert place.state is State.WRITE
    assert [note.split()[0] for note in place.decide] == ["mode:", "repeat_penalty"]
    assert read_shell(reading.text).text == reading.text
