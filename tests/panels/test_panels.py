"""The other panels without a browser: what they show, what they call, when they look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import workbench
from tests.helpers import AN_HOUR_AGO, eventually
from tests.panels.conftest import Browser
from tests.scripted import ScriptedServer, reply
from tests.scripted_hub import REPOSITORY, hub
from workbench.errors import ServerStartError, SwitchError
from workbench.panels import PANELS, Tabs
from workbench.panels.doctor import DoctorPanel
from workbench.panels.live import LivePanel, sample
from workbench.panels.models import ModelsPanel
from workbench.panels.server import ServerPanel
from workbench.panels.telemetry import TelemetryPanel
from workbench.records import (
    BootPhase,
    ChatMessage,
    Generation,
    Histogram,
    Progress,
    SamplingParams,
    Scrape,
    SwitchReport,
    SwitchStep,
    Timings,
    Verdict,
)
from workbench.session import Session

Shown = Callable[..., Browser]

PAGE = """\
vllm:num_requests_running{model_name="pocket"} 3.0
vllm:num_requests_waiting{model_name="pocket"} 1.0
vllm:kv_cache_usage_perc{model_name="pocket"} 0.25
"""


@pytest.fixture
def ready(server: ScriptedServer) -> ScriptedServer:
    server.others |= {"/metrics": [reply(200, PAGE)], "/health": [reply(200, "")]}
    return server


def idle(browser: Browser) -> bool:
    return eventually(lambda: not browser.panel.is_busy)


def test_the_server_panel_shows_state_and_load(shown: Shown, ready: ScriptedServer):
    """Running, waiting and KV use are the page's; a remote server has no Down."""
    browser = shown(ServerPanel)
    browser.panel.look()

    page = browser.page
    assert "<strong>ready</strong>" in page
    assert "<dd>3</dd>" in page
    assert "25.0%" in page
    assert 'data-do="down"' not in page
    assert "ready" in repr(browser.panel)


def test_a_panel_looks_only_while_it_is_seen(shown: Shown, ready: ScriptedServer):
    """No view: no request. Hidden: the thread ends. Disposed: nothing begins again."""
    browser = shown(ServerPanel)
    assert ready.requests == []

    browser.says("seen", view="a")
    assert eventually(lambda: "ready" in browser.page)
    browser.says("hidden", view="a")
    assert eventually(lambda: browser.panel._looking is None)
    browser.panel.dispose()
    browser.says("seen", view="b")

    assert browser.panel._looking is None


def test_a_start_shows_phases_and_what_is_left(
    shown: Shown, session: Session, monkeypatch: pytest.MonkeyPatch
):
    """Then its error, with what to try; the panel can be used again."""
    going, go_on = threading.Event(), threading.Event()
    phases = (BootPhase(name="load", began_s=0, ended_s=2.0), BootPhase(name="warm up", began_s=2))

    def up(*, on_progress: Callable[[Progress], None]) -> None:
        step = Progress(label="warm up", done=2, total=8, unit="s", eta_s=6.0, phases=phases)
        on_progress(step)
        going.set()
        go_on.wait(10)
        raise ServerStartError("It ended: <out of memory>.", hint="Take less.")

    monkeypatch.setattr(session, "up", up)
    browser = shown(ServerPanel)
    browser.says("up")
    assert going.wait(10)

    assert "✓ load 2.00 s" in browser.page
    assert "about 6.00 s left" in browser.page
    go_on.set()
    assert idle(browser)
    assert "&lt;out of memory&gt;" in browser.page
    assert "Take less." in browser.page
    assert "about 6.00 s left" not in browser.page


def test_the_log_is_searched_and_escaped(
    shown: Shown, ready: ScriptedServer, session: Session, monkeypatch: pytest.MonkeyPatch
):
    """Words in any case; a log's own tags are text."""
    monkeypatch.setattr(session, "logs", lambda: iter(["INFO one", "ERROR <b>two</b>"]))
    browser = shown(ServerPanel)
    browser.panel.look()
    browser.says("search", words="error")

    assert "&lt;b&gt;two" in browser.page
    assert "INFO one" not in browser.page
    assert "1 of the last 2 lines" in browser.page


