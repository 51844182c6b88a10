"""The chat panel without a browser, against a server that does as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import nbformat

from tests.client.test_tools import asks, call, says
from tests.helpers import eventually
from tests.panels.conftest import Browser
from tests.scripted import DONE, HELLO, ROLE, STOP, Do, ScriptedServer, reply, stream, text, usage
from workbench.panels.branches import TurnState
from workbench.panels.chat import ChatPanel

Shown = Callable[..., Browser]


def idle(browser: Browser) -> bool:
    return eventually(lambda: not browser.panel.is_busy)


def roles(request) -> list[str]:
    return [message["role"] for message in request.json["messages"]]


def test_an_answer_is_on_the_page_with_how_it_came(shown: Shown):
    """Question, answer, tokens in and out; the text form says the same."""
    browser = shown(ChatPanel)

    browser.says("send", prompt="Hi there")
    assert idle(browser)

    assert "Hi there" in browser.page
    assert "<p>Hello</p>" in browser.page
    assert "3 tokens in · TTFT" in browser.page
    assert "user: Hi there\nassistant: Hello\npocket · 3 tokens in · TTFT" in repr(browser.panel)


def test_what_a_model_says_is_no_html(shown: Shown, server: ScriptedServer):
    """Neither its tags nor its links run anything, and no picture is fetched."""
    evil = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) ![p](http://spy/p.png)"
    server.answer(stream(ROLE, text(evil), STOP, DONE))
    browser = shown(ChatPanel)

    browser.says("send", prompt="<script>alert(2)</script>")
    assert idle(browser)

    assert "<img" not in browser.page
    assert 'href="javascript' not in browser.page
    assert "<script" not in browser.page


def test_stop_frees_the_servers_slot_and_keeps_what_came(shown: Shown, server: ScriptedServer):
    """The server sees the connection close, and the turn says that it was interrupted."""
    server.answer(stream(ROLE, text("Once upon"), Do.STALL))
    browser = shown(ChatPanel)

    browser.says("send", prompt="A story")
    assert eventually(lambda: "Once upon" in browser.page)
    assert 'data-escape="stop"' in browser.page
    browser.says("stop")

    assert eventually(lambda: server.hung_up == 1)
    assert idle(browser)
    turn = browser.panel.branches.path[0]
    assert (turn.state, turn.text) == (TurnState.STOPPED, "Once upon")
    assert "interrupted" in browser.page
    assert eventually(lambda: 'data-do="send"' in browser.page)


def test_a_fast_answer_is_twenty_messages_a_second(shown: Shown, server: ScriptedServer):
    """2,000 chunks as fast as they can be sent: the page is whole, by few messages."""
    words = [f"w{number} " for number in range(2000)]
    server.answer(stream(ROLE, *map(text, words), STOP, usage(3, 2000), DONE))
    browser = shown(ChatPanel)

    browser.says("send", prompt="Go")
    assert idle(browser)
    assert eventually(lambda: "w1999" in str(browser.sent[-1]) or "w1999" in str(browser.sent[-2]))

    times = [at_s for at_s, _ in browser.sent]
    for began_s in times:
        assert sum(began_s <= at_s < began_s + 1 for at_s in times) <= 21


def test_a_browser_that_takes_nothing_does_not_delay_the_answer(
    shown: Shown, server: ScriptedServer
):
    """The answer is read to its end while its first message still waits to be taken."""
    words = [f"w{number} " for number in range(2000)]
    server.answer(stream(ROLE, *map(text, words), STOP, usage(3, 2000), DONE))
    browser = shown(ChatPanel)
    stuck, taken = threading.Event(), threading.Event()

    def take(_content: object, buffers: object = None) -> None:
        stuck.set()
        taken.wait(10)

    browser.panel.surface.send = take
    browser.says("send", prompt="Go")
    assert stuck.wait(10)
    try:
        assert idle(browser)
        assert not taken.is_set()
        assert browser.panel.branches.path[0].text == "".join(words)
    finally:
        taken.set()


def test_the_answer_grows_in_steps(shown: Shown, server: ScriptedServer):
    """What has come is on the page before the rest has."""
    go_on = threading.Event()
    server.answer(stream(ROLE, text("first "), go_on, text("second"), STOP, DONE))
    browser = shown(ChatPanel)

    browser.says("send", prompt="Go")
    assert eventually(lambda: any("first" in str(message) for _, message in browser.sent))
    assert "second" not in browser.page
    go_on.set()

    assert idle(browser)
    assert "first second" in browser.page


def test_the_next_question_carries_the_turns_before(shown: Shown, server: ScriptedServer):
    """The system prompt first, then what was said."""
    browser = shown(ChatPanel)
    for prompt in ("One", "Two"):
        browser.says("send", prompt=prompt, system="Be brief.")
        assert idle(browser)

    assert roles(server.chat_requests[1]) == ["system", "user", "assistant", "user"]


def test_again_stands_beside_the_first_answer(shown: Shown, server: ScriptedServer):
    """Both are kept; the arrows show the other one."""
    other = stream(ROLE, text("Other"), STOP, DONE)
    server.answer(stream(*HELLO), other)
    browser = shown(ChatPanel)
    browser.says("send", prompt="Hi")
    assert idle(browser)

    browser.says("again", turn=0)
    assert idle(browser)
    assert "2 of 2" in browser.page
    assert "Other" in browser.page
    browser.says("branch", turn=0, by=-1)

    assert "1 of 2" in browser.page
    assert "<p>Hello</p>" in browser.page
    assert "Other" not in browser.page
    assert roles(server.chat_requests[1]) == ["user"]


def test_an_edited_question_begins_a_branch(shown: Shown, server: ScriptedServer):
    """What came after the old question is not sent with the new one, and is not lost."""
    browser = shown(ChatPanel)
    for prompt in ("One", "Two"):
        browser.says("send", prompt=prompt)
        assert idle(browser)

    browser.says("edit", turn=0)
    assert browser.told("fill") == {"prompt": "One"}
    browser.says("send", prompt="Uno")
    assert idle(browser)

    assert [turn.question for turn in browser.panel.branches.path] == ["Uno"]
    browser.says("branch", turn=0, by=1)
    assert [turn.question for turn in browser.panel.branches.path] == ["One", "Two"]


def test_a_wrong_control_sends_nothing_and_loses_nothing(shown: Shown, server: ScriptedServer):
    """The question is put back, and the message names bounds."""
    browser = shown(ChatPanel)

    browser.says("send", prompt="Hi", temperature="7")

    assert "from 0 to 2" in browser.page
    assert browser.told("fill") == {"prompt": "Hi"}
    assert server.chat_requests == []


def test_controls_are_sent_and_empty_ones_are_not(shown: Shown, server: ScriptedServer):
    """An empty control is the server's default."""
    browser = shown(ChatPanel)

    browser.says("send", prompt="Hi", temperature="0", max_tokens="16", top_k="")
    assert idle(browser)

    sent = server.chat_requests[0].json
    assert (sent["temperature"], sent["max_tokens"]) == (0, 16)
    assert "top_k" not in sent


