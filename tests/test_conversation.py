"""A conversation goes on, and a cell that is run again does not say everything twice."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Empty
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from tests.client.conftest import QUICK
from tests.client.test_tools import asks, call, says
from tests.scripted import ScriptedServer, completion, reply
from workbench.client import Client, tool_schema
from workbench.conversation import Conversation
from workbench.errors import RequestRejectedError
from workbench.notebook_cell import CellRun, running_cell
from workbench.records import SamplingParams


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    server.answer(completion("so it is"))
    yield server
    server.close()


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[Client]:
    with Client(server.base_url, model="pocket", timeouts=QUICK) as client:
        yield client


def get_weather(city: str) -> str:
    """Get the weather."""
    raise AssertionError(f"nobody asked to run it for {city}")


WEATHER = tool_schema(get_weather)


class Cells:
    """A notebook: which cell runs, and which time."""

    def __init__(self) -> None:
        self.now: CellRun | None = None
        self._count = 0

    def run(self, cell: str) -> None:
        self._count += 1
        self.now = CellRun(cell, self._count)

    def __call__(self) -> CellRun | None:
        return self.now


def said(talk: Conversation) -> list[object]:
    return [message.content for message in talk.messages]


def test_a_turn_has_what_was_said_before(server: ScriptedServer, client: Client):
    """The system prompt first and once, then question and answer in turns."""
    server.answer(completion("one"), completion("two"))
    talk = Conversation(client, system="Be brief.")
    talk.say("first")
    answer = talk.say("second", SamplingParams(temperature=0))

    assert answer.text == "two"
    assert [turn["content"] for turn in server.chat_requests[1].json["messages"]] == [  # type: ignore[attr-defined]
        "Be brief.",
        "first",
        "one",
        "second",
    ]
    assert said(talk) == ["Be brief.", "first", "one", "second", "two"]


def test_a_cell_that_is_run_again_replaces_its_turn(server: ScriptedServer, client: Client):
    """And what was said after it, which answered words that no longer stand."""
    server.answer(*map(completion, ("one", "two", "three", "new one", "new two")))
    cells = Cells()
    talk = Conversation(client, where=cells)
    for cell, words in (("a", "first"), ("b", "second"), ("c", "third")):
        cells.run(cell)
        talk.say(words)

    cells.run("a")
    talk.say("first, better")
    assert said(talk) == ["first, better", "new one"]

    cells.run("b")
    talk.say("second")
    assert said(talk) == ["first, better", "new one", "second", "new two"]


def test_several_turns_of_one_cell_stay(server: ScriptedServer, client: Client):
    """A loop is one run of its cell; run again, all of it is replaced."""
    cells = Cells()
    talk = Conversation(client, where=cells)
    for _ in range(2):
        cells.run("loop")
        for words in ("one", "two", "three"):
            talk.say(words)

        assert len(talk) == 3


def test_a_turn_that_fails_leaves_everything_as_it_was(server: ScriptedServer, client: Client):
    """Also the turn that it was to replace."""
    server.answer(completion("one"), reply(400, {}))
    cells = Cells()
    talk = Conversation(client, where=cells)
    cells.run("a")
    talk.say("first")
    cells.run("a")
    with pytest.raises(RequestRejectedError):
        talk.say("first, worse")

    assert said(talk) == ["first", "one"]


def test_in_a_script_every_turn_is_added(client: Client):
    """There are no cells to be run again."""
    assert running_cell() is None

    talk = Conversation(client)
    talk.say("same")
    talk.say("same")
    assert len(talk) == 2

    talk.rewind()
    assert len(talk) == 1


def test_a_system_prompt_cannot_be_said_later(client: Client):
    """It is the conversation's, and its first message."""
    talk = Conversation(client, system="Be brief.")
    with pytest.raises(ValueError, match="one system prompt"):
        talk.say("x", system="Be long.")


def test_tools_leave_their_calls_in_the_turn(server: ScriptedServer, client: Client):
    """Question, call, result and answer are one turn: taken back together."""

    def get_time() -> str:
        """Tell the time."""
        return "noon"

    server.answer(asks(call(0, "get_time", {})), says("It is noon."))
    talk = Conversation(client)
    run = talk.run_tools("What time is it?", [get_time])

    assert run.generation.text == "It is noon."
    assert [message.role for message in talk.messages] == ["user", "assistant", "tool", "assistant"]
    assert len(talk) == 1


