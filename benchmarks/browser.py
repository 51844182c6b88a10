"""
Does a fast answer make the browser stutter, or the browser the answer slower?

    python benchmarks/browser.py [--tokens 2000] [--rate 500]

A scripted server writes an answer of Markdown at a steady pace, and a real
JupyterLab in the machine's Chromium shows it: by ``%%chat`` in a cell, and in the
chat panel. The page notes the time between its frames. Beside each stands the
same page doing nothing for as long. What the stream came to is read off the
client's own line below the answer.

Goal: no frame longer than 100 ms, and the server's pace.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))  # the tests' Lab, browser and server

from playwright.sync_api import Locator, Page, expect, sync_playwright  # noqa: E402

from tests.browser.conftest import FLAGS, SIZE, chromium_path  # noqa: E402
from tests.browser.jupyterlab import Lab, Notebook  # noqa: E402
from tests.scripted import DONE, ROLE, STOP, ScriptedServer, stream, text, usage  # noqa: E402

WORDS = "A **KV cache** keeps the keys and values of `attention`, so that a token is read once.\n"
NOTE_FRAMES = """() => {
  window.frames_ms = [];
  window.watching = true;
  let before = performance.now();
  const note = (now) => {
    window.frames_ms.push(now - before);
    before = now;
    if (window.watching) requestAnimationFrame(note);
  };
  requestAnimationFrame(note);
}"""
TAKE_FRAMES = "() => { window.watching = false; return window.frames_ms.slice(1); }"
LIMIT_MS = 120_000


def pieces(tokens: int) -> list[str]:
    """Cut Markdown into as many pieces: paragraphs, a list and code, as models write them."""
    block = f"{WORDS}\n- one\n- two\n\n```python\nprint('three')\n```\n\n"
    words = re.findall(r"\S+\s*|\s+", block)
    return [words[index % len(words)] for index in range(tokens)]


def pace(gates: list[threading.Event], rate: float) -> None:
    """Open one gate after the other, at *rate* a second."""
    started_s = time.monotonic()
    for index, gate in enumerate(gates):
        time.sleep(max(0.0, started_s + index / rate - time.monotonic()))
        gate.set()


def streamed(
    server: ScriptedServer, page: Page, rate: float, tokens: int, ask: Callable[[], Locator]
) -> tuple[list[float], str]:
    """Have one answer written and shown; return the frames and the client's line."""
    gates = [threading.Event() for _ in range(tokens)]
    steps = [
        step
        for gate, piece in zip(gates, pieces(tokens), strict=True)
        for step in (gate, text(piece))
    ]
    server.answer(stream(ROLE, *steps, STOP, usage(9, tokens), DONE))
    asked = len(server.chat_requests)
    line = ask()
    while len(server.chat_requests) == asked:
        page.wait_for_timeout(5)
    page.evaluate(NOTE_FRAMES)
    threading.Thread(target=pace, args=(gates, rate), daemon=True).start()
    expect(line).to_contain_text("tok/s", timeout=LIMIT_MS)
    return page.evaluate(TAKE_FRAMES), line.inner_text()


def idle(page: Page, duration_s: float) -> list[float]:
    """Note the frames of a page in which nothing happens."""
    page.evaluate(NOTE_FRAMES)
    page.wait_for_timeout(duration_s * 1e3)
    frames: list[float] = page.evaluate(TAKE_FRAMES)
    return frames


def row(name: str, frames_ms: list[float], line: str = "") -> str:
    """Write one line of the table."""
    rate = re.search(r"[\d.]+ tok/s", line)
    p99 = statistics.quantiles(frames_ms, n=100)[98]
    late = sum(each > 100 for each in frames_ms)
    return (
        f"{name:24} {len(frames_ms):7} {p99:9.0f} ms {max(frames_ms):9.0f} ms {late:8}"
        f"   {rate[0] if rate else '–'}"
    )


def main() -> None:
    """Show an answer in both places, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=500.0)
    options = parser.parse_args()
    found = chromium_path()
    if found is None:
        print("There is no Chromium: apt install chromium")
        return
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        measure(
            Path(folder),
            playwright.chromium.launch(executable_path=found, args=FLAGS).new_page(viewport=SIZE),
            options,
        )


def measure(folder: Path, page: Page, options: argparse.Namespace) -> None:
    """Open a notebook with a cell and a panel, and stream an answer into each."""
    server = ScriptedServer()
    lab = Lab(folder, {"WORKBENCH_STATE_DIR": str(folder / "state"), "PYTHONPATH": str(PROJECT)})
    try:
        cells = (
            f"%env WORKBENCH_BASE_URL={server.base_url}\n%load_ext workbench",
            "%%chat\nGo on!",
            "%wb panel chat",
        )
        opened = Notebook(page, lab, lab.write("browser.ipynb", *cells))
        opened.run(0)
        opened.ran(0)
        print(f"{'':24} {'frames':>7} {'p99':>12} {'longest':>12} {'>100 ms':>8}   stream")
        print(row("nothing", idle(page, options.tokens / options.rate)))

        def by_cell() -> Locator:
            opened.run(1)
            return opened.output(1)

        told = streamed(server, page, options.rate, options.tokens, by_cell)
        print(row("%%chat in a cell", *told))
        opened.ran(1)
        opened.run(2)
        opened.ran(2)
        panel = opened.root.locator(".wb-panel")

        def by_panel() -> Locator:
            panel.locator("textarea[name=prompt]").fill("Go on!")
            panel.get_by_role("button", name="Send").click()
            return panel.locator(".wb-turn").last

        print(row("chat panel", *streamed(server, page, options.rate, options.tokens, by_panel)))
    finally:
        lab.close()
        server.close()


if __name__ == "__main__":
    main()
