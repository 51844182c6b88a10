"""Each panel in each state: clicked, typed into, looked at, and checked for who cannot see it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.jupyterlab import DARK, Notebook
from tests.conftest import PROJECT
from tests.helpers import eventually
from tests.scripted import DONE, ROLE, STOP, Do, reply, stream, text, usage
from tests.scripted_hub import REPOSITORY, hub
from workbench import scrapes
from workbench.session import Session

pytestmark = pytest.mark.browser

AXE = Path(__file__).with_name("axe") / "node_modules" / "axe-core" / "axe.min.js"
IMAGES = PROJECT / ("docs/images" if os.environ.get("SAVE_PICTURES") else "results/pictures")

TITLES = ("Server", "Chat", "Models", "Live", "Telemetry", "Doctor")
PAGE = """\
vllm:num_requests_running{model_name="pocket"} 3.0
vllm:num_requests_waiting{model_name="pocket"} 1.0
vllm:kv_cache_usage_perc{model_name="pocket"} 0.25
"""

SEEN_PX = 640  # of a panel that is longer than the window

# A log has this machine's paths, and a picture of it is for everybody.
HIDE_PATHS = r"""(element, path) => {
  const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  while (texts.nextNode())
    texts.currentNode.data = texts.currentNode.data
      .replaceAll(path, "…").replaceAll(/\/\S*\/pytest-\d+\/[^\s/]*/g, "…");
}"""
START_MS = 120_000

# An answer that would be of 400 tokens, whatever the model has to say.
UNENDING = """\
%load_ext workbench
%wb up
from workbench import SamplingParams
chat = %wb panel chat
chat.params = SamplingParams(ignore_eos=True, max_tokens=400, temperature=0)"""
NOTE_GROWTH = """(element) => {
  window.lengths = [];
  new MutationObserver(() => {
    const shown = element.querySelector(".wb-answer")?.textContent.length ?? 0;
    if (shown > (window.lengths.at(-1) ?? 0)) window.lengths.push(shown);
  }).observe(element, { subtree: true, childList: true, characterData: true });
}"""

ANSWER = """\
A **KV cache** keeps what attention has computed.

- It grows with the context.
- It is freed when the request ends.