def weather_call(number: int = 0) -> dict[str, object]:
    return call(number, "get_weather", {"city": "Rome"})


def test_calls_wait_for_their_results(server: ScriptedServer, client: Client):
    """The API wants them right behind the calls, so nothing else is said, nor sent, before."""
    wish = completion(None, tool_calls=[weather_call()])
    server.answer(wish, completion("Warm."), completion("Indeed."))
    talk = Conversation(client)
    answer = talk.say("How is Rome?", tools=[WEATHER])
    with pytest.raises(ValueError, match=r"waits for what get_weather came to: tell\("):
        talk.say("Hello?")
    with pytest.raises(ValueError, match="get_weather"):
        talk.run_tools("Hello?", [])

    assert answer.tool_calls
    assert talk.tell({"celsius": 27}).text == "Warm."
    assert talk.say("Really?").text == "Indeed."
    turns = server.chat_requests[2].json["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "assistant", "user"]  # type: ignore[attr-defined]
    assert turns[2] == {"role": "tool", "content": '{"celsius":27}', "tool_call_id": "call-0"}  # type: ignore[index]


def test_every_call_gets_its_result(server: ScriptedServer, client: Client):
    """In the order of the calls; one too few or too many leaves everything as it was."""
    server.answer(
        completion(None, tool_calls=[weather_call(0), weather_call(1)]), completion("Both warm.")
    )
    talk = Conversation(client)
    with pytest.raises(ValueError, match="nothing to tell"):
        talk.tell("21")
    talk.say("Rome and Rome?", tools=[WEATHER])
    for results in ((), ("21",), ("21", "22", "23")):
        with pytest.raises(ValueError, match=f"2 results to tell, not {len(results)}"):
            talk.tell(*results)
    talk.tell("21", "22")

    told = [turn for turn in talk.messages if turn.role == "tool"]
    assert [(turn.tool_call_id, turn.content) for turn in told] == [
        ("call-0", "21"),
        ("call-1", "22"),
    ]


def test_results_are_told_again_in_a_cell_of_their_own(server: ScriptedServer, client: Client):
    """Run again, it takes its own turn back and finds the calls that wait; so does rewind."""
    wish = completion(None, tool_calls=[weather_call()])
    server.answer(wish, completion("Warm."), completion("Hot."), completion("Well."))
    cells = Cells()
    talk = Conversation(client, where=cells)
    cells.run("ask")
    talk.say("How is Rome?", tools=[WEATHER])
    for result in ("27", "37"):
        cells.run("tell")
        talk.tell(result)

    assert said(talk) == ["How is Rome?", None, "37", "Hot."]
    talk.rewind(2)
    assert talk.say("Hello?").text == "Well."


def test_an_answer_without_words_can_be_sent_again(server: ScriptedServer, client: Client):
    """Empty and not null: null is for calls only, and a chat template may write None."""
    server.answer(completion(""), completion("now"))
    talk = Conversation(client)
    talk.say("first")
    talk.say("second")

    assert [turn["content"] for turn in server.chat_requests[1].json["messages"]] == [  # type: ignore[attr-defined]
        "first",
        "",
        "second",
    ]


@pytest.mark.processes
def test_a_real_kernel_knows_its_cells():
    """As JupyterLab runs it: the frontend sends the cell's id, and counts."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    kernel = manager.client()
    kernel.start_channels()
    kernel.wait_for_ready(timeout=60)
    try:
        code = "from workbench.notebook_cell import running_cell; print(running_cell())"
        first, again = (_printed(kernel, code, cell="abc").strip() for _ in range(2))
        assert first.startswith("CellRun(cell='abc', execution=")
        assert again.startswith("CellRun(cell='abc', execution=")
        assert first != again
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)


def _printed(kernel: Any, code: str, *, cell: str) -> str:
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
    message = kernel.session.msg("execute_request", content, metadata={"cellId": cell})
    kernel.shell_channel.send(message)
    printed = ""
    while True:
        try:
            reply = kernel.get_iopub_msg(timeout=30)
        except Empty:
            return printed
        if reply["parent_header"].get("msg_id") != message["header"]["msg_id"]:
            continue
        if reply["msg_type"] == "stream":
            printed += reply["content"]["text"]
        if reply["msg_type"] == "status" and reply["content"]["execution_state"] == "idle":
            return printed
