"""The receiving end of LOGGING_ENDPOINT, over real HTTP: what it takes, keeps and refuses."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import eventually
from tests.telemetry.sinks_for_tests import These
from workbench import sidecar as sidecars
from workbench.errors import ConfigError
from workbench.records import fields_of
from workbench.session import Session
from workbench.sidecar import sidecar
from workbench.telemetry import Telemetry
from workbench.telemetry import receiver as receiving
from workbench.telemetry.receiver import Receiver
from workbench.telemetry.record import TelemetryRecord
from workbench.telemetry.sinks.document import SCHEMA
from workbench.telemetry.sinks.http import HttpSink

MINIMAL = {
    "id": "a-1",
    "timestamp": "2026-11-25T10:00:00+01:00",
    "model": "pocket",
    "status": "ok",
    "duration_s": 0.5,
}


def record(number: int, **changes: Any) -> TelemetryRecord:
    """A record with something in every kind of column."""
    usual: dict[str, Any] = {
        "id": f"{number:032x}",
        "timestamp": "2026-11-25T09:00:00.000000Z",
        "session": "s",
        "model": "pocket",
        "prompt_hash": "h1:00",
        "status": "ok",
        "duration_s": 1.5,
        "num_chunks": 3,
        "streamed": True,
        "top_k": 20,
        "stop": '["\\n"]',
        "tags": '{"team": "blue"}',
        "ttft_s": 0.25,
    }
    return TelemetryRecord(**usual | changes)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    with Session() as session:
        yield session


@pytest.fixture
def receiver(session: Session) -> Iterator[Receiver]:
    with sidecar(session, host="127.0.0.1", port=0) as running:
        yield running


def post(
    receiver: Receiver, body: object, path: str = "/logs", **headers: str
) -> tuple[int, dict[str, Any]]:
    """POST once; a body that is no bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(*receiver.server_address[:2], timeout=10)
    connection.request("POST", path, data, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def batch(*records: object) -> dict[str, object]:
    return {"schema": SCHEMA, "records": list(records)}


def test_what_a_sink_sends_is_what_is_kept(receiver: Receiver, session: Session):
    """Field by field, from our own sink over HTTP into another folder's file; twice is once."""
    sent = [record(1), record(2, status="error", error_type="RateLimitedError", http_status=429)]
    sink = HttpSink("http://{}:{}/logs".format(*receiver.server_address[:2]))

    sink.send(sent)
    sink.send(sent)
    sink.close()

    kept = list(session.telemetry.tail(last=10, follow=False))
    assert [fields_of(each) for each in kept] == [fields_of(each) for each in sent]


def test_another_programs_record_needs_little(receiver: Receiver, session: Session):
    """What only our client counts may be missing; times become UTC; newer fields are dropped."""
    assert post(receiver, batch(MINIMAL | {"of_tomorrow": 1})) == (
        200,
        {"accepted": 1, "new": 1, "unknown_fields": 1},
    )

    [kept] = session.telemetry.tail(last=1, follow=False)
    assert kept.timestamp == "2026-11-25T09:00:00.000000Z"
    assert (kept.session, kept.num_chunks, kept.input_tokens) == ("unknown", 0, None)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": "../x"}, "id is '../x'"),
        ({"status": "fine"}, "status is 'fine', and one of ok, error, interrupted"),
        ({"timestamp": "yesterday"}, "timestamp is 'yesterday'"),
        ({"duration_s": "1"}, "duration_s is '1', and no float"),
        ({"input_tokens": 1.5}, "input_tokens is 1.5, and no int"),
        ({"input_tokens": True}, "input_tokens is True, and no int"),
        ({"output_tokens": 2**63}, "output_tokens is"),
        ({"ttft_s": 10**400}, "ttft_s is 1000"),
        ({"model": "\ud800"}, "model is '\\ud800', and no str"),
        ({"stop": "\ud800"}, "stop is '\\ud800', and no str"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, "timestamp is '0001"),
        ({"timestamp": 20261125}, "timestamp is 20261125"),
        ({"model": None}, "model is missing"),
    ],
)
def test_an_odd_record_is_named_and_nothing_of_its_batch_is_kept(
    receiver: Receiver, session: Session, changes: dict[str, object], why: str
):
    """By its index and with the reason, so that a sender can halve the batch."""
    status, said = post(receiver, batch(MINIMAL, MINIMAL | {"id": "a-2"} | changes))

    assert (status, said["accepted"]) == (422, 0)
    [reason] = said["rejected"]
    assert (reason["index"], reason["id"]) == (1, (MINIMAL | {"id": "a-2"} | changes)["id"])
    assert reason["why"].startswith(why)
    assert len(session.telemetry.frame()) == 0


