"""A server that somebody else runs: attached to, told apart, never stopped."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from workbench.errors import (
    AuthenticationError,
    ModelNotServedError,
    ServerStateError,
    ServerUnreachableError,
)
from workbench.records import ServerState
from workbench.session import Session

KEY = "sk-remote"


class Elsewhere(BaseHTTPRequestHandler):
    """As much of an OpenAI-compatible server as attaching to one asks for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {KEY}" and "/v1/" in self.path:
            self._send(401, {"error": "Unauthorized"})
        elif self.path == "/v1/models":
            self._send(200, {"data": [{"id": "llama", "max_model_len": 8192}]})
        else:
            self._send(200 if self.path == "/health" else 404, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body["model"])
        self._send(200, {"choices": [{"text": "x"}]})

    def _send(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def url(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    Elsewhere.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_up_attaches_and_decodes_a_token(url: str):
    """Ready means the same as at home: listed, and a token came."""
    with Session(base_url=url, api_key=KEY) as session:
        status = session.up()

        assert (status.state, status.backend) == (ServerState.READY, "remote")
        assert Elsewhere.asked == ["llama"]
        assert session.down(only_mine=True) is False


def test_it_is_never_stopped_and_has_no_log_here(url: str):
    """What somebody else runs is theirs."""
    with Session(base_url=url, api_key=KEY) as session:
        with pytest.raises(ServerStateError, match="never stops it"):
            session.down()
        with pytest.raises(ServerStateError, match="its own machine"):
            session.logs()


def test_a_wrong_key_is_told_from_a_server_that_is_down(url: str):
    """The status is a status; ``up`` names the setting."""
    with Session(base_url=url, api_key="sk-wrong") as session:
        status = session.status()
        assert (status.healthy, status.state) == (True, ServerState.STOPPED)
        assert "401" in str(status.detail)

        with pytest.raises(AuthenticationError) as caught:
            session.up()

    assert "WORKBENCH_API_KEY" in str(caught.value.hint)
    assert "sk-wrong" not in str(caught.value)


def test_a_model_that_is_not_there_is_said_at_once(url: str):
    """Not at the first request: when it is attached to."""
    with (
        Session(base_url=url, api_key=KEY, model="qwen") as session,
        pytest.raises(ModelNotServedError) as caught,
    ):
        session.up()

    assert caught.value.served == ("llama",)


def test_a_server_that_is_down_is_unreachable(project: Path, monkeypatch: pytest.MonkeyPatch):
    """Status says so without an error; up says what to check."""
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    with Session(base_url="http://127.0.0.1:9/v1") as session:
        assert session.status().state is ServerState.STOPPED
        with pytest.raises(ServerUnreachableError, match=r"127\.0\.0\.1:9"):
            session.up()