def test_a_failed_switch_shows_its_steps_and_the_way_back(
    shown: Shown, session: Session, monkeypatch: pytest.MonkeyPatch
):
    """The report's steps are the table, the rollback among them, and the error says why."""
    steps = (
        SwitchStep(name="start", verdict=Verdict.FAIL, seen="it died", duration_s=3.0),
        SwitchStep(name="roll back", verdict=Verdict.PASS, seen="pocket again", duration_s=2.0),
    )
    report = SwitchReport(model="big", before="pocket", steps=steps, switched=False, duration_s=5.0)

    def use(model: str, **_: object) -> None:
        raise SwitchError("big did not start.", report=report)

    monkeypatch.setattr(session, "use", use)
    monkeypatch.setattr(session, "inventory", lambda: ())
    browser = shown(ModelsPanel)
    browser.says("use", model="big")
    assert idle(browser)

    assert "roll back" in browser.page
    assert "pocket again" in browser.page
    assert "big did not start." in browser.page


def test_a_switch_is_stopped_once_and_its_way_back_is_not(
    shown: Shown, session: Session, monkeypatch: pytest.MonkeyPatch
):
    """Stop is Ctrl-C where the verb next says how far it is; what it takes back then is shown."""
    going, go_on, is_back = threading.Event(), threading.Event(), threading.Event()

    def use(model: str, *, on_progress: Callable[[Progress], None]) -> None:
        on_progress(Progress(label="load", done=1, total=None, unit="s"))
        going.set()
        go_on.wait(10)
        try:
            on_progress(Progress(label="load", done=2, total=None, unit="s"))
        finally:
            on_progress(Progress(label="going back", done=0, total=None, unit="s"))
            is_back.wait(10)

    monkeypatch.setattr(session, "use", use)
    monkeypatch.setattr(session, "inventory", lambda: ())
    browser = shown(ModelsPanel)
    browser.says("use", model="big")
    assert going.wait(10)
    assert 'data-do="stop"' in browser.page
    browser.says("stop")
    assert "Stopping" in browser.page
    go_on.set()
    assert eventually(lambda: "going back" in browser.page)
    is_back.set()

    assert idle(browser)
    assert "Stopped." in browser.page
    assert "pocket serves, as before." in browser.page
    assert 'data-do="stop"' not in browser.page


def test_a_fetch_is_stopped_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What came is kept, and the panel says so; the next fetch ends."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "config.json").write_text("{}")
    (tmp_path / "hub" / "model.safetensors").write_bytes(bytes(range(250)) * 4_000)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    with hub(tmp_path / "hub") as server, Session(port=9, hf_endpoint=server.endpoint) as session:
        panel = ModelsPanel(lambda: session)
        browser = Browser(panel)
        told = panel.progress
        panel.progress = _stopping_at(panel, "model.safetensors")  # type: ignore[method-assign]
        browser.says("fetch", model=REPOSITORY)
        assert idle(browser)
        assert "Interrupted with 2 B of" in browser.page
        assert "goes on from there" in browser.page

        panel.progress = told  # type: ignore[method-assign]
        browser.says("fetch", model=REPOSITORY)
        assert idle(browser)
        assert "Interrupted" not in browser.page
        assert (tmp_path / "models" / "pocket" / "model.safetensors").exists()
        panel.dispose()


def _stopping_at(panel: ModelsPanel, label: str) -> Callable[[Progress], None]:
    """Press Stop as soon as a file of that name comes."""
    told = panel.progress

    def progress(now: Progress) -> None:
        if label in now.label:
            panel.act("stop")
        told(now)

    return progress


