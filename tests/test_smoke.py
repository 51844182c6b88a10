"""``workbench smoke``: every line can pass, fail and be left out, and none keeps the next away."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripted import (
    HELLO,
    ROLE,
    STOP,
    Do,
    ScriptedServer,
    completion,
    model_list,
    reply,
    stream,
    text,
)
from tests.test_shell import workbench
from workbench.records import Verdict
from workbench.session import Session
from workbench.smoke import SmokeReport, Step, curl_config, smoke
from workbench.views import smoke_view

KEY = "sk-a-key-that-nobody-may-see"
CURL = shutil.which("curl")

needs_curl = pytest.mark.skipif(CURL is None, reason="curl is not installed: apt install curl")


@pytest.fixture(scope="module")
def shared() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def server(shared: ScriptedServer) -> ScriptedServer:
    """A server that is well: each way of asking is answered with Hello."""
    shared.reset()
    shared.others = {"/health": [reply(200, "")]}
    shared.answer(completion(), stream(*HELLO), completion())
    return shared


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of the PATH, and a folder of TypeScript's beside it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "typescript" / "node_modules" / "tsx").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def install(programs: Path, name: str, *does: str) -> None:
    """Put a shell script of this name into the PATH."""
    program = programs / name
    program.write_text("\n".join(["#!/bin/sh", *does, ""]))
    program.chmod(0o755)


def install_node(programs: Path, *does: str) -> None:
    install(programs, "node", 'if [ "$1" = --version ]; then echo v22.0.0; exit; fi', *does)


def install_curl(programs: Path, *before: str) -> None:
    install(programs, "curl", *before, f'exec {CURL} "$@"')


def asked(server: ScriptedServer, programs: Path, **more: str) -> dict[str, Step]:
    report = smoke(server.base_url, folder=programs.parent / "typescript", **more)
    return {step.name: step for step in report.steps}


def verdicts(steps: dict[str, Step]) -> dict[str, str]:
    return {name: step.verdict.value for name, step in steps.items()}


@needs_curl
def test_a_server_that_is_well_passes_every_line(server: ScriptedServer, programs: Path):
    """Seven lines, each with its time but the comparison; four equal answers."""
    install_node(programs, """echo '"Hello"'""")
    install_curl(programs)

    steps = asked(server, programs)

    assert set(verdicts(steps).values()) == {"pass"}
    assert list(steps) == [
        *("health", "models", "Python", "Python, streamed", "TypeScript", "curl", "same answer")
    ]
    assert steps["same answer"].seen == "4 of 4 equal"
    assert [step.answer for step in steps.values() if step.answer] == ["Hello"] * 4
    assert all(step.duration_s for name, step in steps.items() if name != "same answer")


def test_what_is_not_installed_is_skipped_and_said(server: ScriptedServer, programs: Path):
    """Neither Node nor curl: two skips that say what to install, and no failure."""
    steps = asked(server, programs)

    assert (steps["TypeScript"].verdict, steps["curl"].verdict) == (Verdict.SKIP, Verdict.SKIP)
    assert "Node" in steps["TypeScript"].seen
    assert "make setup" in str(steps["TypeScript"].next_step)
    assert "curl" in str(steps["curl"].next_step)
    assert steps["same answer"].seen == "2 of 2 equal"


def test_packages_that_are_not_installed_are_skipped(server: ScriptedServer, programs: Path):
    """Node alone does not run TypeScript."""
    install_node(programs, "exit 1")
    (programs.parent / "typescript" / "node_modules" / "tsx").rmdir()

    step = asked(server, programs)["TypeScript"]

    assert step.verdict is Verdict.SKIP
    assert "make setup" in str(step.next_step)


def test_another_answer_fails_the_comparison_alone(server: ScriptedServer, programs: Path):
    """Each way got an answer, so each passes; that they differ is a line of its own."""
    server.answer(completion("Hello"), stream(ROLE, text("Bye"), STOP))

    steps = asked(server, programs)

    assert steps["Python"].verdict is steps["Python, streamed"].verdict is Verdict.PASS
    assert steps["same answer"].verdict is Verdict.FAIL
    assert "Python: “Hello”; Python, streamed: “Bye”" in steps["same answer"].seen


def test_nobody_there_fails_what_was_asked_and_leaves_out_the_rest(programs: Path):
    """Both questions say what was refused and how to start a server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

    steps = smoke(address, folder=programs).steps

    assert [step.verdict.value for step in steps] == ["fail", "fail"] + ["skip"] * 5
    assert "Connection refused" in steps[0].seen
    assert "workbench up" in str(steps[0].next_step)