```python
session.chat("What is a KV cache?")
```
"""


@pytest.fixture
def panel(notebook: Callable[..., Notebook], attach: str) -> Callable[..., Locator]:
    """Shows a panel in a notebook, alone, and returns it."""

    def shown(name: str, *, first: str | None = None, line: str | None = None) -> Locator:
        opened = notebook(f"{first or attach}\n{line or f'%wb panel {name}'}")
        opened.run(0)
        opened.ran(0)
        opened.page.keyboard.press("Control+b")  # the file browser away
        return opened.root.locator(".wb-panel")

    return shown


class Tabs:
    """All panels in a notebook; called with a title, the one behind that tab."""

    def __init__(self, notebook: Callable[..., Notebook], first: str) -> None:
        self.first = first
        self._open = notebook
        self._notebook: Notebook | None = None

    def __call__(self, title: str) -> Locator:
        if self._notebook is None:
            self._notebook = self._open(f"{self.first}\n%wb panel")
            self._notebook.run(0)
            self._notebook.ran(0)
            self._notebook.page.keyboard.press("Control+b")
        self._notebook.root.get_by_role("tab", name=title, exact=True).click()
        return self._notebook.page.get_by_role("region", name=f"{title} panel")


@pytest.fixture
def tabs(notebook: Callable[..., Notebook], attach: str) -> Tabs:
    """All panels of the scripted server's session; ``first`` may be another's settings."""
    return Tabs(notebook, attach)


def picture(panel: Locator, name: str) -> None:
    """
    Keep what a panel looks like: in results/, or with SAVE_PICTURES=1 for the README.

    A picture has times in it and so is another one each time.
    """
    IMAGES.mkdir(parents=True, exist_ok=True)
    # The engine may be a link, and a log has both names of it.
    for path in (PROJECT, (PROJECT / ".engine").resolve().parent):
        panel.evaluate(HIDE_PATHS, str(path))
    panel.evaluate("(element) => element.scrollIntoView({block: 'start'})")
    clip = panel.bounding_box()
    assert clip is not None, "the panel is not on the page"
    clip["height"] = min(clip["height"], SEEN_PX)
    panel.page.screenshot(path=IMAGES / f"{name}.png", clip=clip, animations="disabled")


def faults(found: Locator) -> list[str]:
    """Ask axe-core what of WCAG 2.1 AA an element and all in it break."""
    if not AXE.exists():
        pytest.skip("axe-core is missing: make test fetches it, with Node 20 or newer")
    page = found.page
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(AXE.read_text())
    result = found.evaluate(
        "(element) => axe.run(element, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
    )
    return [
        f"{rule['id']}: {node['html'][:160]}"
        for rule in result["violations"]
        for node in rule["nodes"]
    ]


def has_no_scrollbar(found: Locator) -> bool:
    """Whether nothing of an element is beside what is seen of it."""
    fits: bool = found.evaluate("(element) => element.scrollWidth <= element.clientWidth")
    return fits


def test_the_chat_panel_streams_stops_and_keeps(panel, server):
    """Shift+Enter sends, the answer grows, Esc stops it, and the slot is free."""
    gate = threading.Event()
    whole = stream(ROLE, text(ANSWER[:30]), gate, text(ANSWER[30:]), STOP, usage(9, 40), DONE)
    server.answer(whole, stream(ROLE, text("It goes on and"), Do.STALL))
    chat = panel("chat")
    field = chat.locator("textarea[name=prompt]")
    expect(chat).to_contain_text("Nothing was said yet.")
    picture(chat, "chat-empty")
    assert faults(chat) == []

    field.fill("What is a KV cache?")
    field.press("Shift+Enter")
    expect(chat.locator(".wb-answer")).to_contain_text("keeps what")
    expect(chat.locator(".wb-answer")).not_to_contain_text("context")
    picture(chat, "chat-streaming")
    assert faults(chat) == []
    gate.set()
    expect(chat.locator(".wb-answer li")).to_have_count(2)
    expect(chat.locator(".wb-foot")).to_contain_text("TTFT")
    assert faults(chat) == []
    picture(chat, "chat-answer")

    field.fill("Go on for ever!")
    field.press("Shift+Enter")
    expect(chat.locator(".wb-answer").nth(1)).to_contain_text("It goes on and")
    field.press("Escape")
    expect(chat.locator(".wb-foot").nth(1)).to_contain_text("interrupted")
    assert eventually(lambda: server.hung_up == 1)
    picture(chat, "chat-stopped")


def test_an_unreachable_server_is_told_in_the_chat_panel(panel):
    """The turn says what failed and what to do, and takes the next question."""
    chat = panel("chat", first="%env WORKBENCH_BASE_URL=http://127.0.0.1:9/v1\n%load_ext workbench")
    chat.locator("textarea[name=prompt]").fill("Is anybody there?")
    chat.get_by_role("button", name="Send").click()

    expect(chat.get_by_role("alert")).to_contain_text("Nothing answers")
    expect(chat.get_by_role("button", name="Send")).to_be_enabled()
    assert faults(chat) == []
    picture(chat, "chat-error")


def test_each_panel_can_be_used_by_everybody(tabs):
    """What is shown at first has names, labels and contrast, and fits its width."""
    for title in TITLES:
        shown = tabs(title)
        expect(shown.locator(".wb-part").first).to_be_visible()

        assert faults(shown) == [], title
        assert has_no_scrollbar(shown), title
        picture(shown, f"{title.lower()}-first")

    doctor = tabs("Doctor")
    doctor.get_by_role("button", name="Examine").click()
    expect(doctor.locator(".wb-item").first).to_be_attached(timeout=START_MS)
    expect(doctor.get_by_role("button", name="Examine")).to_be_enabled()
    assert faults(doctor) == []
    picture(doctor, "doctor-found")


def test_what_nobody_can_read_is_noticed(tabs):
    """The check itself: a picture without a text and a button without a name are faults."""
    server = tabs("Server")
    server.evaluate("(it) => it.insertAdjacentHTML('beforeend', '<img src=x><button></button>')")

    assert sorted(fault.partition(":")[0] for fault in faults(server)) == [
        "button-name",
        "image-alt",
    ]


def test_a_fetch_is_watched_and_stopped_by_a_click(tabs, tmp_path):
    """How much has come is on the page, Stop ends it, and what came is said to be kept."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "catalogue.toml").write_text(f'[tiny]\nmodel = "{REPOSITORY}"\nwhy = "a test"\n')
    source = tmp_path / "hub"
    source.mkdir()
    (source / "config.json").write_text("{}")
    (source / "model.safetensors").write_bytes(bytes(range(250)) * 20_000)
    with hub(source, held=True) as running:
        own = {"WORKBENCH_HOME": tmp_path, "HF_ENDPOINT": running.endpoint}
        tabs.first = "\n".join([*(f"%env {it}={own[it]}" for it in own), tabs.first])
        panel = tabs("Models")
        panel.get_by_role("button", name="Fetch tiny").click()
        expect(panel).to_contain_text("model.safetensors")
        expect(panel).to_contain_text("of 4.77 MiB")
        assert faults(panel) == []
        picture(panel, "models-fetching")

        panel.get_by_role("button", name="Stop").click()
        expect(panel).to_contain_text("Stopping")
        running.bytes_per_s = 1e6  # so that it says how far it is before it is whole
        running.go_on.set()
        expect(panel.get_by_role("alert")).to_contain_text("goes on from there")
        expect(panel.get_by_role("button", name="Fetch tiny")).to_be_enabled()


