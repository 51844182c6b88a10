"""``workbench …`` in the shell: exit codes, one-line mistakes, data on stdout only."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripted import (
    DONE,
    HELLO,
    ROLE,
    STOP,
    Do,
    ScriptedServer,
    completion,
    reply,
    stream,
    text,
)
from workbench import __main__, verbs

pytestmark = pytest.mark.processes


def workbench(
    *arguments: str, home: Path, stdin: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", *arguments],
        capture_output=True,
        text=True,
        check=False,
        input=stdin,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "WORKBENCH_HOME": str(home),
            **environment,
        },
    )


def test_status_of_nothing_is_no_failure(project: Path):
    """Exit 0, JSON on stdout, nothing on stderr."""
    done = workbench("status", "--json", home=project)

    assert done.returncode == 0
    assert json.loads(done.stdout)["state"] == "stopped"
    assert done.stderr == ""


def test_a_folder_that_cannot_be_made_names_its_setting(project: Path):
    """Not the system's sentence alone; nothing says there where the folder came from."""
    done = workbench(
        "up",
        home=project,
        WORKBENCH_STATE_DIR="/proc/x",
        WORKBENCH_BACKEND="remote",
        WORKBENCH_BASE_URL="http://127.0.0.1:1/v1",
    )

    assert done.returncode == 1
    assert "state_dir cannot be /proc/x (from WORKBENCH_STATE_DIR)" in done.stderr
    assert "WORKBENCH_STATE_DIR=/path" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("stauts",), "status"),
        (("status", "--jsn"), "--json"),
        (("up", "--port", "many"), "--port"),
        (("chat",), "PROMPT"),
        (("run", "nowhere.ipynb"), "nowhere.ipynb"),
        (("up", "--model", "poket"), "Did you mean pocket?"),
        (("up", "--backend", "remotely"), "embedded, compose, remote"),
        (("up", "--backend", "remote"), "WORKBENCH_BASE_URL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_wrong_argument_is_said_in_a_line_with_the_way_out(
    arguments: tuple[str, ...], said: str, project: Path
):
    """Exit 2, no traceback, and a suggestion."""
    engine = {"WORKBENCH_ENGINE_DIR": str(project / "none"), "PIP_INDEX_URL": "http://127.0.0.1:9"}
    done = workbench(*arguments, home=project, **engine)

    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.processes
def test_a_server_that_is_down_is_a_sentence_and_exit_1(project: Path):
    """The chat names the address and how to start a server there."""
    done = workbench("chat", "Hello", home=project, WORKBENCH_PORT="9")

    assert done.returncode == 1
    assert "http://127.0.0.1:9/v1" in done.stderr
    assert "up" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.processes
def test_a_chat_that_failed_is_json_too(project: Path):
    """A program reads what went wrong where it would read the answer."""
    done = workbench("chat", "--json", "--base-url", "http://127.0.0.1:9/v1", "Hi", home=project)
    said = json.loads(done.stdout)

    assert done.returncode == 1
    assert (said["text"], said["error"]["type"]) == ("", "ServerUnreachableError")
    assert "127.0.0.1:9" in said["error"]["message"]


@pytest.mark.processes
def test_the_json_of_a_chat_has_the_same_keys_whatever_came(project: Path):
    """A whole answer, half of one, and none: what is unknown is null."""
    server = ScriptedServer()
    server.answer(stream(*HELLO), stream(ROLE, text("Hel"), Do.CUT), reply(400, {}))
    options = ("--base-url", server.base_url, "--model", "pocket")
    whole, half, none = (
        json.loads(workbench("chat", "--json", *options, "Hi", home=project).stdout)
        for _ in range(3)
    )
    server.close()

    assert list(whole) == list(half) == list(none)
    assert {"text", "finish_reason", "request_id", "usage", "error"} <= set(none)
    assert [none[name] for name in ("ttft_s", "tpot_s", "e2e_latency_s")] == [None] * 3
    assert (half["text"], half["error"]["type"]) == ("Hel", "StreamInterruptedError")
    assert (none["text"], none["base_url"], none["error"]["status_code"]) == (
        "",
        server.base_url,
        400,
    )


@pytest.mark.processes
def test_what_a_server_says_cannot_command_the_terminal(project: Path):
    """Neither its answer, streamed or whole, nor its error; half a character is no crash."""
    server = ScriptedServer()
    evil = "a\x1b[2Jb\ud83d"
    server.answer(
        stream(ROLE, chunk_of(evil), STOP, DONE),
        completion(evil),
        reply(400, {"error": {"message": evil}}),
    )
    options = ("--base-url", server.base_url, "--model", "pocket", "Hi")
    answers = [workbench("chat", *more, *options, home=project) for more in ((), ("--no-stream",))]
    refused = workbench("chat", *options, home=project)
    server.close()

    assert [answer.stdout for answer in answers] == ["a�[2Jb�\n"] * 2
    assert "a�[2Jb�" in refused.stderr
    assert refused.returncode == 1


def chunk_of(content: str) -> bytes:
    """As JSON of ASCII: bytes cannot have half a character."""
    choice = {"index": 0, "delta": {"content": content}}
    return b"data: %s\n\n" % json.dumps({"choices": [choice]}).encode()


