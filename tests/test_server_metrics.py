"""The server's side: scripted for what a healthy one will not do, real for the rest."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.helpers import eventually
from tests.scripted import HELLO, ScriptedServer, reply, stream
from workbench import scrapes
from workbench.errors import ServerFailureError, ServerUnreachableError
from workbench.reconcile import finished
from workbench.records import SamplingParams
from workbench.server_metrics import reconcile_between
from workbench.session import Session
from workbench.urls import root_url

PAGES = Path(__file__).parent / "data/metrics"
GREEDY = SamplingParams(temperature=0)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    running = ScriptedServer()
    yield running
    running.close()


@pytest.fixture
def session(server: ScriptedServer, tmp_path: Path) -> Iterator[Session]:
    with Session(base_url=server.base_url, model="pocket", state_dir=str(tmp_path)) as made:
        yield made


def test_a_server_that_is_gone_is_unreachable(tmp_path: Path):
    """The address is named, and what to look at."""
    with (
        Session(base_url="http://127.0.0.1:1/v1", state_dir=str(tmp_path)) as session,
        pytest.raises(ServerUnreachableError, match=r"127\.0\.0\.1:1/metrics"),
    ):
        session.scrape()


@pytest.mark.parametrize("answer", [reply(404, ""), reply(200, "# llama\n")])
def test_a_server_without_vllms_metrics_says_so(answer, server: ScriptedServer, session: Session):
    """With the status, and the flag of vLLM that turns them off."""
    server.others["/metrics"] = [answer]

    with pytest.raises(ServerFailureError) as caught:
        session.scrape()

    assert "--disable-log-stats" in str(caught.value)


def test_metrics_since_the_start_need_no_waiting(server: ScriptedServer, session: Session):
    """Three made-up requests: 11 tokens each, the first after 30, 50 and 300 ms."""
    page = (PAGES / "assembled-0.33.0.txt").read_text()
    server.others["/metrics"] = [reply(200, page)]

    frame = session.server_metrics(0)

    assert frame.loc["generation_tokens", "count"] == 33
    assert frame.loc["ttft", "mean"] == pytest.approx(0.38 / 3)
    # Rank 1.5 of 3: half-way between 40 and 60 ms.
    assert frame.loc["ttft", "p50"] == pytest.approx(0.05)
    assert frame.loc["prefix_cache_hit_share", "mean"] == pytest.approx(0.4)
    assert frame.loc["kv_cache_usage", "now"] == 0.25
    assert frame.loc["finished.length", "count"] == 1


def test_an_old_page_is_laid_out_the_same_way(server: ScriptedServer, session: Session):
    """What 0.9.2 does not have is unknown, not missing and not zero."""
    page = (PAGES / "assembled-0.9.2.txt").read_text()
    server.others["/metrics"] = [reply(200, page)]

    frame = session.server_metrics(0)

    assert frame.loc["itl", "count"] == 30
    assert frame.loc["tpot"].isna()[["count", "mean", "p50"]].all()


def test_without_a_start_a_window_is_asked_for(server: ScriptedServer, session: Session):
    """Several API servers behind one address do not say when they started."""
    page = (PAGES / "assembled-0.33.0.txt").read_text().replace("process_start_time", "x")
    server.others["/metrics"] = [reply(200, page)]

    with pytest.raises(ServerFailureError, match="does not say when"):
        session.server_metrics(0)


def test_a_server_that_counts_nothing_is_not_waited_for_long(
    server: ScriptedServer, session: Session, monkeypatch: pytest.MonkeyPatch
):
    """The answer came, and the page never shows it: a proxy's cache, or another server's page."""
    monkeypatch.setattr("workbench.server_metrics.SETTLES_WITHIN_S", 0.2)
    page = (PAGES / "assembled-0.33.0.txt").read_text()
    server.others["/metrics"] = [reply(200, page)]
    server.answer(stream(*HELLO))

    found = session.reconcile("Hello")

    assert [flag.id for flag in found.flags] == ["not-all-seen"]
    assert (found.asked, found.finished) == (1, 0)


@pytest.mark.engine
def test_one_request_adds_up_on_a_real_server(served: Session):
    """All that the client waited is somewhere; queue, prefill and decode are most of it."""
    found = served.reconcile("Count from 1 to 50.", GREEDY)
    client, *parts = found.parts

    assert (found.asked, found.finished) == (1, 1)
    assert sum(part.e2e_s for part in parts) == pytest.approx(client.e2e_s)
    assert sum(part.ttft_s or 0 for part in parts) == pytest.approx(client.ttft_s)
    decode = next(part for part in parts if part.name == "decode")
    assert 0.5 * client.e2e_s < decode.e2e_s < client.e2e_s


class BufferingProxy(BaseHTTPRequestHandler):
    """Passes everything on, each answer when it is whole, as nginx does if it is not told."""

    root = ""

    def do_GET(self) -> None:
        self._pass_on(None)

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

    def _pass_on(self, body: bytes | None) -> None:
        kept = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
        headers = {name: value for name, value in kept.items() if value}
        request = urllib.request.Request(self.root + self.path, data=body, headers=headers)
        with urllib.request.urlopen(request) as answer:
            whole = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def behind_a_proxy(served: Session, tmp_path: Path) -> Iterator[Session]:
    handler = type("Handler", (BufferingProxy,), {"root": root_url(served.server.base_url)})
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=proxy.serve_forever).start()
    url = f"http://127.0.0.1:{proxy.server_port}/v1"
    key = served.server.api_key
    with Session(base_url=url, api_key=key, state_dir=str(tmp_path)) as session:
        yield session
    proxy.shutdown()
    proxy.server_close()


@pytest.mark.engine
def test_a_proxy_that_buffers_is_found_out(behind_a_proxy: Session):
    """The real vLLM streams, and its reader sees nothing until all is there."""
    found = behind_a_proxy.reconcile("Count from 1 to 50.", GREEDY)
    client, *_, outside = found.parts

    assert "buffered" in [flag.id for flag in found.flags]
    assert outside.ttft_s > 0.5 * client.ttft_s


@pytest.mark.engine
def test_what_was_recorded_between_two_pages_is_compared(served: Session):
    """Two requests: both sides have counted two, and what was sent before is not among them."""
    served.stream("What is ROCm?", GREEDY).read()
    assert eventually(lambda: scrapes.now(served.scrape(), "running") == 0)
    before = served.scrape()
    for _ in range(2):
        served.stream("What is vLLM?", GREEDY).read()
    assert eventually(lambda: finished(before, served.scrape()) == 2)

    found = reconcile_between(served.server, served.telemetry, before, served.scrape())

    assert (found.asked, found.finished) == (2, 2)
    assert sum(part.e2e_s for part in found.parts[1:]) == pytest.approx(found.parts[0].e2e_s)


@pytest.mark.engine
def test_metrics_of_a_window_are_of_that_window(served: Session):
    """Nobody asks meanwhile: nothing is counted, and no quantile is made of nothing."""
    frame = served.server_metrics(0.2)

    assert frame.loc["generation_tokens", "count"] == 0
    assert frame.loc["ttft", ["mean", "p50"]].isna().all()
    assert frame.loc["running", "now"] == 0
