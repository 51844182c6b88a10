"""The report: everything that an issue needs, and nothing that is nobody's business."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
import sys
import threading
from pathlib import Path
from random import Random
from string import ascii_letters, digits
from urllib.parse import quote

import pandas as pd
import pytest

from workbench.doctor import Machine
from workbench.records import ServerStatus
from workbench.report import bundle, gather, past
from workbench.servers.remote import RemoteServer
from workbench.session import Session
from workbench.telemetry import Telemetry, TelemetryRecord
from workbench.views.report import report_view

RANDOM = Random(8)


def _planted(length: int = 24, alphabet: str = ascii_letters + digits) -> str:
    """A value that shares no eight letters with any text of ours."""
    return "".join(RANDOM.choices(alphabet, k=length))


PLANTED = {
    "HF_TOKEN": f"hf_{_planted()}",
    "HUGGING_FACE_HUB_TOKEN": f"hf_{_planted()}",
    "OPENAI_API_KEY": f"sk-{_planted()}",
    "VLLM_API_KEY": _planted(12),
    "AZURE_COSMOS_KEY": base64.b64encode(_planted(64).encode()).decode(),
    "AZURE_EVENTGRID_KEY": f"{_planted(43)}=",
    "LOGGING_ENDPOINT_TOKEN": f"{_planted(8)}.{_planted(8)}",
    "OTEL_EXPORTER_OTLP_HEADERS": f"x-team-key={_planted()}",
    "POSTGRES_PASSWORD": f"{_planted(9)} {_planted(9)}",
}
ACCOUNT_KEY, PASSWORD, CODE = _planted(40) + "==", _planted(11), _planted(16)
CONNECTION = f"AccountEndpoint=https://corp9.documents.azure.com:443/;AccountKey={ACCOUNT_KEY};"
LOGIN_URL = f"https://anna10:{PASSWORD}@logs11.corp.example/in?code={CODE}"
HUB_FILE, DOCKER, NETRC = f"hf_{_planted()}", base64.b64encode(_planted().encode()), _planted(14)
IN_FILES = {
    "home/annabella/.cache/huggingface/token": HUB_FILE,
    "home/annabella/.docker/config.json": json.dumps(
        {"auths": {"ghcr.io": {"auth": DOCKER.decode()}}}
    ),
    "home/annabella/.netrc": f"machine example.org login anna password {NETRC}",
}
PRIVATE_SETTING = _planted(20, ascii_letters + " ")
PROMPT = f"my landlord {_planted()} has a garden"
KEY_OF_OURS = f"wb-{_planted()}"

SECRETS = (
    *PLANTED.values(),
    *(ACCOUNT_KEY, PASSWORD, CODE, HUB_FILE, DOCKER.decode(), NETRC),
    *(PRIVATE_SETTING, PROMPT, KEY_OF_OURS),
)
PEOPLE = ("annabella", "corp.example", "anna10", "plantedhost", "landlord", "garden")

LOG = f"""\
INFO 11-25 07:00:00 [api_server.py:1] vLLM API server version 0.32.0
INFO 11-25 07:00:01 [utils.py:2] non-default args: {{'api_key': '{PLANTED["VLLM_API_KEY"]}'}}
ERROR 11-25 07:00:02 [x.py:3] huggingface_hub.errors.GatedRepoError: 401 Client Error: {LOGIN_URL}
INFO 11-25 07:00:09 [x.py:3] Application startup complete.
INFO 11-25 07:00:10 [logger.py:4] Received request: prompt: '{PROMPT}'
ERROR 11-25 07:00:11 [x.py:5] torch.OutOfMemoryError: HIP out of memory. {PROMPT}
"""

COMPOSE = f"""\
services:
  vllm:
    image: registry.corp.example:5000/vllm/vllm-openai:v0.33.0
    command: --model x/y --api-key {PLANTED["VLLM_API_KEY"]}
    environment:
      HF_TOKEN: ${{HF_TOKEN}}
      CORPORATE: {PRIVATE_SETTING}
      SINK: {LOGIN_URL}
      COSMOS: {CONNECTION}
