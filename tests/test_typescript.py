"""TypeScript programs: what is said where they cannot run, and the same answers where they can."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.helpers import eventually, lives
from workbench.errors import MissingDependencyError, TypeScriptError
from workbench.records import SamplingParams
from workbench.session import Session
from workbench.sidecar import sidecar
from workbench.typescript import FOLDER, TypeScript, decisive_lines, of_session

KEY = "sk-a-key-of-its-own"
QUESTION = "What is a KV cache?"


def program_in(folder: Path, *, api_key: str | None = KEY) -> TypeScript:
    return TypeScript(folder=folder, base_url="http://127.0.0.1:9/v1", api_key=api_key)


@pytest.fixture
def typescript() -> Iterator[TypeScript]:
    """The project's own folder; whatever is run there, it is afterwards as it was."""
    folder = PROJECT / FOLDER
    if not (shutil.which("node") and (folder / "node_modules" / "tsx").is_dir()):
        pytest.skip("TypeScript's packages are not installed: Node 20 or newer, then make setup")
    before = sorted(folder.iterdir())
    yield program_in(folder)
    assert sorted(folder.iterdir()) == before


@pytest.fixture
def node_says(tmp_path: Path, monkeypatch):
    """A Node of another version, first on the path."""

    def say(version: str) -> None:
        node = tmp_path / "node"
        node.write_text(f"#!/bin/sh\necho {version}\n")
        node.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return say


def test_without_node_the_error_says_what_to_install(tmp_path, monkeypatch):
    """Node is not the workbench's to install; the hint has both steps, and nothing is written."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingDependencyError, match="Node is not installed") as caught:
        list(program_in(tmp_path).run_source("console.log(1)"))

    assert "Install Node 20" in str(caught.value.hint)
    assert "make setup" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["v18.19.1", "unknown"])
def test_a_node_that_is_too_old_is_named(tmp_path, node_says, version: str):
    """The reader has a Node, and wonders: which one was it, and which is needed."""
    node_says(version)
    with pytest.raises(MissingDependencyError, match=f"Node 20 is needed, .*node is {version}"):
        list(program_in(tmp_path).run("chat.ts"))


def test_without_the_packages_the_error_says_make_setup(tmp_path, node_says):
    """Node is there, ``npm ci`` was not run."""
    node_says("v22.1.0")
    with pytest.raises(MissingDependencyError, match="not installed in") as caught:
        list(program_in(tmp_path).run("chat.ts"))

    assert "make setup" in str(caught.value.hint)


def test_the_key_is_in_the_environment_and_in_no_text(tmp_path):
    """Who prints the object shows no secret."""
    program = program_in(tmp_path)

    assert program.environment()["OPENAI_API_KEY"] == KEY
    assert KEY not in repr(program)


def test_a_key_for_another_server_is_not_passed_on(tmp_path, monkeypatch):
    """A server without a key is not sent OpenAI's, nor asked for another server's model."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.setenv("WORKBENCH_MODEL", "/models/elsewhere")
    told = program_in(tmp_path, api_key=None).environment()

    assert told["OPENAI_API_KEY"] == "none"
    assert told["WORKBENCH_MODEL"] == ""


@pytest.mark.parametrize(
    ("backend", "arguments", "model"),
    [
        ("embedded", {"model": "pocket"}, None),
        ("remote", {"base_url": "http://gpu-box:8000/v1", "model": "llama"}, "llama"),
        ("remote", {"base_url": "http://gpu-box:8000/v1"}, None),
    ],
)
def test_a_session_names_the_model_only_as_it_is_served(backend, arguments, model, project):
    """A folder's name is nothing to ask a server for."""
    state = {"state_dir": str(project / "state")}
    with Session(backend=backend, **arguments, **state) as session:
        assert of_session(session).model == model


@pytest.mark.parametrize(
    ("stderr", "decisive"),
    [
        (
            "cell.ts:2\nthrow new Error('no')\n      ^\n\n\nError: no\nway\n    at cell.ts:2:7\n",
            ("Error: no", "way"),
        ),
        (
            "^\nError [TransformError]: Transform failed with 1 error:\n"
            'cell.ts:1:9: ERROR: Unexpected "="\n    at failure (lib/main.js:1:2)\n',
            (
                "Error [TransformError]: Transform failed with 1 error:",
                'cell.ts:1:9: ERROR: Unexpected "="',
            ),
        ),
        (
            "TypeError: one that was caught\nNotFoundError: 404 no such model\n    at x\n",
            ("NotFoundError: 404 no such model",),
        ),
        ("x\n(Use `node --trace-uncaught ...` to show\n\nNode.js v20.20.2\n", ("x",)),
        ("", ()),
    ],
    ids=["message of two lines", "syntax", "the last of two", "thrown text", "nothing"],
)
def test_of_what_node_writes_the_error_is_found(stderr: str, decisive: tuple[str, ...]):
    """Not the stack, not the source line, not the name of the runtime."""
    assert decisive_lines(stderr.splitlines()) == decisive


