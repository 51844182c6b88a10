"""What is made of a Docker Engine's answers, and of there being none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.servers.scripted_docker import Engine, details, docker_of
from workbench.errors import BackendUnavailableError
from workbench.failures import diagnose
from workbench.records import Death
from workbench.servers.containers import Docker
from workbench.servers.docker_facts import FOLDER, Ended

NINE = 1_795_510_800
"""The 24th of November 2026, 09:00 UTC: an hour before the scripted containers' last start."""


class Daemon(ThreadingHTTPServer):
    """A Docker Engine that begins every pull and then says nothing, and is broken otherwise."""

    daemon_threads = True
    over: threading.Event


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/version":
            self.answer(200, {"ApiVersion": "1.45"})
        else:
            self.answer(500, {"message": "layer store: read-only file system"})

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        line = b'{"status": "Downloading", "id": "aaa"}\r\n'
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.server.over.wait(10)

    def answer(self, status: int, said: object) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Daemon]:
    """The engine that Docker's environment names, with a configuration of one's own."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with Daemon(("127.0.0.1", 0), Answers) as server:
        server.over = threading.Event()
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_address[1]}")
        yield server
        server.over.set()
        server.shutdown()


def test_a_pull_that_stalls_ends(daemon: Daemon):
    """The registry keeps the line open and sends nothing: that is no pull any more."""
    events = Docker().pull("vllm:test", silence_s=0.1)

    assert next(events)["id"] == "aaa"
    with pytest.raises(OSError, match="nothing was said for 0 s") as caught:
        next(events)
    assert diagnose([str(caught.value)]).id == "pull-cut-off"


@pytest.mark.filterwarnings("ignore:docker-credential")  # the SDK says it twice
def test_a_password_store_that_is_not_there_is_named(daemon: Daemon, tmp_path: Path):
    """Docker Desktop leaves its own in the configuration of WSL."""
    (tmp_path / "config.json").write_text('{"credsStore": "desktop.exe"}')

    with pytest.raises(OSError, match=r"docker-credential-desktop\.exe not installed") as caught:
        next(Docker().pull("vllm:test"))
    assert "credsStore" in diagnose([str(caught.value)]).fix


def test_what_the_engine_refuses_is_said_in_its_words(daemon: Daemon):
    """It answers, so that starting it would be the wrong advice."""
    with pytest.raises(BackendUnavailableError, match="layer store: read-only") as caught:
        Docker().has_image("vllm")

    assert "systemctl start" not in str(caught.value)


@pytest.mark.parametrize("where", ["environment", "configuration"])
def test_a_context_that_does_not_exist_is_said(tmp_path: Path, monkeypatch, where: str):
    """As the ``docker`` command has it: DOCKER_CONTEXT, else the configuration's."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    if where == "environment":
        monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    else:
        (tmp_path / "config.json").write_text('{"currentContext": "gone"}')

    with pytest.raises(BackendUnavailableError, match="a context that does not exist") as caught:
        Docker().has_image("vllm")
    assert "docker context ls" in caught.value.hint


def test_an_engine_elsewhere_is_not_started_here(monkeypatch, tmp_path: Path):
    """Who names an address may have named the wrong one."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")

    with pytest.raises(BackendUnavailableError, match="No Docker Engine answers at") as caught:
        Docker().has_image("vllm")

    assert "DOCKER_HOST names that address" in caught.value.hint
    assert "systemctl start" not in caught.value.hint


def test_docker_host_wins_over_every_context(daemon: Daemon, monkeypatch):
    """As with the ``docker`` command."""
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")

    with pytest.raises(BackendUnavailableError, match="The Docker Engine refuses"):
        Docker().has_image("vllm")


def test_strangers_containers_are_not_looked_into(tmp_path: Path):
    """Whatever they look like inside: their labels say whose they are."""
    engine = Engine(details(tmp_path, id="mine"), details(tmp_path / "other", id="other"))
    docker = docker_of(engine)

    assert [each.id for each in docker.containers(["cpu"], folder=tmp_path)] == ["mine"]
    assert engine.asked == [("inspect", "mine")]
    assert {each.project_dir for each in docker.listed(["cpu"])} == {tmp_path, tmp_path / "other"}
    assert docker.listed(["cuda"]) == []


def test_only_what_has_composes_labels_is_asked_for(tmp_path: Path, monkeypatch):
    """Other programs write the service's and not the folder's."""
    engine, options = Engine(), {}
    monkeypatch.setattr(engine, "containers", lambda **given: options.update(given) or [])

    docker_of(engine).listed(["cpu"])

    assert FOLDER in options["filters"]["label"]


def test_a_log_is_that_of_the_last_start(tmp_path: Path):
    """What an earlier start died of is not what this one did; Docker says late that it started."""
    engine = Engine(details(tmp_path, Status="exited"))
    docker = docker_of(engine)
    [container] = docker.containers(["cpu"], folder=tmp_path)

    assert docker.log_tail(container, 5) == ["one"]
    [(_, options)] = [each for each in engine.asked if each[0] == "logs"]
    assert options == {"tail": 5, "since": container.started_at.timestamp() - 0.1}


def told(*actions: str) -> Death | None:
    """Feed events; ``die 1`` has its exit status with it."""
    ended = Ended()
    for event in events(*actions):
        ended.feed(event)
    return ended.death


def events(*actions: str) -> list[dict]:
    """Write events as the daemon does, a second between them."""
    made = []
    for at_s, action in enumerate(actions, NINE):
        name, _, code = action.partition(" ") if action.startswith("die") else (action, "", "")
        attributes = {"Attributes": {"exitCode": code}}
        made.append({"Action": name, "Actor": attributes, "timeNano": at_s * 10**9})
    return made


@pytest.mark.parametrize(
    ("events", "death"),
    [
        (["start"], None),
        (["start", "die 1"], Death(1)),
        # Docker starts it again, and we end that second life: the first death is the cause.
        (["start", "die 1", "start", "kill", "die 137"], Death(1)),
        (["start", "kill", "die 143"], None),
        (["start", "kill", "kill", "die 137"], None),
        (["start", "oom", "die 137"], Death(137, oom_killed=True)),
        # It recovered; what it died of then is not what ended it now.
        (["start", "die 139", "start", "health_status: healthy", "kill", "die 0"], None),
        (["start", "oom", "die 137", "start", "die 1"], Death(1)),
    ],
)
def test_a_death_that_was_asked_for_is_none(events, death):
    """Stopping is not dying, and a death is remembered until it is healthy again."""
    assert told(*events) == death


def test_the_log_of_a_death_outlasts_the_start_that_was_ended_after_it(tmp_path: Path):
    """Docker had started it again, which was no use: what it died of is in the log before."""
    engine = Engine(details(tmp_path, Status="exited", ExitCode=137))
    engine.told = events("start", "die 1", "start", "die 2", "start", "kill", "die 137")
    docker = docker_of(engine)
    [container] = docker.containers(["cpu"], folder=tmp_path)

    docker.log_tail(container, 5)

    # From the death before that one on.
    [(_, options)] = [each for each in engine.asked if each[0] == "logs"]
    assert options["since"] == NINE + 1