"""

FAKE = """#!/bin/sh
echo "cannot ask {url}: {token}, {cosmos} of annabella on plantedhost" >&2
echo 'v1 {token} Authorization: Bearer {bearer}'
exit 1
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project of somebody, with secrets wherever programs put theirs."""
    home = tmp_path / "home/annabella/planted-project"
    for path, text in IN_FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (home / "models").mkdir(parents=True)
    (home / ".workbench/logs").mkdir(parents=True)
    (home / ".workbench/api-key").write_text(KEY_OF_OURS)
    (home / ".workbench/logs/20261125-070000.000000-pocket.log").write_text(LOG)
    (home / ".workbench/boots.jsonl").write_text(_boot(f"embedded {home} {PLANTED['HF_TOKEN']}"))
    (home / "docker-compose.yml").write_text(COMPOSE)
    (home / ".env").write_text(
        "".join(f"{name}='{value}'\n" for name, value in PLANTED.items())
        + f"COSMOS='{CONNECTION}'\nLOGGING_ENDPOINT={LOGIN_URL}\nSOMETHING='{PRIVATE_SETTING}'\n"
    )
    _keep_requests(home / ".workbench/telemetry.db")
    return home


def _boot(key: str) -> str:
    phases = [{"name": "load weights", "began_s": 1.0, "ended_s": 3.5}]
    entry = {"at": "2026-11-25T07:00:00+00:00", "key": key, "total_s": 4.25, "phases": phases}
    odd = {"at": 1, "key": 2, "total_s": "x", "phases": [{"name": 3}]}
    return f"[]\n{json.dumps(odd)}\n{json.dumps(entry)}\ntorn {{\n"


def _keep_requests(path: Path) -> None:
    rows = [
        TelemetryRecord(
            id=f"{number:032x}",
            timestamp=f"2026-11-25T07:00:0{number}.000000Z",
            session="planted",
            model="pocket",
            base_url="http://127.0.0.1:8000/v1",
            prompt_hash="h1:00",
            duration_s=0.5,
            num_chunks=0,
            status=status,
            error_type=error,
            http_status=http,
            prompt=json.dumps([{"role": "user", "content": PROMPT}]),
        )
        for number, (status, error, http) in enumerate(
            [("ok", None, 200), ("error", "ContextLengthError", 400)]
        )
    ]
    with Telemetry(path, session="planted") as telemetry:
        telemetry.keep(rows)


def _fakes(folder: Path) -> Path:
    """Programs that say what they know, wherever they are asked."""
    folder.mkdir()
    told = {"url": LOGIN_URL, "token": PLANTED["HF_TOKEN"], "cosmos": CONNECTION}
    for name in ("docker", "node", "wslinfo"):
        program = folder / name
        program.write_text(FAKE.format(**told, bearer=PLANTED["LOGGING_ENDPOINT_TOKEN"]))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


def _report(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", "report", *options],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": f"{_fakes(home.parent / 'bin')}",
            "HOME": str(home.parent),
            "USER": "annabella",
            "HOSTNAME": "plantedhost",
            "WORKBENCH_HOME": str(home),
            "https_proxy": "http://anna10:PlantedPassword10@proxy.corp.example:3128",
            "HF_ENDPOINT": "http://127.0.0.1:9",
            "NOBODYS_API_KEY": PLANTED["HF_TOKEN"],
        },
    )


def _forms(secret: str) -> set[str]:
    """How it might get through, each without the ends that others change."""
    assert len(secret) > 8
    raw = secret.encode()
    inner = [base64.b64encode(b"x" * before + raw).decode()[4:-4] for before in range(3)]
    pieces = [secret[at : at + 8] for at in range(len(secret) - 7)]
    return {secret, quote(secret, safe=""), raw.hex(), secret[::-1], *inner, *pieces}


@pytest.mark.processes
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["markdown", "json"])
def test_no_planted_secret_gets_through(home: Path, options: list[str]):
    """Whole or in pieces, plain or encoded, in any case: nor who, where, and what was asked."""
    done = _report(home, *options)
    shown = done.stdout.lower()

    assert (done.returncode, done.stderr) == (0, "")
    assert {form for it in SECRETS for form in _forms(it) if form.lower() in shown} == set()
    assert [name for name in PEOPLE if name in shown] == []
    assert str(home.parent.parent).lower() not in shown


@pytest.mark.processes
def test_the_report_has_what_an_issue_needs(home: Path):
    """Versions, verdicts, what would run, boots, the log's cause, errors as kinds, requests."""
    told = json.loads(_report(home, "--json").stdout)

    assert {"workbench", "Python", "kernel", "Docker"} <= set(told["versions"])
    assert (told["server"]["backend"], told["server"]["state"]) == ("embedded", "stopped")
    assert {it["id"] for it in told["doctor"]["findings"]} >= {"docker-engine", "compose-file"}
    assert {"name": "hf_token", "value": "set", "from": ".env: HF_TOKEN"} in told["settings"]
    assert told["compose"]["would_run"][0]["image"].endswith("/vllm/vllm-openai:v0.33.0")
    assert told["boots"] == [
        {
            "at": "2026-11-25T07:00:00+00:00",
            "of": "embedded PROJECT ***",
            "total_s": 4.25,
            "phases": [{"name": "load weights", "took_s": 2.5}],
        }
    ]
    assert told["log"]["was_ready"]
    assert told["log"]["while_starting"][0]["id"] == "model-gated"
    assert told["log"]["since_ready"] == ["gpu-out-of-memory"]
    assert [(it["error_type"], it["http_status"]) for it in told["errors"]] == [
        ("ContextLengthError", 400)
    ]
    assert [(it["model"], it["requests"], it["errors"]) for it in told["requests"]] == [
        ("pocket", 2, 1)
    ]