def test_the_lock_names_no_registry_and_the_versions_are_exact():
    """It installs from whichever registry is set, and always the same."""
    folder = PROJECT / FOLDER
    package = json.loads((folder / "package.json").read_text())
    lock = (folder / "package-lock.json").read_text()

    versions = [*package["dependencies"].values(), *package["devDependencies"].values()]
    assert [each for each in versions if not re.fullmatch(r"\d+\.\d+\.\d+", each)] == []
    assert "resolved" not in lock
    assert "://" not in lock.replace("https://github.com/sponsors", "")
    assert lock.count('"integrity"') == lock.count('"node_modules/')


@pytest.mark.processes
def test_lines_come_while_the_program_runs(typescript, tmp_path):
    """The first is here before the program may go on to the second."""
    go = tmp_path / "go"
    lines = typescript.run_source(
        f"""
        import {{ existsSync }} from "node:fs";
        console.log("first");
        while (!existsSync({json.dumps(str(go))})) await new Promise((go) => setTimeout(go, 10));
        console.log("second");
        """
    )

    assert next(lines) == "first"
    go.touch()
    assert list(lines) == ["second"]


@pytest.mark.processes
def test_a_program_that_is_left_takes_its_processes_along(typescript):
    """Nothing that it started lives on, and its file is gone."""
    lines = typescript.run_source(
        """
        import { spawn } from "node:child_process";
        console.log(process.pid, spawn("sleep", ["600"]).pid);
        """
    )
    pids = [int(pid) for pid in next(lines).split()]
    assert all(lives(pid) for pid in pids)
    lines.close()

    assert eventually(lambda: not any(lives(pid) for pid in pids))


@pytest.mark.processes
def test_a_failure_has_its_status_its_message_and_its_line(typescript):
    """What it had written before is there; the stack is an attribute."""
    lines = typescript.run_source('console.log("before");\n\nthrow new RangeError("too far");\n')
    assert next(lines) == "before"
    with pytest.raises(TypeScriptError, match="RangeError: too far") as caught:
        next(lines)

    assert caught.value.exit_code == 1
    assert caught.value.hint == "Look at line 3 of cell.ts."
    assert "    at" not in caught.value.message
    assert any("    at" in line for line in caught.value.stderr)


@pytest.mark.processes
def test_an_exit_status_without_a_word_is_told(typescript):
    """Nothing on stderr is a fact too."""
    with pytest.raises(TypeScriptError, match="wrote nothing") as caught:
        list(typescript.run_source("process.exit(3)"))

    assert caught.value.exit_code == 3


@pytest.mark.processes
def test_complaints_of_a_program_that_went_well_come_last(typescript):
    """Warnings are output too."""
    source = 'console.error("a warning"); console.log("the answer")'

    assert list(typescript.run_source(source)) == ["the answer", "a warning"]


@pytest.mark.processes
def test_the_key_is_on_no_command_line_and_in_no_output(typescript):
    """Printed by mistake, on either stream, it does not reach a notebook that is shared."""
    source = """
        import { readFileSync } from "node:fs";
        console.log(readFileSync("/proc/self/cmdline", "utf8").includes("sk-"));
        console.log(process.env.OPENAI_API_KEY);
        throw new Error(process.env.OPENAI_API_KEY);
        """
    lines = typescript.run_source(source)
    assert [next(lines), next(lines)] == ["false", "***"]
    with pytest.raises(TypeScriptError) as caught:
        next(lines)

    assert KEY not in repr(vars(caught.value))


@pytest.mark.processes
@pytest.mark.parametrize("model", [None, "pocket"])
def test_a_server_that_is_down_is_told_with_the_next_step(typescript, model):
    """Whether it is the list of models that fails or the question."""
    down = TypeScript(folder=typescript.folder, base_url="http://127.0.0.1:1/v1", model=model)
    with pytest.raises(TypeScriptError) as caught:
        list(down.run("chat.ts"))

    assert "workbench up" in str(caught.value)


