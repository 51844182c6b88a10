"""Six applications, each moved over and then run against the embedded server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.helpers import eventually
from tests.telemetry.sinks.receiver import Receiver
from workbench.legacy.places import State
from workbench.migrate import Migration, examine, write
from workbench.session import Session
from workbench.telemetry.received import record_of_document

APPLICATIONS = Path(__file__).parents[1] / "data/migrate/apps"
NODE_MODULES = Path(__file__).parents[2] / "notebooks/typescript/node_modules"

pytestmark = pytest.mark.engine

FACT = "vLLM is an engine that serves large language models"
"""How the pocket model answers "What is vLLM?", greedily."""


def moved(name: str, folder: Path) -> Path:
    """Copy an application and move it over; what is left is what only its server can settle."""
    application = folder / name
    shutil.copytree(APPLICATIONS / name, application)
    after = write(examine(application))

    assert only_the_servers(after), [place for _path, place in after.left]
    return application


def only_the_servers(after: Migration) -> bool:
    return all(
        place.state is State.DECIDE and ("server's now" in text or "workbench up" in text)
        for _path, place in after.left
        for text in place.decide
    )


def environment(served: Session, **more: str) -> dict[str, str]:
    server = served.server
    told = {"OPENAI_BASE_URL": server.base_url or "", "OPENAI_API_KEY": server.api_key or ""}
    return {**os.environ, **told, **more}


def run(served: Session, folder: Path, *command: str, **more: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(served, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_script_answers_as_before(served: Session, tmp_path: Path):
    """A prompt with its template written out goes to the completions, and is the same prompt."""
    script = moved("script", tmp_path)

    assert FACT in run(served, script, sys.executable, "ask.py", "What is vLLM?")


def test_the_shell_script_asks_the_new_server(served: Session, tmp_path: Path):
    """curl brings an address and a key from the environment, and the model that is served."""
    script = moved("script", tmp_path)
    text = (script / "serve.sh").read_text()
    (script / "ask.sh").write_text(text[text.index("curl") :])

    answer = json.loads(run(served, script, "sh", "ask.sh"))

    assert FACT in answer["choices"][0]["message"]["content"]


def test_the_class_streams_keeps_to_grammars_and_calls_tools(served: Session, tmp_path: Path):
    """Stream, GBNF, JSON schema, tools, tokens: each line is one of its methods."""
    application = moved("class", tmp_path)

    lines = run(served, application, sys.executable, "assistant.py").splitlines()

    assert "vLLM" in lines[0]
    assert lines[1] in ("True", "False")
    assert lines[2] in ("True", "False")
    assert json.loads(lines[3])["name"] == "get_weather"
    assert lines[4] == "2"


FASTAPI = """
from fastapi.testclient import TestClient
from app.main import app
client = TestClient(app)
prompt = "<|im_start|>user\\nWhat is vLLM?<|im_end|>\\n<|im_start|>assistant\\n"
print(client.post("/complete", json={"text": prompt}).json()["text"])
print(client.post("/chat", json={"text": "What is vLLM?"}).json())
print(client.get("/stream", params={"q": "What is vLLM?"}).text)
"""


def test_the_fastapi_application_answers_at_its_three_addresses(served: Session, tmp_path: Path):
    """llama.cpp's /completion, its /v1/chat/completions and Ollama's chat, all by hand before."""
    application = moved("fastapi", tmp_path)

    # starlette's test client is httpx's, which says that it will be another one.
    lines = run(served, application, sys.executable, "-W", "ignore", "-c", FASTAPI).splitlines()

    assert [FACT in line for line in lines] == [True, True, True]


def test_the_langchain_chain_invokes_and_streams(served: Session, tmp_path: Path):
    """The same chain, with another model at its middle."""
    application = moved("langchain", tmp_path)

    lines = run(served, application, sys.executable, "-W", "ignore", "chain.py").splitlines()

    assert "vLLM" in lines[0]
    assert len(lines[1]) > 10


def test_the_notebook_runs_from_top_to_bottom(served: Session, tmp_path: Path):
    """
    Its model is made in one cell and asked in others; its own assertion holds.

    IPython runs the cells in one process: a kernel would add ports, a heartbeat and threads, which
    are Jupyter's to test, and dies without saying why.
    """
    application = moved("notebook", tmp_path)
    notebook = nbformat.read(application / "questions.ipynb", as_version=4)
    installs = notebook.cells.pop(1)
    last = notebook.cells[-1]
    last.source = f"print({last.source})"
    nbformat.write(notebook, application / "questions.ipynb")

    ipython = (sys.executable, "-m", "IPython", "--HistoryManager.enabled=False")
    said = run(served, application, *ipython, "questions.ipynb", IPYTHONDIR=str(tmp_path / "own"))

    assert installs.source == "%pip install -q openai pandas"
    assert "a cell of another language stays as it is" in said
    assert said.splitlines()[-1] == "2"


def test_the_typescript_program_streams(served: Session, tmp_path: Path):
    """OpenAI's SDK was there already; its client is llmClient's now."""
    if not (NODE_MODULES / "tsx").exists():
        pytest.skip("TypeScript's packages are not installed: make setup, with Node 20")
    application = moved("typescript", tmp_path)
    (application / "node_modules").symlink_to(NODE_MODULES)

    assert FACT in run(served, application, "node", "--import", "tsx", "chat.ts")


@pytest.mark.parametrize("name", ["script", "langchain", "typescript"])
def test_each_request_leaves_a_record_that_the_workbench_reads(
    served: Session, tmp_path: Path, name: str
):
    """
    To LOGGING_ENDPOINT, in the sinks' own form: prompt hash, params, tokens, latency, status.
    """
    application = moved(name, tmp_path)
    program = {"script": "ask.py", "langchain": "chain.py", "typescript": "chat.ts"}[name]
    command = [sys.executable, "-W", "ignore", program]
    if name == "typescript":
        if not (NODE_MODULES / "tsx").exists():
            pytest.skip("TypeScript's packages are not installed: make setup, with Node 20")
        (application / "node_modules").symlink_to(NODE_MODULES)
        command = ["node", "--import", "tsx", program]
    receiver = Receiver()
    try:
        url = f"http://127.0.0.1:{receiver.port}/logs"
        run(served, application, *command, LOGGING_ENDPOINT=url)
        assert eventually(lambda: receiver.requests)
    finally:
        receiver.stop()

    record = record_of_document(json.loads(receiver.requests[0].body)["records"][0])
    assert record.status == "ok"
    assert record.prompt_hash.startswith("sha256:")
    assert record.temperature == 0
    assert record.e2e_latency_s
    assert record.e2e_latency_s <= record.duration_s
    if name != "typescript":  # its stream does not ask for usage
        assert record.output_tokens
        assert record.output_tokens > 5