def test_a_failing_way_does_not_keep_the_next_away(server: ScriptedServer, programs: Path):
    """500 for Python, and the stream after it is read and passes."""
    server.answer(reply(500, {"error": {"message": "CUDA error"}}), stream(*HELLO))

    steps = asked(server, programs)

    assert steps["Python"].verdict is Verdict.FAIL
    assert "CUDA error" in steps["Python"].seen
    assert "logs" in str(steps["Python"].next_step)
    assert steps["Python, streamed"].verdict is Verdict.PASS
    assert steps["same answer"].verdict is Verdict.SKIP


def test_a_stream_that_is_cut_fails(server: ScriptedServer, programs: Path):
    """Half an answer is none."""
    server.answer(completion(), stream(ROLE, text("Hel"), Do.CUT))

    assert asked(server, programs)["Python, streamed"].verdict is Verdict.FAIL


def test_a_model_that_says_nothing_fails(server: ScriptedServer, programs: Path):
    """An empty text is no completion."""
    server.answer(completion(""), stream(*HELLO))

    step = asked(server, programs)["Python"]

    assert (step.verdict, step.seen) == (Verdict.FAIL, "the model said nothing")


@pytest.mark.parametrize(
    ("status", "verdict", "seen"),
    [
        (503, "fail", "status 503"),
        (404, "skip", "404"),
        (401, "fail", "401: the key is missing or wrong"),
    ],
)
def test_health_says_what_came(
    status: int, verdict: str, seen: str, server: ScriptedServer, programs: Path
):
    """A server that has no /health is another one than vLLM, and may be well."""
    server.others["/health"] = [reply(status, "")]

    step = asked(server, programs)["health"]

    assert (step.verdict.value, step.seen) == (verdict, seen)


@pytest.mark.parametrize(
    ("listing", "seen"),
    [
        (model_list(), "it lists no model"),
        (reply(200, "<html>"), "it lists no model"),
        (reply(401, {"error": "Unauthorized"}), "401: the key is missing or wrong"),
        (reply(404, {"detail": "Not Found"}), "status 404"),
    ],
    ids=["empty", "a page", "401", "404"],
)
def test_without_a_list_nobody_knows_what_to_ask_for(
    listing: object, seen: str, server: ScriptedServer, programs: Path
):
    """The list fails; the ways that need a name are left out, not failed as well."""
    server.listings = [listing]  # type: ignore[list-item]

    steps = asked(server, programs)

    assert (steps["models"].verdict, steps["models"].seen) == (Verdict.FAIL, seen)
    assert steps["models"].next_step
    assert steps["Python"].verdict is Verdict.SKIP
    assert server.chat_requests == []


def test_a_model_that_was_named_is_asked_although_it_is_not_listed(
    server: ScriptedServer, programs: Path
):
    """The list's line fails, with what is listed, and the others ask for what was named."""
    steps = asked(server, programs, model="llama")

    assert "'llama' is not among pocket" in steps["models"].seen
    assert steps["Python"].verdict is Verdict.PASS
    assert [request.json["model"] for request in server.chat_requests] == ["llama", "llama"]


def test_a_program_that_fails_says_why(server: ScriptedServer, programs: Path):
    """What Node wrote to stderr is the line."""
    install_node(programs, "echo 'TypeError: no such thing' >&2; exit 1")

    step = asked(server, programs)["TypeScript"]

    assert step.verdict is Verdict.FAIL
    assert "TypeError: no such thing" in step.seen


def test_a_program_that_writes_something_else_fails(server: ScriptedServer, programs: Path):
    """Only JSON is an answer; escape sequences are shown and not obeyed."""
    install_node(programs, r"printf '\033[2Jhello\n'")

    step = asked(server, programs)["TypeScript"]

    assert (step.verdict, step.seen) == (Verdict.FAIL, "it wrote “�[2Jhello”")


@needs_curl
@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (reply(500, {"error": {"message": "boom"}}), "500: boom"),
        (reply(200, "<html>"), "200: “<html>”"),
        (reply(200, {"choices": []}), '200: “{"choices": []}”'),
        (reply(401, {"error": f"wrong key {KEY}"}), "401: wrong key ***"),
    ],
    ids=["500", "a page", "no choice", "quotes the key"],
)
def test_curl_says_what_came(answer: object, seen: str, server: ScriptedServer, programs: Path):
    """Status and sentence; never the key, which a server may quote."""
    install_curl(programs)
    server.answer(completion(), stream(*HELLO), answer)  # type: ignore[arg-type]

    step = asked(server, programs, api_key=KEY)["curl"]

    assert (step.verdict, step.seen) == (Verdict.FAIL, seen)
    assert KEY not in repr(step)