@pytest.mark.processes
def test_a_report_is_written_into_a_file(home: Path, tmp_path: Path):
    """And the reader is told to read it first."""
    done = _report(home, "--out", str(tmp_path / "report.md"))
    text = (tmp_path / "report.md").read_text()

    assert (done.returncode, "Read it before" in done.stdout) == (0, True)
    assert text.startswith("## workbench report")
    assert text.count("\n### ") == 9


def test_what_breaks_is_a_line_of_the_report(tmp_path: Path):
    """A telemetry file that is none, a log that is elsewhere: the other sections are there."""

    def broken() -> pd.DataFrame:
        raise ValueError("file is not a database")

    settings = Session(base_url="http://127.0.0.1:9/v1", state_dir=str(tmp_path)).settings
    server = RemoteServer(settings.base_url or "", api_key=None)
    machine = Machine(tmp_path, {"PATH": ""})
    told = gather(settings, server, broken, machine=machine)
    shown = str(report_view(told))

    assert told.sections["errors"] == {"not_told": "ValueError: file is not a database"}
    assert "not_told" in told.sections["log"]
    assert "It could not be told: ValueError: file is not a database" in shown
    assert "### Doctor\n\nReady for:" in shown


def test_a_server_that_hangs_does_not_keep_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A Docker that takes connections and never answers: its sections say so."""
    monkeypatch.setattr(bundle, "LONGEST_S", 0.05)
    never = threading.Event()

    class Hanging(RemoteServer):
        def status(self) -> ServerStatus:
            never.wait()
            return super().status()

    settings = Session(base_url="http://127.0.0.1:9/v1", state_dir=str(tmp_path)).settings
    machine = Machine(tmp_path, {"PATH": ""})
    told = gather(settings, Hanging("http://127.0.0.1:9/v1"), pd.DataFrame, machine=machine)
    never.set()

    assert told.sections["server"] == {"not_told": "no answer in time"}
    assert told.sections["boots"] == []


def test_markdown_of_others_stays_text(tmp_path: Path):
    """A cell with a bar, a fence or a tag in it neither ends the table nor becomes HTML."""
    settings = Session(base_url="http://127.0.0.1:9/v1", state_dir=str(tmp_path)).settings
    frame = pd.DataFrame({"status": ["error"], "model": ["a|b`<img src=x>\nc"]})
    server = RemoteServer(settings.base_url or "", api_key=None)
    told = gather(settings, server, lambda: frame, machine=Machine(tmp_path, {"PATH": ""}))

    assert "| a\\|b'&lt;img src=x> c | error |" in str(report_view(told))


def test_a_boot_that_failed_is_told_with_its_line():
    """How far it came and why; the log was written by a boot that nothing was asked of."""
    told = past.last_log(
        ["INFO x Starting to load model", "ERROR ValueError: No available memory for the cache"]
    )

    assert (told["was_ready"], told["reached"]) == (False, "load weights")
    assert told["since_ready"] == []


def test_a_log_without_its_beginning_is_not_quoted():
    """Docker rotates logs: what stands first may be an answer to somebody."""
    told = past.last_log(
        [
            'INFO: 127.0.0.1 - "POST /v1/chat/completions HTTP/1.1" 200 OK',
            "ERROR x torch.OutOfMemoryError: HIP out of memory. my landlord",
        ]
    )

    assert (told["was_ready"], told["while_starting"]) == (True, [])
    assert told["since_ready"] == ["gpu-out-of-memory"]