@pytest.mark.processes
def test_any_server_can_be_chatted_with(project: Path):
    """By its URL, with a model's name; the JSON is the answer with its times."""
    server = ScriptedServer()
    options = (
        "--base-url",
        server.base_url,
        "--model",
        "other",
        "-t",
        "0",
        "--system",
        "Be brief.",
    )
    streamed = workbench("chat", "--json", *options, "Hi", home=project)
    server.answer(completion("whole"))
    whole = workbench("chat", "--no-stream", *options, "-", home=project, stdin="from a file")
    server.close()
    said = json.loads(streamed.stdout)

    assert (said["text"], said["error"], said["finish_reason"]) == ("Hello", None, "stop")
    assert said["ttft_s"] > 0
    assert whole.stdout == "whole\n"
    bodies = [request.json for request in server.chat_requests]
    assert [body["model"] for body in bodies] == ["other", "other"]
    assert bodies[1]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "from a file"},
    ]


def test_every_verb_helps():
    """``--help`` of each verb has a sentence."""
    for command in verbs.workbench.commands.values():
        assert command.help
        assert command.help.strip().endswith(".")


def test_down_works_although_the_settings_name_a_model_that_is_gone(project: Path):
    """What runs can be stopped and seen whatever the settings ask for next."""
    done = workbench("down", home=project, WORKBENCH_MODEL="gone")

    assert (done.returncode, done.stdout.strip()) == (0, "No server was running.")


def test_ctrl_c_before_it_has_begun_is_quiet(project: Path, tmp_path: Path):
    """What is imported takes a moment; who presses it then gets 130 and no traceback."""
    # Stands in for the library of the same name, and takes until it is interrupted.
    (tmp_path / "click.py").write_text(
        "import signal\nprint('importing', flush=True)\nsignal.pause()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "workbench", "status"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "WORKBENCH_HOME": str(project), "PYTHONPATH": str(tmp_path)},
    ) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=10)

    assert (process.returncode, *said) == (130, "", "")


def test_the_module_has_a_main():
    """``python -m workbench`` and ``workbench`` are the same."""
    assert callable(__main__.main)


def test_telemetry_can_be_looked_at_in_every_way(project: Path):
    """Requests are recorded, filtered, written and counted; a flush without sinks is done."""
    server = ScriptedServer()
    server.answer(stream(*HELLO))
    settings = {
        "WORKBENCH_BASE_URL": server.base_url,
        "WORKBENCH_TELEMETRY_TAGS": "run=7",
        "WORKBENCH_TELEMETRY_CONTENTS": "1",
        "WORKBENCH_TELEMETRY_REDACT": "l+",
        "WORKBENCH_TELEMETRY_HASH": "sha256",
    }
    workbench("chat", "Hi", "--model", "pocket", home=project, **settings)
    server.close()
    shown = workbench("telemetry", "--status", "ok", "--since", "1h", home=project)
    none = workbench("telemetry", "--status", "error", "--json", home=project)
    tail = workbench("telemetry", "tail", "--json", home=project)
    status = workbench("telemetry", "status", "--json", home=project)
    flushed = workbench("telemetry", "flush", home=project)

    assert "pocket" in shown.stdout
    assert json.loads(none.stdout) == []
    record = json.loads(tail.stdout)
    assert json.loads(record["tags"]) == {"run": "7"}
    assert json.loads(record["answer"])[0]["text"] == "He[redacted]o"
    assert record["prompt_hash"].startswith("sha256:")
    assert json.loads(status.stdout)["rows"] == 1
    assert flushed.returncode == 0


@pytest.mark.parametrize("wrong", ["2x", "yesterday"])
def test_a_time_that_is_none_is_said(project: Path, wrong: str):
    """With what would be one."""
    done = workbench("telemetry", "--since", wrong, home=project)

    assert done.returncode == 2
    assert "30m" in done.stderr


def test_the_doctor_says_by_its_status_what_it_came_to(project: Path):
    """0: nothing is wrong; 1: something is; 2: no such check; 4: it could not be told."""
    asked = {"WORKBENCH_MODEL": "somebody/model", "HF_ENDPOINT": "http://127.0.0.1:9"}
    runs = {
        "explained": workbench("doctor", "--explain", "node", home=project),
        "failed": workbench("doctor", "--only", "docker-engine", home=project, PATH="/none"),
        "unknown": workbench("doctor", "--only", "nod", home=project),
        "unsure": workbench("doctor", "--only", "model-access", "--json", home=project, **asked),
    }
    found = json.loads(runs["unsure"].stdout)

    wrong = [
        ("--explain", ""),
        ("--symptom", "x", "--fix", "port"),
        ("--machine", str(project), "--fix", "port"),
        ("--machine", str(project)),
        ("--yes",),
    ]
    refused = [workbench("doctor", *arguments, home=project).returncode for arguments in wrong]

    assert refused == [2] * len(wrong)
    assert [done.returncode for done in runs.values()] == [0, 1, 2, 4]
    assert runs["explained"].stdout.startswith("node (embedded)\nIs there a Node")
    assert "get.docker.com" in runs["failed"].stdout
    assert "Did you mean node?" in runs["unknown"].stderr
    assert (found["ok"], found["findings"][0]["id"]) == (True, "model-access")


def test_migrate_check_is_for_ci(project: Path):
    """1 while anything is left, 0 when nothing is; without a path it is a usage mistake."""
    app = project / "app"
    app.mkdir()
    (app / "a.py").write_text("from llama_cpp import Llama\nprint(Llama('m')('a'))\n")

    assert workbench("migrate", str(app), "--check", home=project).returncode == 1
    assert workbench("migrate", str(app), "--write", home=project).returncode == 0
    assert workbench("migrate", str(app), "--check", home=project).returncode == 0
    assert workbench("migrate", home=project).returncode == 2
    assert workbench("migrate", "--ab", str(app / "a.py"), home=project).returncode == 2
