"""Shell scripts: curl finds the new server, and old servers are asked about."""

from __future__ import annotations

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


def test_comments_and_the_end_of_the_file_stay():
    """A comment that speaks of llama-server starts none."""
    text = "# llama-server -m x\necho 'it''s'\necho done"

    assert read_shell(text).text == text
    assert read_shell(text).places == ()


def test_a_second_time_changes_nothing():
    """What is moved counts, and comments are not doubled."""
    once = read_shell(CURL + "ollama run llama3\n").text

    again = read_shell(once)

    assert again.text == once
    assert [place.state for place in again.places] == [State.MOVED, State.DECIDE]