def test_models_are_listed_with_what_can_be_done(project: Path, monkeypatch: pytest.MonkeyPatch):
    """Each has Plan and Use; what is not here has Fetch; one bar each."""
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    with Session(state_dir=str(project / "state"), port=9) as session:
        panel = ModelsPanel(lambda: session)
        browser = Browser(panel)
        browser.says("seen", view="a")
        assert idle(browser)

        assert 'data-model="pocket-mini"' in browser.page
        assert browser.page.count('class="wb-item"') == len(session.inventory())
        assert eventually(lambda: "disabled" not in browser.page)
        browser.says("plan", model="pocket")
        assert idle(browser)
        assert "weights" in browser.page
        assert eventually(lambda: "disabled" not in browser.page)
        panel.dispose()


def scrape(at_s: float, tokens: float, ttft: Histogram) -> Scrape:
    series = {"generation_tokens": {(): tokens}, "ttft": {(): ttft}, "running": {(): 2.0}}
    at = datetime.fromtimestamp(at_s, UTC)
    return Scrape(at=at, at_s=at_s, series=series, started_s=1.0)


def test_rates_are_of_the_window_and_unknown_is_unknown():
    """
    50 tokens in 5 s are 10 tok/s. Ten first tokens, all from 0.1 to 0.2 s: the median is 0.15 s.
    Of input nothing is known.
    """
    none = Histogram(((0.1, 0.0), (0.2, 0.0)), 0.0, 0.0)
    ten = Histogram(((0.1, 0.0), (0.2, 10.0)), 10.0, 1.5)

    found = sample(scrape(100.0, 50.0, none), scrape(105.0, 100.0, ten))

    assert found.tokens_out_tps == pytest.approx(10.0)
    assert found.ttft_p50_s == pytest.approx(0.15)
    assert found.tokens_in_tps is None
    assert found.running == 2.0


def test_live_draws_and_says_what_to_do_when_nothing_answers(shown: Shown, ready: ScriptedServer):
    """Charts have units and a label; a server that is gone is an error with a hint."""
    browser = shown(LivePanel)
    browser.panel.look()
    browser.panel.look()
    assert 'aria-label="Requests running 3, waiting 1"' in browser.page
    assert "Requests: running 3, waiting 1" in repr(browser.panel)

    ready.others["/metrics"] = [reply(404, "")]
    browser.panel.look()
    assert "--disable-log-stats" in browser.page


def record(number: int, model: str) -> Generation:
    timings = Timings(started_at=AN_HOUR_AGO, sent_s=0.0, chunks_s=(0.1, 0.2), done_s=0.2)
    asked = (ChatMessage("user", "Hi"),)
    return Generation(
        text="x",
        model=model,
        messages=asked,
        params=SamplingParams(),
        finish_reason="stop",
        timings=timings,
        ttft_s=0.1,
        e2e_latency_s=0.2,
        request_id=f"r{number}",
    )


def test_two_thousand_rows_are_a_page_and_a_filter_away(shown: Shown, session: Session):
    """A page has fifty rows and less than 100 kB; filtering them takes less than half a second."""
    first = record(0, "pocket")
    for number in range(2000):
        odd = "<i>odd</i>" if number % 100 == 0 else "pocket"
        session.telemetry.emit(replace(first, model=odd, request_id=f"r{number}"))
    browser = shown(TelemetryPanel)
    browser.says("seen", view="a")
    assert idle(browser)

    assert "1–50 of 2,000" in browser.page
    assert len(browser.page) < 100_000
    began_s = time.perf_counter()
    browser.says("filter", words="ODD", status="ok")
    assert "1–20 of 20" in browser.page
    assert time.perf_counter() - began_s < 0.5
    assert "<i>odd" not in browser.page
    browser.says("details", row=0)
    assert "request_id" in browser.page
    browser.says("picture", kind="ttft")
    assert idle(browser)
    assert "data:image/png;base64," in browser.page


def test_without_requests_it_says_how_to_make_one(shown: Shown):
    """An empty table is no table."""
    browser = shown(TelemetryPanel)
    browser.says("refresh")
    assert idle(browser)

    assert "%%chat" in browser.page


