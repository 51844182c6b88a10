"""vLLM's log, sent to a real HTTP server: in order, without ever holding up who logs."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from subprocess import CompletedProcess
from typing import Any

import outbox
import pytest
import ship_logs

from tests.container.collector import Collector
from tests.helpers import eventually

Collect = Callable[..., Collector]
RunProgram = Callable[..., CompletedProcess[str]]
MakeShipper = Callable[[Collector], outbox.Shipper]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that are made for networks are too long for loopback."""
    monkeypatch.setattr(outbox, "BATCH_S", 0.05)
    monkeypatch.setattr(outbox, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(outbox, "LONGEST_PAUSE_S", 0.05)


@pytest.fixture
def ship_to() -> Iterator[MakeShipper]:
    """Make shippers, which are closed after the test, before their endpoints are."""
    made: list[outbox.Shipper] = []

    def make(collector: Collector) -> outbox.Shipper:
        made.append(outbox.Shipper(outbox.Endpoint.of({"LOGGING_ENDPOINT": collector.url})))
        return made[-1]

    yield make
    for shipper in made:
        shipper.close()


def record(message: str, *args: object, **facts: Any) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"msg": message, "args": args, "name": "vllm.engine", "levelname": "INFO", **facts}
    )


def put(shipper: outbox.Shipper, count: int) -> list[str]:
    messages = [f"record {number}" for number in range(count)]
    for message in messages:
        shipper.put(record(message))
    return messages


def test_records_arrive_once_and_in_order(collect: Collect, ship_to: MakeShipper):
    """In batches of no more than a hundred."""
    collector = collect()

    sent = put(ship_to(collector), 250)

    assert eventually(lambda: len(collector.messages) >= 250)
    assert collector.messages == sent
    assert max(len(batch) for _path, _headers, batch in collector.requests) <= 100


def test_a_record_carries_what_a_reader_needs(collect: Collect, ship_to: MakeShipper):
    """1 700 000 000.25 s after the epoch is 22:13:20.250 UTC on 14 November 2023."""
    collector = collect()
    shipper = ship_to(collector)

    shipper.put(record("%s of %d", "one", 2, created=1_700_000_000.25, process=7, processName="W"))

    assert eventually(lambda: collector.records)
    assert collector.records == [
        {
            "timestamp": "2023-11-14T22:13:20.250Z",
            "level": "INFO",
            "logger": "vllm.engine",
            "message": "one of 2",
            "process": "W",
            "pid": 7,
            "source": "vllm",
        }
    ]
    path, headers, _batch = collector.requests[0]
    assert (path, headers["Content-Type"]) == ("/logs", "application/json")


def test_an_exception_is_sent_as_text(collect: Collect, ship_to: MakeShipper):
    """With its traceback, as it is in the log."""
    collector = collect()
    try:
        raise ValueError("no room")
    except ValueError:
        ship_to(collector).put(record("failed", exc_info=sys.exc_info()))

    assert eventually(lambda: collector.records)
    text = collector.records[0]["exc_info"]
    assert text.startswith("Traceback (most recent call last):")
    assert text.endswith("ValueError: no room")


def test_what_was_logged_before_the_endpoint_was_up_arrives(
    collect: Collect, ship_to: MakeShipper, capsys: pytest.CaptureFixture[str]
):
    """And the two turns are said, once each, with what helps."""
    gone = collect()
    gone.close()
    shipper = ship_to(gone)
    sent = put(shipper, 3)
    assert eventually(lambda: shipper._pause_s == outbox.LONGEST_PAUSE_S)

    back = collect(port=gone.port)

    assert eventually(lambda: len(back.messages) >= 3)
    assert back.messages == sent
    said: list[str] = []
    assert eventually(lambda: said.extend(capsys.readouterr().err.splitlines()) or len(said) > 1)
    assert [line.partition(": ")[2] for line in said] == [
        f"vLLM's log does not reach {gone.url}: Connection refused. It is tried again. "
        "Inside a container localhost is the container; "
        "this machine is http://host.docker.internal:PORT there.",
        f"vLLM's log reaches {gone.url} again; records dropped: 0.",
    ]


def test_an_endpoint_that_holds_a_request_holds_nobody_who_logs(
    collect: Collect, ship_to: MakeShipper
):
    """All of it is taken while the first request is still without an answer."""
    collector = collect()
    collector.open.clear()
    shipper = ship_to(collector)
    shipper.put(record("first"))
    assert collector.asked.wait(10)

    sent = put(shipper, 500)

    assert collector.messages == []
    collector.open.set()
    assert eventually(lambda: len(collector.messages) >= 501)
    assert collector.messages == ["first", *sent]


