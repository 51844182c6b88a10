"""Notebooks as people use them: typing, watching an answer grow, stopping it, restarting."""

from __future__ import annotations

import threading

import pytest
from playwright.sync_api import expect

from tests.browser.jupyterlab import Notebook
from tests.helpers import eventually
from tests.scripted import DONE, ROLE, STOP, Do, stream, text, usage

pytestmark = pytest.mark.browser


def test_a_typed_question_is_answered_below_its_cell(notebook, attach):
    """What is typed into a cell is run by Shift+Enter, and the answer is there with its numbers."""
    opened = notebook(attach, "")
    opened.run(0)
    opened.ran(0)
    opened.type_and_run(1, "%%chat\nWho is there?")

    expect(opened.output(1)).to_contain_text("Hello")
    expect(opened.output(1)).to_contain_text("TTFT")


def test_an_answer_grows_in_steps_while_it_streams(notebook, attach, server):
    """Each part is on the page before the next one is sent."""
    words = ["One", " two", " three", " four"]
    gates = [threading.Event() for _ in words]
    steps = [step for gate, word in zip(gates, words, strict=True) for step in (text(word), gate)]
    server.answer(stream(ROLE, *steps, STOP, usage(3, 4), DONE))
    opened = notebook(attach, "%%chat\nCount!")
    opened.run(0)
    opened.ran(0)
    opened.run(1)

    shown = opened.output(1).locator("div[style*='pre-wrap']")
    for index, gate in enumerate(gates):
        expect(shown).to_have_text("".join(words[: index + 1]))
        expect(opened.output(1)).not_to_contain_text("TTFT")
        gate.set()
    expect(opened.output(1)).to_contain_text("TTFT")


def test_an_interrupted_answer_keeps_what_came_and_frees_the_server(notebook, attach, server):
    """Interrupt the kernel: the text stays, it says so, and the connection is closed."""
    server.answer(stream(ROLE, text("As far as here"), Do.STALL))
    opened = notebook(attach, "%%chat\nGo on for ever!")
    opened.run(0)
    opened.ran(0)
    opened.run(1)
    expect(opened.output(1)).to_contain_text("As far as here")

    opened.interrupt()

    expect(opened.output(1)).to_contain_text("interrupted")
    expect(opened.output(1)).to_contain_text("As far as here")
    opened.idle()
    assert eventually(lambda: server.hung_up == 1)


@pytest.mark.engine
def test_a_restarted_kernel_finds_the_server_again(notebook, served):
    """Nothing in the kernel knows the server; the folder does."""
    opened = notebook("%load_ext workbench\n%wb up", "%wb status")
    opened.run_all()
    opened.restart_kernel()
    opened.run(0)
    opened.run(1)
    opened.ran(1)

    expect(opened.output(1)).to_contain_text("ready")
    expect(opened.output(1)).to_contain_text(served.server.base_url)


@pytest.mark.engine
def test_two_tabs_use_one_server(page, lab, notebook, served):
    """Two notebooks in two pages of a browser ask the same process, and both are answered."""
    cells = ("%load_ext workbench\n%wb up", "%%chat -t 0\nWhat is vLLM?", "%wb status")
    first = notebook(*cells, name="first.ipynb")
    second = Notebook(page.context.new_page(), lab, lab.write("second.ipynb", *cells))
    for opened in (first, second):
        opened.run_all()

    for opened in (first, second):
        expect(opened.output(1)).to_contain_text("TTFT")
        expect(opened.output(2)).to_contain_text(served.server.base_url)


@pytest.mark.engine
@pytest.mark.parametrize("name", ["00_start_here", "01_talk_to_it", "05_what_happened"])
def test_a_notebook_of_the_course_runs_from_its_first_cell_to_its_last(notebook, served, name):
    """Run All ends at the last cell, and no cell shows an error."""
    opened = notebook(name=f"{name}.ipynb")
    opened.run_all()

    expect(opened.root.locator('[data-mime-type="application/vnd.jupyter.stderr"]')).to_have_count(
        0
    )
    expect(opened.root.locator(".jp-RenderedText[data-mime-type*='error']")).to_have_count(0)


def test_tab_completes_verbs_and_models(notebook, attach):
    """In a line of ``%wb``, Tab offers what the place allows, and Enter takes it."""
    opened = notebook(attach, "", "")
    opened.run(0)
    opened.ran(0)
    keyboard = opened.page.keyboard
    offered = opened.page.locator(".jp-Completer-item")
    opened.cell(1).locator(".cm-content").click()
    keyboard.type("%wb st")
    keyboard.press("Tab")
    expect(offered.filter(has_text="status")).to_be_visible()
    keyboard.press("Enter")
    expect(opened.cell(1).locator(".cm-content")).to_contain_text("%wb status")

    opened.cell(2).locator(".cm-content").click()
    keyboard.type("%wb use poc")
    keyboard.press("Tab")
    expect(offered.filter(has_text="pocket-mini")).to_be_visible()


def test_the_documentation_has_every_verb(notebook, attach):
    """``%wb?`` shows what ``workbench --help`` does, without leaving the notebook."""
    opened = notebook(f"{attach}\n%wb?")
    opened.run(0)

    shown = opened.page.get_by_text("Start a vLLM, see that it is healthy").first
    expect(shown).to_be_visible()
    expect(opened.page.get_by_text("telemetry").first).to_be_visible()


def test_the_tour_is_walked_with_the_keyboard_alone(notebook, attach):
    """The cell asks below itself; Enter runs a stop, q ends, and the next cell is free."""
    opened = notebook(f"{attach}\n%wb tour")
    opened.run(0)
    field = opened.output(0).locator("input.jp-Stdin-input").last
    for number, key in enumerate(("Enter", "s", "q"), 1):
        expect(opened.output(0)).to_contain_text(f"{number} of 6")
        expect(field).to_be_focused()
        if key != "Enter":
            opened.page.keyboard.press(key)
        opened.page.keyboard.press("Enter")
    opened.ran(0)

    expect(opened.output(0)).to_contain_text("ready")
    expect(opened.output(0)).to_contain_text("The server goes on")
    opened.idle()