def test_our_sender_finds_the_odd_one(
    receiver: Receiver, session: Session, tmp_path: Path, quick_courier: None
):
    """From one file to the other: those around it arrive, and it is said which was refused."""
    sent = [record(number) for number in range(8)]
    sent[5] = record(5, status="fine")
    sink = HttpSink("http://{}:{}/logs".format(*receiver.server_address[:2]))
    theirs = Telemetry(tmp_path / "theirs.db", session="there", destinations=These(sink))
    with theirs:
        theirs.keep(sent)
        assert not theirs.deliver()
        [status] = theirs.stored().sinks

    assert (status.sent, status.rejected) == (7, 1)
    assert "status is 'fine'" in (status.last_error or "")
    assert len(session.telemetry.frame()) == 7


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"{}", {}, 400),
        (b'{"schema": "other/1", "records": []}', {}, 422),
        (b"{}", {"Content-Encoding": "br"}, 415),
        (b"no gzip", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"x" * 5000)[:12] + b"\xff" * 9, {"Content-Encoding": "gzip"}, 400),
        (b'[{"message": NaN}]', {}, 400),
        (b"{}", {"Content-Length": "\xb2"}, 411),
        (b"[]", {"Content-Type": "text/plain"}, 415),
        (b"[]", {"Content-Type": ""}, 415),
        (b"[]", {"Host": "attacker.example:5000"}, 403),
        (b"[]", {"Host": "127.attacker.example"}, 403),
        (b"[]", {"Host": "[::1"}, 403),
        (b"{}", {"Content-Length": "99999999999"}, 413),
    ],
)
def test_what_is_no_batch_is_refused_with_its_status(receiver: Receiver, body, headers, status):
    """And the server goes on."""
    assert post(receiver, body, **headers)[0] == status
    assert post(receiver, batch(MINIMAL))[0] == 200