def test_what_does_not_fit_into_the_queue_is_dropped_and_counted(
    collect: Collect,
    ship_to: MakeShipper,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """The newest go: how a trouble began is worth more than how it went on."""
    monkeypatch.setattr(outbox, "QUEUE_RECORDS", 3)
    collector = collect()
    collector.open.clear()
    shipper = ship_to(collector)
    shipper.put(record("first"))
    assert collector.asked.wait(10)

    sent = put(shipper, 10)
    collector.open.set()

    assert eventually(lambda: len(collector.messages) >= 4)
    assert collector.messages == ["first", *sent[:3]]
    assert shipper.dropped == 7
    assert eventually(lambda: "records dropped: 7." in capsys.readouterr().err)


def test_a_batch_that_is_refused_does_not_block_the_next(
    collect: Collect, ship_to: MakeShipper, capsys: pytest.CaptureFixture[str]
):
    """HTTP 400 would be the answer for ever; it is said and counted."""
    collector = collect(400)
    shipper = ship_to(collector)
    shipper.put(record("refused"))
    assert eventually(lambda: shipper.dropped == 1)

    shipper.put(record("taken"))

    assert eventually(lambda: len(collector.messages) >= 2)
    assert collector.messages == ["refused", "taken"]
    assert "it answers HTTP 400.\n" in capsys.readouterr().err


def test_a_server_that_is_overloaded_is_asked_again(collect: Collect, ship_to: MakeShipper):
    """HTTP 503 and 429 pass."""
    collector = collect(503, 429)
    shipper = ship_to(collector)

    shipper.put(record("wanted"))

    assert eventually(lambda: len(collector.messages) >= 3)
    assert collector.messages == ["wanted"] * 3
    assert shipper.dropped == 0


def test_a_redirect_is_not_followed(collect: Collect, ship_to: MakeShipper):
    """urllib would make it a GET without the records, and take the token elsewhere."""
    collector = collect(302)
    shipper = ship_to(collector)

    shipper.put(record("once"))

    assert eventually(lambda: shipper.dropped == 1)
    assert collector.gets == 0


def test_a_record_that_cannot_be_formatted_costs_only_itself(
    collect: Collect, ship_to: MakeShipper
):
    """Logging never raises in the code that logs."""
    collector = collect()
    shipper = ship_to(collector)

    shipper.put(record("%d", "no number"))
    shipper.put(record("next"))

    assert eventually(lambda: collector.messages)
    assert collector.messages == ["next"]
    assert shipper.dropped == 1


def test_what_the_sending_logs_is_not_sent(
    collect: Collect, ship_to: MakeShipper, monkeypatch: pytest.MonkeyPatch
):
    """Each record would otherwise make the next one, without end."""
    collector = collect()
    shipper = ship_to(collector)
    post = shipper._post

    def chatty(body: bytes) -> object:
        shipper.put(record("sending"))
        return post(body)

    monkeypatch.setattr(shipper, "_post", chatty)
    shipper.put(record("first"))
    assert eventually(lambda: collector.messages)
    shipper.put(record("second"))

    assert eventually(lambda: len(collector.messages) >= 2)
    assert collector.messages == ["first", "second"]


def test_only_the_level_asked_for_and_above_is_shipped(
    collect: Collect, ship_to: MakeShipper, monkeypatch: pytest.MonkeyPatch
):
    """The stream has everything, as before."""
    monkeypatch.setenv("LOGGING_LEVEL", "warning")
    collector, stream = collect(), io.StringIO()
    handler = ship_logs.ShippingHandler(stream, ship_to(collector))

    handler.handle(record("fine", levelno=logging.INFO))
    handler.handle(record("odd", levelno=logging.WARNING))

    assert stream.getvalue() == "fine\nodd\n"
    assert eventually(lambda: collector.messages)
    assert collector.messages == ["odd"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_the_hosts_loopback_is_meant_not_the_containers(host: str):
    """A proxy does not know that name."""
    endpoint = outbox.Endpoint.of({"LOGGING_ENDPOINT": f"http://{host}:5000/logs?x=1"})

    assert endpoint.url == "http://host.docker.internal:5000/logs?x=1"
    assert endpoint.direct


@pytest.mark.parametrize(
    ("url", "token", "authorization"),
    [
        ("https://logs.example/in", "", None),
        ("https://me:p%40ss@logs.example/in", "", "Basic bWU6cEBzcw=="),  # base64 of me:p@ss
        ("https://me:p%40ss@logs.example/in", "t0ken", "Bearer t0ken"),
    ],
)
def test_credentials_go_into_a_header_and_nowhere_else(
    url: str, token: str, authorization: str | None
):
    """What is printed has neither them nor the query."""
    endpoint = outbox.Endpoint.of(
        {"LOGGING_ENDPOINT": f"{url}?key=1", "LOGGING_ENDPOINT_TOKEN": token}
    )

    assert endpoint.headers.get("Authorization") == authorization
    assert endpoint.url == "https://logs.example/in?key=1"
    assert endpoint.shown == "https://logs.example/in"


@pytest.mark.parametrize(
    "written", ["--disable-access-log-for-endpoints", "--disable_access_log_for_endpoints"]
)
def test_paths_that_vllm_was_told_to_keep_quiet_stay_so(
    written: str, monkeypatch: pytest.MonkeyPatch
):
    """vLLM itself forgets that flag over a log configuration."""
    monkeypatch.setattr(sys, "argv", ["vllm", "serve", "m", "-x", written, "/health, /metrics"])
    quiet = ship_logs.QuietPaths()
    text = '%s - "%s %s HTTP/%s" %d'

    shown = [
        path
        for path in ("/health", "/metrics?x=1", "/v1/models")
        if quiet.filter(record(text, "127.0.0.1:1", "GET", path, "1.1", 200))
    ]

    assert shown == ["/v1/models"]


AS_VLLM_DOES = """
import json, logging.config, multiprocessing, os, sys, types

vllm = sys.modules["vllm.logger"] = types.ModuleType("vllm.logger")
vllm.DEFAULT_LOGGING_CONFIG = {
    "formatters": {"vllm": {"()": logging.Formatter, "fmt": "(vLLM's own) %(message)s"}},
    "handlers": {"vllm": {"class": "logging.StreamHandler", "formatter": "vllm",
                          "level": "INFO", "stream": "ext://sys.stdout"}},
    "loggers": {"vllm": {"level": "INFO"}},
}
with open(os.environ["CONFIG"]) as file:
    config = json.load(file)
logging.config.dictConfig(config)
log = logging.getLogger("vllm.engine")
"""

FORKS = (
    AS_VLLM_DOES
    + """
log.info("before")
for name in ("EngineCore", "Worker"):
    child = multiprocessing.get_context("fork").Process(
        target=log.info, args=("in the child",), name=name)
    child.start()
    child.join()
log.info("after")
"""
)

TWICE = (
    AS_VLLM_DOES
    + """
log.info("before")
uvicorn = sys.modules["uvicorn.config"] = types.ModuleType("uvicorn.config")
uvicorn.LOGGING_CONFIG = {
    "formatters": {"default": {"format": "(uvicorn's own) %(message)s"},
                   "access": {"format": "(uvicorn's access) %(message)s"}},
    "handlers": {
        "default": {"class": "logging.StreamHandler", "formatter": "default",
                    "stream": "ext://sys.stderr"},
        "access": {"class": "logging.StreamHandler", "formatter": "access",
                   "stream": "ext://sys.stdout"}},
}
logging.config.dictConfig(json.loads(json.dumps(config)))
log.info("after")
log.debug("too low for vLLM")
logging.getLogger("uvicorn.error").info("Application startup complete.")
logging.getLogger("uvicorn.access").info("GET /v1/models")
print([handler.name for handler in logging.getLogger("vllm").handlers])
"""
)

HELD = (
    AS_VLLM_DOES
    + """
import outbox
outbox.EXIT_S = 0.1
log.info("never answered")
"""
)


@pytest.fixture
def config(pytestconfig: pytest.Config) -> str:
    return str(pytestconfig.rootpath / "container" / "logging.json")


@pytest.mark.processes
def test_a_process_and_its_forks_each_send_their_own_once(
    collect: Collect, run_program: RunProgram, config: str
):
    """Nothing waits in this program: each process sends at its exit, forked ones too."""
    collector = collect()

    ran = run_program(FORKS, LOGGING_ENDPOINT=collector.url, CONFIG=config)

    assert (ran.returncode, ran.stderr) == (0, "")
    sent = sorted((record["process"], record["message"]) for record in collector.records)
    assert sent == [
        ("EngineCore", "in the child"),
        ("MainProcess", "after"),
        ("MainProcess", "before"),
        ("Worker", "in the child"),
    ]
    assert len({record["pid"] for record in collector.records}) == 3


@pytest.mark.processes
def test_what_is_printed_stays_what_it_was(collect: Collect, run_program: RunProgram, config: str):
    """
    Each in its own format, on its own stream; only vLLM's lines are sent.

    vLLM configures logging more than once, and then lets uvicorn do it from the
    same file; its banner needs its logger to have one handler, of that name.
    """
    collector = collect()

    ran = run_program(TWICE, LOGGING_ENDPOINT=collector.url, CONFIG=config)

    assert ran.stdout.splitlines() == [
        "(vLLM's own) before",
        "(vLLM's own) after",
        "(uvicorn's access) GET /v1/models",
        "['vllm']",
    ]
    assert ran.stderr.splitlines() == ["(uvicorn's own) Application startup complete."]
    assert collector.messages == ["before", "after"]


@pytest.mark.processes
def test_an_endpoint_that_holds_does_not_hold_the_exit(
    collect: Collect, run_program: RunProgram, config: str
):
    """What could not be sent in that time is lost, and the process ends."""
    collector = collect()
    collector.open.clear()

    ran = run_program(HELD, LOGGING_ENDPOINT=collector.url, CONFIG=config)

    assert ran.returncode == 0
    assert collector.asked.is_set()
    assert collector.messages == []