@pytest.mark.processes
def test_the_types_are_right(typescript):
    """tsx takes the types away; ``npm run check`` is what reads them."""
    done = subprocess.run(
        ["node_modules/.bin/tsc", "--noEmit"],
        cwd=typescript.folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == ""
    assert done.returncode == 0


@pytest.fixture
def of_server(typescript, served: Session) -> TypeScript:
    """The project's folder, and the shared server."""
    server = served.server
    return TypeScript(folder=typescript.folder, base_url=server.base_url, api_key=server.api_key)


def by_curl(program: TypeScript, body: dict[str, object]) -> str:
    """Ask as the first notebooks do; the key goes in by standard input."""
    url = f"{program.base_url}/chat/completions"
    headers = f"Authorization: Bearer {program.api_key}\nContent-Type: application/json\n"
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", url, "-H", "@-", "-d", json.dumps(body)],
        input=headers,
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)["choices"][0]["message"]["content"])


@pytest.mark.engine
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is missing: sudo apt install curl")
def test_python_typescript_and_curl_get_the_same_answer(of_server, served: Session):
    """The same parameters, greedy: the same words, whoever asks."""
    params = SamplingParams(temperature=0, top_p=0.9, max_tokens=256)
    body = {
        "model": served.models()[0].name,
        "messages": [{"role": "user", "content": QUESTION}],
        **params.given(),
    }
    by_python = served.chat(QUESTION, params).text
    by_typescript = "\n".join(of_server.run("chat.ts", QUESTION, "-t", "0"))

    assert by_python == by_typescript == by_curl(of_server, body)
    assert "KV cache" in by_python


@pytest.mark.engine
def test_a_stream_in_typescript_has_the_same_text_and_its_times(of_server, served: Session):
    """The tokens are those that the server counted, for Python and for TypeScript."""
    whole = served.chat(QUESTION, SamplingParams(temperature=0))
    *text, times = of_server.run("stream.ts", QUESTION, "--temperature", "0")

    assert "\n".join(text) == whole.text
    assert whole.usage is not None
    tokens = whole.usage.output_tokens
    assert re.fullmatch(rf"TTFT [\d.]+ ms · {tokens} tokens · [\d.]+ tok/s · stop", times)


@pytest.mark.engine
def test_a_cell_talks_to_the_sessions_server(of_server):
    """``server.ts`` makes the client of what the environment says."""
    source = """
        import { client, model } from "./server.ts";
        const { data } = await client.models.list();
        console.log(model, data.map((each) => each.id));
        """

    assert list(of_server.run_source(source)) == ["pocket [ 'pocket', 'default' ]"]
    assert os.environ.get("OPENAI_API_KEY") is None


@pytest.mark.engine
def test_its_record_arrives_where_ours_go(typescript, served: Session, tmp_path: Path, monkeypatch):
    """``log.ts`` asks the real server, and the receiving end has its row."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    server = served.server
    with Session() as session, sidecar(session, host="127.0.0.1", port=0) as receiver:
        environ = {
            **os.environ,
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": server.api_key,
            "LOGGING_ENDPOINT": "http://{}:{}/logs".format(*receiver.server_address[:2]),
        }
        done = subprocess.run(
            ["npx", "tsx", "log.ts", QUESTION, "-t", "0"],
            cwd=typescript.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        [row] = session.telemetry.tail(last=5, follow=False)

    assert done.stdout.startswith("The KV cache")
    assert (row.session, row.model, row.finish_reason) == ("log.ts", "pocket", "stop")
    assert row.output_tokens > 10
    assert 0 < row.ttft_s <= row.e2e_latency_s <= row.duration_s
    assert row.num_chunks > 1


@pytest.mark.processes
def test_a_request_that_fails_is_logged_as_one(typescript, tmp_path: Path, monkeypatch):
    """``log.ts`` with no server to ask: its record says so, and so does its exit status."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    with Session() as session, sidecar(session, host="127.0.0.1", port=0) as receiver:
        environ = {
            **os.environ,
            "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
            "WORKBENCH_MODEL": "pocket",
            "LOGGING_ENDPOINT": "http://{}:{}/logs".format(*receiver.server_address[:2]),
        }
        done = subprocess.run(
            ["npx", "tsx", "log.ts", QUESTION],
            cwd=typescript.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        [row] = session.telemetry.tail(last=5, follow=False)

    assert done.returncode == 1
    assert (row.status, row.error_type) == ("error", "APIConnectionError")
    assert (row.ttft_s, row.e2e_latency_s) == (None, None)