@needs_curl
def test_a_server_that_hangs_up_on_curl_is_said_in_words(server: ScriptedServer, programs: Path):
    """curl's exit status is translated."""
    install(programs, "curl", "exit 52")

    step = asked(server, programs)["curl"]

    assert step.seen == "curl ended with 52: the server hung up without an answer"
    assert step.next_step


@needs_curl
def test_the_key_reaches_the_server_and_no_command_line(server: ScriptedServer, programs: Path):
    """curl gets it on stdin, and Node in its environment: ``ps`` shows neither."""
    seen = programs.parent / "arguments.txt"
    install_curl(programs, f'echo "$@" >> {seen}')
    install_node(programs, f'echo "$@" >> {seen}', """echo '"Hello"'""")

    steps = asked(server, programs, api_key=KEY)

    assert set(verdicts(steps).values()) == {"pass"}
    assert KEY not in seen.read_text()
    assert {request.headers.get("authorization") for request in server.chat_requests} == {
        f"Bearer {KEY}"
    }
    assert len(server.chat_requests) == 3


@needs_curl
def test_all_ask_the_same(server: ScriptedServer, programs: Path):
    """Python and curl send the same question, greedy; only streaming differs."""
    install_curl(programs)
    asked(server, programs)

    bodies = [request.json for request in server.chat_requests]
    for body in bodies:
        body.pop("stream", None)
        body.pop("stream_options", None)

    assert len(bodies) == 3
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0]["temperature"] == 0


def test_curls_own_language_is_quoted():
    """A quote or a backslash in a name ends no value; without a key there is no header."""
    written = curl_config("http://127.0.0.1:1/v1", None, {"model": 'a"b\\c'})

    assert r'data-raw = "{\"model\": \"a\\\"b\\\\c\"}"' in written
    assert "Authorization" not in written


def test_a_machine_that_refuses_is_a_line_as_well(server: ScriptedServer, programs: Path):
    """A program that cannot be started is no crash of the whole."""
    install(programs, "curl", "")
    (programs / "curl").write_bytes(b"\x7fELF, and nothing else")

    step = asked(server, programs)["curl"]

    assert step.verdict is Verdict.FAIL
    assert step.next_step


def test_the_table_says_what_to_try(server: ScriptedServer, programs: Path):
    """Lines that did not pass come again below it, with their next step; the exit status is 1."""
    server.others["/health"] = [reply(503, "")]
    report = smoke(server.base_url, folder=programs)

    view = smoke_view(report)

    assert "FAIL health: See what the server says: workbench logs" in str(view)
    assert "1 of 7 failed" in str(view)
    assert not view.ok
    assert json.loads(json.dumps(view.data))["steps"][0]["verdict"] == "fail"


def test_what_a_model_says_is_escaped_in_a_notebook():
    """The table is HTML there."""
    step = Step(name="Python", verdict=Verdict.PASS, seen="<script>", duration_s=1.0)
    report = SmokeReport(base_url="http://x/v1", model="m", steps=(step,), duration_s=1.0)

    assert "<script>" not in smoke_view(report).html()


@pytest.mark.processes
def test_the_command_exits_by_what_it_saw(server: ScriptedServer, project: Path):
    """0 and JSON for a server that is well, 1 and the same table when one line fails."""
    base_url = {"WORKBENCH_BASE_URL": server.base_url, "PATH": str(project)}
    well = workbench("smoke", "--json", home=project, **base_url)
    server.others["/health"] = [reply(503, "")]
    ill = workbench("smoke", home=project, **base_url)

    assert (well.returncode, ill.returncode) == (0, 1)
    assert json.loads(well.stdout)["model"] == "pocket"
    assert "FAIL health" in ill.stdout
    assert well.stderr == ill.stderr == ""


@pytest.mark.engine
def test_every_language_gets_the_same_answer_of_a_real_server(served: Session):
    """Greedy, so equal to the letter; and quick enough to be typed without a thought."""
    report = served.smoke()
    steps = {step.name: step for step in report.steps}

    assert report.ok
    assert steps["same answer"].verdict is Verdict.PASS
    for name, program in (("TypeScript", "node"), ("curl", "curl")):
        assert (steps[name].verdict is Verdict.PASS) == bool(shutil.which(program))
    assert report.duration_s < 10


@pytest.mark.engine
def test_a_wrong_key_fails_all_but_health(served: Session):
    """vLLM's /health is open to all; everything else says 401."""
    report = smoke(served.server.base_url, api_key="wrong", model="pocket", folder=Path("nowhere"))

    assert [step.verdict.value for step in report.steps][:4] == ["pass", "fail", "fail", "fail"]
    assert not report.ok