def test_a_packed_body_is_limited_by_what_it_holds(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    """A thousandth of it came over the network."""
    monkeypatch.setattr(receiving, "MAX_UNPACKED_BYTES", 100_000)
    bomb = gzip.compress(b" " * 200_000)

    assert post(receiver, bomb, **{"Content-Encoding": "gzip"})[0] == 413
    packed = gzip.compress(json.dumps(batch(MINIMAL)).encode())
    assert post(receiver, packed, **{"Content-Encoding": "gzip"})[0] == 200


def test_other_paths_and_methods_say_what_there_is(receiver: Receiver):
    """GET /health is for a health check."""
    connection = http.client.HTTPConnection(*receiver.server_address[:2], timeout=10)
    seen = []
    for path in ("/health", "/logs", "/"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        seen.append(answer.status)
    connection.close()

    assert seen == [200, 405, 404]
    assert post(receiver, b"{}", path="/v1")[0] == 404
    assert post(receiver, b"{}", path="/health")[0] == 405
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        connection.request(method, "/logs")
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    connection.close()


def test_vllms_log_lines_go_into_a_file_of_their_own(receiver: Receiver, session: Session):
    """As the container ships them; the file does not grow without end."""
    receiver.log_bytes = 40
    for number in range(3):
        assert post(receiver, [{"message": f"line {number}"}])[0] == 200
    log = session.settings.state_dir / "logs" / "received.jsonl"

    assert [json.loads(line)["message"] for line in log.read_text().splitlines()] == ["line 2"]
    assert log.with_suffix(".old").exists()
    assert receiver.log_lines == 3


def test_a_client_that_says_nothing_holds_nobody_up(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    """It is left after a while, and others are answered meanwhile."""
    monkeypatch.setattr(receiving._Answers, "timeout", 0.3)
    with socket.create_connection(receiver.server_address[:2]) as slow:
        head = (
            b"POST /logs HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        )
        slow.sendall(head + b"{")
        assert post(receiver, batch(MINIMAL))[0] == 200
        slow.settimeout(5)
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_comes_byte_by_byte_is_cut_off(receiver: Receiver):
    """No single wait is long; its head and its body are the same to it."""
    receiver.request_s = 0.3
    for begun in (b"", b"POST /logs HTTP/1.1\r\nContent-Type: application/json\r\n"):
        with socket.create_connection(receiver.server_address[:2]) as slow:
            slow.sendall(begun or b"P")
            assert eventually(lambda slow=slow: is_cut_off(slow))


def is_cut_off(slow: socket.socket) -> bool:
    """Send one more byte."""
    try:
        slow.sendall(b"X")
    except OSError:
        return True
    return False


@pytest.mark.parametrize("megabytes", [1, 4, 20])
def test_who_is_refused_hears_why_however_much_it_sends(session: Session, megabytes: int):
    """A broken pipe would look like an outage, and the same be sent for ever."""
    with (
        Session(logging_endpoint_token="open-sesame") as told,
        sidecar(told, host="127.0.0.1", port=0) as running,
    ):
        body = b" " * (megabytes * 2**20)

        assert post(running, body)[0] == 401
        status = post(running, body, Authorization="Bearer open-sesame")[0]
        assert status == (413 if megabytes == 20 else 400)


def test_our_sender_halves_what_is_too_large(
    receiver: Receiver, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Ten MB that cannot be packed, where two are taken."""
    monkeypatch.setattr(receiving, "MAX_BODY_BYTES", 2 * 2**20)
    sent = [record(n, prompt=json.dumps(os.urandom(500_000).hex())) for n in range(20)]
    sink = HttpSink("http://{}:{}/logs".format(*receiver.server_address[:2]))
    theirs = Telemetry(tmp_path / "theirs.db", session="there", destinations=These(sink))
    with theirs:
        theirs.keep(sent)
        assert theirs.deliver()

    assert len(session.telemetry.frame()) == 20


def test_ten_megabytes_of_records_are_taken(receiver: Receiver):
    """As a whole, within the limits."""
    many = [MINIMAL | {"id": f"a-{n}", "prompt": ["x" * 50_000]} for n in range(200)]

    assert post(receiver, batch(*many))[1]["new"] == 200


def test_a_mistake_in_here_is_an_answer_too(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    """500 is tried again later; no answer at all would be an outage."""

    def broken(_records: object) -> int:
        raise KeyError("oops")

    monkeypatch.setattr(receiver, "keep", broken)

    assert post(receiver, batch(MINIMAL))[0] == 500


def test_with_a_token_only_who_has_it_may_write(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """401 for everybody else; without one it listens on this machine only."""
    with (
        Session(logging_endpoint_token="open-sesame") as told,
        sidecar(told, host="127.0.0.1", port=0) as running,
    ):
        assert post(running, batch(MINIMAL))[0] == 401
        assert post(running, batch(MINIMAL), Authorization="Bearer wrong")[0] == 401
        assert post(running, batch(MINIMAL), Authorization="Bearer open-sesame")[0] == 200
    with pytest.raises(ConfigError, match="everybody"), sidecar(session, host="0.0.0.0", port=0):
        pass


@pytest.mark.parametrize(
    ("host", "port", "endpoint"),
    [
        ("127.0.0.1", 5055, "http://localhost:5055/logs"),
        ("0.0.0.0", 5055, "http://localhost:5055/logs"),
        ("0.0.0.0", 5055, f"http://{socket.gethostname()}:5055/logs"),
        ("127.0.0.1", 80, "http://127.0.0.1/logs"),
    ],
)
def test_it_does_not_send_to_itself(session: Session, host: str, port: int, endpoint: str):
    """LOGGING_ENDPOINT of the machine that receives would be a circle, whatever it is called."""
    with (
        Session(logging_endpoint=endpoint, logging_endpoint_token="open-sesame") as told,
        pytest.raises(ConfigError, match="sent to itself"),
        sidecar(told, host=host, port=port),
    ):
        pass


def test_what_was_received_goes_on_to_the_sinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same outbox as for our own requests."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    on = tmp_path / "on.jsonl"
    with Session(telemetry_jsonl=str(on)) as told:
        with sidecar(told, host="127.0.0.1", port=0) as running:
            post(running, batch(MINIMAL))

        assert eventually(lambda: on.exists() and "a-1" in on.read_text())


@pytest.mark.processes
def test_what_was_answered_outlives_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """200 means that it is on the disk; SIGTERM ends it without a word of trouble."""
    environ = {**os.environ, "WORKBENCH_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    for signum, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 128 + 15)):
        child = subprocess.Popen(
            [sys.executable, "-m", "workbench", "telemetry", "serve", "--port", "0"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stdout
        port = int(re.search(r":(\d+)/logs", child.stdout.readline())[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        body = json.dumps(batch(MINIMAL | {"id": f"sent-{int(signum)}"}))
        connection.request("POST", "/logs", body, {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200  # and it is kept open
        child.send_signal(signum)
        _, errors = child.communicate(timeout=20)
        connection.close()
        assert (child.returncode, "Traceback" in errors) == (code, False)

    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    with Session() as session:
        ids = {each.id for each in session.telemetry.tail(last=10, follow=False)}
    assert ids == {"sent-9", "sent-15"}


@pytest.mark.parametrize("endpoint", ["http://localhost:99999/logs", "http://[::1/logs"])
def test_an_endpoint_that_is_no_address_stops_no_receiver(tmp_path: Path, endpoint: str):
    """Its sink says what is wrong with it."""
    with (
        Session(state_dir=str(tmp_path), logging_endpoint=endpoint) as session,
        sidecar(session, host="127.0.0.1", port=0) as receiver,
    ):
        assert post(receiver, batch(MINIMAL))[0] == 200


def test_the_other_loopback_address_is_this_machine_too():
    """No token is asked for."""
    for host in ("::1", "127.0.0.1", "localhost"):
        sidecars._refuse_open_door(host, None)
    for host in ("::", "0.0.0.0", "fe80::1"):
        with pytest.raises(ConfigError, match="could write records"):
            sidecars._refuse_open_door(host, None)