def test_the_doctor_shows_faults_with_fixes_to_copy(project: Path, monkeypatch: pytest.MonkeyPatch):
    """This machine's findings; the text form is the verb's."""
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    with Session(state_dir=str(project / "state"), port=9) as session:
        panel = DoctorPanel(lambda: session)
        browser = Browser(panel)
        assert "nothing was looked at yet" in repr(panel)
        browser.says("examine")
        assert eventually(lambda: not panel.is_busy, within_s=60)

        assert panel.report is not None
        assert "Ready for:" in browser.page
        assert browser.page.count("data-copy") >= 1
        assert panel.report.findings[0].id in repr(panel)
        panel.dispose()


def test_the_doctor_mends_by_a_click_what_it_may(project: Path, monkeypatch: pytest.MonkeyPatch):
    """CRLF in .env: what would be done stands beside the button; a click does it and looks."""
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    (project / ".env").write_bytes(b"WORKBENCH_PORT=9\r\n")
    with Session(state_dir=str(project / "state")) as session:
        panel = DoctorPanel(lambda: session)
        browser = Browser(panel)
        browser.says("examine")
        assert eventually(lambda: not panel.is_busy, within_s=60)
        assert 'data-do="apply" data-id="env-line-ends"' in browser.page
        assert "CRLF becomes LF" in browser.page

        browser.says("apply", id="env-line-ends")
        assert eventually(lambda: not panel.is_busy, within_s=60)
        assert (project / ".env").read_bytes() == b"WORKBENCH_PORT=9\n"
        assert "env-line-ends: PASS" in browser.page
        assert 'data-id="env-line-ends"' not in browser.page
        panel.dispose()


@pytest.mark.parametrize("name", PANELS)
def test_no_panel_sends_more_than_twenty_messages_a_second(session: Session, name: str):
    """Parts are shown anew as fast as Python can: one message each 50 ms, and the last is whole."""
    panel = PANELS[name](lambda: session)
    browser = Browser(panel)
    for number in range(2000):
        panel.show("error", f"<i>{number}</i>")
        panel.show(f"part-{number % 7}", f"<i>{number}</i>")

    assert eventually(lambda: any("1999" in str(message) for _, message in browser.sent))
    panel.dispose()
    times = [at_s for at_s, _ in browser.sent]
    assert len(times) <= 2 + (times[-1] - times[0]) / 0.05


def test_the_log_is_of_more_than_who_watches(
    shown: Shown, ready: ScriptedServer, session: Session, monkeypatch: pytest.MonkeyPatch
):
    """What each look asks would fill the log; a request, and a look that failed, stay."""
    asked = 'INFO: 127.0.0.1:1 - "GET /metrics HTTP/1.1" 200 OK'
    kept = ['INFO: 127.0.0.1:1 - "POST /v1/chat/completions HTTP/1.1" 200 OK', asked[:-6] + "401"]
    monkeypatch.setattr(session, "logs", lambda: iter([asked, *kept, asked]))
    browser = shown(ServerPanel)
    browser.panel.look()

    assert "the last 2 lines" in browser.page
    assert browser.page.count("GET /metrics HTTP") == 1


def test_all_panels_are_tabs_and_each_is_alone(session: Session):
    """In the order that they are listed; a wrong name is told the right ones."""
    tabs = workbench.panel(session=session)
    assert isinstance(tabs, Tabs)
    assert list(tabs.panels) == list(PANELS)
    bundle = tabs._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    tabs.dispose()
    tabs.dispose()

    alone = workbench.panel("chat", session)
    assert alone._repr_mimebundle_()["text/plain"] == "Chat panel: nothing was said yet."
    alone.dispose()
    with pytest.raises(ValueError, match="server, chat, models"):
        workbench.panel("chta", session)


def test_an_act_that_is_none_is_not_done(shown: Shown):
    """The browser can ask for what the panel offers, and for no other method."""
    browser = shown(DoctorPanel)
    browser.says("dispose")
    browser.says("look")
    assert browser.panel.report is None  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="examine"):
        browser.panel.act("look")