def test_a_refusal_is_shown_in_its_turn_and_not_said_again(shown: Shown, server: ScriptedServer):
    """The failed question is on the page with why; the next request is without it."""
    server.answer(reply(400, {"error": {"message": "too <b>long</b>"}}), stream(*HELLO))
    browser = shown(ChatPanel)
    browser.says("send", prompt="Hi")
    assert idle(browser)

    assert 'role="alert"' in browser.page
    assert "<b>long" not in browser.page
    browser.says("send", prompt="Again")
    assert idle(browser)
    assert roles(server.chat_requests[1]) == ["user"]


def test_calls_of_tools_are_steps_that_open(shown: Shown, server: ScriptedServer):
    """Arguments and result of each call, closed, before the answer."""

    def add(a: int, b: int) -> int:
        return a + b

    server.answer(asks(call(0, "add", '{"a": 2, "b": 3}')), says("It is 5."))
    browser = shown(ChatPanel, tools=[add])

    browser.says("send", prompt="2 + 3?")
    assert idle(browser)

    assert "<summary>add · " in browser.page
    assert "<code>5</code>" in browser.page
    assert "It is 5." in browser.page


def test_a_conversation_becomes_a_cell_and_a_notebook(shown: Shown, session, tmp_path: Path):
    """The code asks the same; the notebook is one that Jupyter reads."""
    browser = shown(ChatPanel)
    browser.says("send", prompt="It's a test", temperature="0", system="Be brief.")
    assert idle(browser)

    browser.says("as_code")
    code = browser.told("copy")
    compile(code, "cell", "exec")
    assert 'talk.say("It\'s a test")' in code
    assert "SamplingParams(temperature=0.0)" in code

    object.__setattr__(session.settings, "home", tmp_path)
    browser.says("save")
    (path,) = tmp_path.glob("chat-*.ipynb")
    nbformat.validate(nbformat.reads(path.read_text(), as_version=4))
    assert "Hello" in json.loads(path.read_text())["cells"][2]["source"]


def test_a_panel_that_is_gone_says_nothing_and_holds_no_slot(shown: Shown, server: ScriptedServer):
    """Disposing ends the answer, twice is once, and later shows are not sent."""
    server.answer(stream(ROLE, text("Once"), Do.STALL))
    browser = shown(ChatPanel)
    browser.says("send", prompt="A story")
    assert eventually(lambda: "Once" in browser.page)

    browser.panel.dispose()
    browser.panel.dispose()

    assert eventually(lambda: server.hung_up == 1)
    assert idle(browser)
    before = len(browser.sent)
    browser.panel.show("note", "late")
    assert len(browser.sent) == before
