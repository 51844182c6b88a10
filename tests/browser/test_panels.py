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
from tests.scripted import DONE, ROLE, STOP, Do, stream, text, usage
from workbench.session import Session

pytestmark = pytest.mark.browser

AXE = Path(__file__).with_name("axe") / "node_modules" / "axe-core" / "axe.min.js"
IMAGES = PROJECT / ("docs/images" if os.environ.get("SAVE_PICTURES") else "results/pictures")

SEEN_PX = 640  # of a panel that is longer than the window

# A log has this machine's paths, and a picture of it is for everybody.
HIDE_PATHS = """(element, path) => {
  const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(path, "…");
}"""
START_MS = 120_000

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

    def shown(name: str, *, first: str | None = None) -> Locator:
        opened = notebook(f"{first or attach}\n%wb panel {name}")
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
    for title in ("Server", "Chat", "Models", "Live", "Telemetry", "Doctor"):
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


def test_the_panels_follow_the_dark_theme_and_a_narrow_window(panel, page, lab):
    """In the dark, and in 420 pixels, nothing is unreadable and nothing is cut off."""
    lab.set(DARK)
    try:
        page.set_viewport_size({"width": 620, "height": 900})
        chat = panel("chat")
        chat.locator("textarea[name=prompt]").fill("Who is there?")
        chat.get_by_role("button", name="Send").click()
        expect(chat.locator(".wb-foot")).to_contain_text("TTFT")

        assert faults(chat) == []
        assert has_no_scrollbar(chat)
        picture(chat, "chat-dark-narrow")
    finally:
        lab.forget(DARK)