def test_a_fault_is_mended_by_a_click(tabs, tmp_path):
    """What would be done stands beside the button; then the fault is gone from the list."""
    (tmp_path / "models").mkdir()
    (tmp_path / ".env").write_bytes(b"WORKBENCH_TIMEOUT_S=60\r\n")
    tabs.first = f"%env WORKBENCH_HOME={tmp_path}\n{tabs.first}"
    doctor = tabs("Doctor")
    doctor.get_by_role("button", name="Examine").click()
    mend = doctor.get_by_role("button", name="Apply the fix of env-line-ends")
    expect(mend).to_be_visible(timeout=START_MS)
    assert faults(doctor) == []
    picture(doctor, "doctor-fix")

    mend.click()
    expect(doctor).to_contain_text("env-line-ends: PASS", timeout=START_MS)
    expect(mend).to_have_count(0)
    assert b"\r" not in (tmp_path / ".env").read_bytes()


@pytest.mark.engine
def test_a_real_answer_grows_and_stop_frees_the_servers_slot(panel, served):
    """vLLM's own tokens come in steps, and Esc ends its request long before its last token."""
    chat = panel("chat", first=UNENDING, line="chat")
    chat.evaluate(NOTE_GROWTH)
    field = chat.locator("textarea[name=prompt]")
    field.fill("What is vLLM?")
    field.press("Shift+Enter")
    chat.page.wait_for_function("() => window.lengths.length >= 5")
    field.press("Escape")

    expect(chat.locator(".wb-foot")).to_contain_text("interrupted")
    lengths = chat.page.evaluate("() => window.lengths")
    assert eventually(lambda: scrapes.now(served.scrape(), "running") == 0)
    assert chat.page.evaluate("() => window.lengths") == lengths


@pytest.mark.engine
def test_a_server_is_started_switched_and_stopped_by_clicks(tabs, tmp_path):
    """Up, chat, another model, down: each is a click, and the panels say when it is done."""
    # A folder of its own: what other tests use is not stopped.
    own = {"WORKBENCH_STATE_DIR": tmp_path / "state", "WORKBENCH_PORT": "0"}
    tabs.first = "\n".join([*(f"%env {it}={own[it]}" for it in own), "%load_ext workbench"])
    server = tabs("Server")
    try:
        expect(server).to_contain_text("No server runs.")
        picture(server, "server-stopped")
        server.get_by_role("button", name="Up").click()
        expect(server.locator(".wb-phases li").nth(1)).to_be_visible(timeout=START_MS)
        assert faults(server) == []
        picture(server, "server-starting")
        expect(server.locator(".wb-head strong")).to_have_text("ready", timeout=START_MS)
        assert faults(server) == []

        chat = tabs("Chat")
        chat.locator("textarea[name=prompt]").fill("What is a KV cache?")
        chat.get_by_role("button", name="Send").click()
        expect(chat.locator(".wb-foot")).to_contain_text("TTFT", timeout=START_MS)

        models = tabs("Models")
        models.get_by_role("button", name="Use pocket-mini").click()
        served = models.locator(".wb-item", has_text="served now")
        expect(served).to_contain_text("pocket-mini", timeout=START_MS)
        expect(models.get_by_role("button", name="Use pocket instead")).to_be_enabled()
        assert faults(models) == []
        picture(models, "models-switched")

        live = tabs("Live")
        with Session(state_dir=str(own["WORKBENCH_STATE_DIR"])) as other:
            other.map(["What is vLLM?"] * 60, concurrency=8, progress=False)
        expect(live.locator(".wb-chart b").first).not_to_have_text("0.00 tok/s", timeout=START_MS)
        assert faults(live) == []
        picture(live, "live")

        telemetry = tabs("Telemetry")
        telemetry.get_by_text("Refresh", exact=True).click()
        expect(telemetry.locator("tbody tr")).not_to_have_count(1)
        assert faults(telemetry) == []
        picture(telemetry, "telemetry")

        server = tabs("Server")
        expect(server.locator(".wb-head strong")).to_have_text("ready")
        picture(server, "server-ready")
    finally:
        tabs("Server").get_by_role("button", name="Down").click()
        expect(server.locator(".wb-head strong")).to_have_text("stopped", timeout=START_MS)


@pytest.mark.parametrize(("name", "width"), [("narrow", 416), ("zoomed", 1024)])
def test_the_panels_fit_a_dark_side_panel_and_a_zoomed_page(
    tabs, page, lab, server, name: str, width: int
):
    """
    In the dark nothing is unreadable, and nothing is cut off: in the 300 pixels that a narrow
    window leaves, and at 125 %, where a screen of 1280 pixels is one of 1024.
    """
    server.others |= {"/metrics": [reply(200, PAGE)], "/health": [reply(200, "")]}
    lab.set(DARK)
    try:
        tabs("Server")  # opened as wide as JupyterLab wants to be
        page.set_viewport_size({"width": width, "height": 900})
        chat = tabs("Chat")
        chat.locator("textarea[name=prompt]").fill("Who is there?")
        chat.get_by_role("button", name="Send").click()
        expect(chat.locator(".wb-foot")).to_contain_text("TTFT")
        chat.get_by_text("System prompt and sampling").click()
        expect(tabs("Live").locator(".wb-chart").first).to_be_visible()
        for title in TITLES:
            shown = tabs(title)
            expect(shown).to_be_visible()
            assert has_no_scrollbar(shown), title
            assert faults(shown) == [], title
            picture(shown, f"{title.lower()}-dark-{name}")
    finally:
        lab.forget(DARK)
