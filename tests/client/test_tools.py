"""
Functions are described to a model, and run when it asks for them.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from typing import Annotated, Literal

import pydantic
import pytest

from tests.scripted import DONE, ROLE, Answer, ScriptedServer, chunk, stream, text
from workbench.client import Client, tool_schema
from workbench.errors import ToolLoopError
from workbench.records import ToolStep


def get_weather(city: str, unit: Literal["C", "F"] = "C") -> str:
    """
    Get the current weather of a city.

    Args:
        city: The city, in English

        unit: Of the temperature
    """
    return f"21 °{unit} in {city}"


class Point(pydantic.BaseModel):
    """Something that JSON has no form for, and pydantic has."""

    x: int


def call(index: int, name: str, arguments: object) -> dict[str, object]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    function = {"name": name, "arguments": text}
    return {"index": index, "id": f"call-{index}", "type": "function", "function": function}


def asks(*calls: dict[str, object]) -> Answer:
    return stream(ROLE, chunk({"tool_calls": list(calls)}, finish_reason="tool_calls"), DONE)


def says(words: str) -> Answer:
    return stream(ROLE, text(words), chunk({}, finish_reason="stop"), DONE)


def sent(server: ScriptedServer, number: int) -> dict[str, object]:
    return server.chat_requests[number].json


def test_a_function_is_described_by_its_signature_and_docstring() -> None:
    """
    Types and defaults from the one, meanings from the other.
    """
    function = tool_schema(get_weather)["function"]

    assert isinstance(function, dict)
    assert function["name"] == "get_weather"
    assert function["description"] == "Get the current weather of a city."
    assert function["parameters"]["required"] == ["city"]
    assert function["parameters"]["properties"]["city"] == {
        "title": "City",
        "type": "string",
        "description": "The city, in English",
    }
    assert function["parameters"]["properties"]["unit"]["enum"] == ["C", "F"]


def test_a_description_in_the_signature_wins() -> None:
    """
    Whoever writes ``Field(description=…)`` means it for the model.
    """

    def look(at: Annotated[int, pydantic.Field(description="for the model", ge=1)]) -> None:
        """Look.

        Args:
            at: for the reader
        """

    function = tool_schema(look)["function"]
    assert isinstance(function, dict)
    assert function["parameters"]["properties"]["at"] == {
        "title": "At",
        "type": "integer",
        "minimum": 1,
        "description": "for the model",
    }


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    """
    Some chat templates fail on a tool that has no properties.
    """

    def now() -> str:
        """Tell the time."""
        return "noon"

    function = tool_schema(now)["function"]
    assert isinstance(function, dict)
    assert function["parameters"]["properties"] == {}


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda city: city, id="lambda"),
        pytest.param(print, id="positional"),
        pytest.param(json.dumps, id="any-keyword"),
    ],
)
def test_what_cannot_be_a_tool_is_said_before_a_request(function: object) -> None:
    """
    A model gives arguments by name, and calls a function by its own.
    """
    with pytest.raises(TypeError, match="tool"):
        tool_schema(function)  # type: ignore[arg-type]


def test_what_the_model_asks_for_is_run_and_told(server: ScriptedServer, client: Client) -> None:
    """
    Asked, called, told, answered; every step can be watched.
    """
    steps: list[ToolStep] = []
    server.answer(asks(call(0, "get_weather", {"city": "Ulm"})), says("It is 21 °C."))
    run = client.run_tools(
        "Weather in Ulm?", [get_weather], on_step=steps.append, system="Be brief."
    )

    assert run.generation.text == "It is 21 °C."
    assert [step.result for step in run.steps] == ["21 °C in Ulm"]
    assert tuple(steps) == run.steps
    assert [message.role for message in run.messages] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert sent(server, 1)["messages"][-1] == {  # type: ignore[index]
        "role": "tool",
        "content": "21 °C in Ulm",
        "tool_call_id": "call-0",
    }


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        pytest.param("get_weather", "{", "no JSON", id="broken-json"),
        pytest.param("get_weather", "[1]", "JSON object", id="no-object"),
        pytest.param("get_weather", {"town": "Ulm"}, "city", id="wrong-name"),
        pytest.param("get_weather", {"city": "Ulm", "unit": "K"}, "unit", id="wrong-value"),
        pytest.param("rm_rf", {}, "there is no tool 'rm_rf'; there are get_weather", id="unknown"),
    ],
)
def test_a_wrong_call_is_told_to_the_model(
    server: ScriptedServer, client: Client, name: str, arguments: object, told: str
) -> None:
    """
    It can correct itself, and nothing was run that was not passed.
    """
    server.answer(asks(call(0, name, arguments)), says("Sorry."))
    (step,) = client.run_tools("x", [get_weather]).steps

    assert step.error is not None
    assert told in step.result
    assert step.result in str(sent(server, 1)["messages"][-1]["content"])  # type: ignore[index]


def test_what_a_function_raises_is_told_to_the_model(
    server: ScriptedServer, client: Client
) -> None:
    """
    The conversation goes on.
    """

    def fail() -> None:
        """Fail."""
        raise OSError("the sensor is off")

    server.answer(asks(call(0, "fail", "")), says("Sorry."))
    run = client.run_tools("x", [fail])

    assert run.steps[0].result == "Error: OSError: the sensor is off"
    assert isinstance(run.steps[0].error, OSError)


def test_ctrl_c_in_a_function_is_not_the_models_business(
    server: ScriptedServer, client: Client
) -> None:
    """
    It ends the cell.
    """

    def wait() -> None:
        """Wait."""
        raise KeyboardInterrupt

    server.answer(asks(call(0, "wait", {})), says("Done."))
    with pytest.raises(KeyboardInterrupt):
        client.run_tools("x", [wait])


def test_functions_run_on_the_callers_thread(server: ScriptedServer, client: Client) -> None:
    """
    They may print into the cell, draw and ask.
    """
    seen: list[int] = []

    def note() -> None:
        """Note the thread."""
        seen.append(threading.get_ident())

    server.answer(asks(call(0, "note", {}), call(1, "note", {})), says("Done."))
    client.run_tools("x", [note])

    assert seen == [threading.get_ident()] * 2


def test_awaited_calls_of_one_answer_run_side_by_side(server: ScriptedServer) -> None:
    """
    Each waits for the other here; one after the other they never would end.
    """

    async def main() -> list[str]:
        both = asyncio.Barrier(2)
        plain = threading.Event()

        async def meet(who: str) -> str:
            """Meet."""
            await both.wait()
            plain.set()
            return who

        def later() -> str:
            """Wait on a thread."""
            plain.wait(10)
            return "later"

        server.answer(
            asks(
                call(0, "later", {}), call(1, "meet", {"who": "a"}), call(2, "meet", {"who": "b"})
            ),
            says("Done."),
        )
        async with Client(server.base_url, model="pocket") as client:
            run = await client.arun_tools("x", [meet, later])
        return [step.result for step in run.steps]

    assert asyncio.run(asyncio.wait_for(main(), 10)) == ["later", "a", "b"]


def test_a_required_tool_is_required_once(server: ScriptedServer, client: Client) -> None:
    """
    A model that always must call would never answer.
    """
    server.answer(asks(call(0, "get_weather", {"city": "Ulm"})), says("Done."))
    client.run_tools("x", [get_weather], tool_choice="required")

    assert sent(server, 0)["tool_choice"] == "required"
    assert "tool_choice" not in sent(server, 1)


def test_going_in_circles_has_an_end(server: ScriptedServer, client: Client) -> None:
    """
    Two rounds were allowed; the error has what was done.
    """
    server.answer(asks(call(0, "get_weather", {"city": "Ulm"})))
    with pytest.raises(ToolLoopError) as caught:
        client.run_tools("x", [get_weather], max_rounds=2)

    assert len(caught.value.steps) == 2
    assert caught.value.partial.tool_calls
    assert len(server.chat_requests) == 3


def test_results_are_json_unless_they_are_text(server: ScriptedServer, client: Client) -> None:
    """
    A record, a list or nothing at all: the model reads JSON.
    """

    def find() -> list[Point]:
        """Find points."""
        return [Point(x=1)]

    server.answer(asks(call(0, "find", {})), says("Done."))

    assert client.run_tools("x", [find]).steps[0].result == '[{"x":1}]'


def test_functions_given_to_a_plain_chat_are_never_run(
    server: ScriptedServer, client: Client
) -> None:
    """
    ``tools=`` tells the model of them; running is another verb.
    """

    def explode() -> None:
        """Explode."""
        raise AssertionError

    server.answer(asks(call(0, "explode", {})))
    answer = client.stream("x", tools=[explode]).read()

    assert [each.name for each in answer.tool_calls] == ["explode"]


def test_a_coroutine_function_runs_where_a_loop_is_busy(
    server: ScriptedServer, client: Client
) -> None:
    """
    As every cell of a notebook does.
    """

    async def get_time() -> str:
        """Tell the time."""
        await asyncio.sleep(0)
        return "noon"

    async def cell() -> str:
        return client.run_tools("x", [get_time]).steps[0].result

    server.answer(asks(call(0, "get_time", {})), says("It is noon."))

    assert asyncio.run(cell()) == "noon"


def test_a_form_is_for_the_answer_and_not_for_the_calls(
    server: ScriptedServer, client: Client
) -> None:
    """
    A call has no text, and the answer after it has the form.
    """
    server.answer(asks(call(0, "get_weather", {"city": "Ulm"})), says("[21]"))
    run = client.run_tools("x", [get_weather], output=list[int])

    assert run.generation.parsed == [21]


def test_tools_that_cannot_be_told_apart_are_a_mistake(client: Client) -> None:
    """
    As are a function without its list, a bound below nothing, and a second list.
    """
    with pytest.raises(ValueError, match="two tools are named get_weather"):
        client.run_tools("x", [get_weather, get_weather])
    with pytest.raises(TypeError, match="a list of functions"):
        client.run_tools("x", get_weather)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_rounds"):
        client.run_tools("x", [get_weather], max_rounds=-1)
    with pytest.raises(TypeError, match="run_tools takes functions"):
        client.run_tools("x", [get_weather], tools=[get_weather])


def test_ctrl_c_ends_a_coroutine_function(server: ScriptedServer, client: Client) -> None:
    """
    It may wait for minutes, and nobody waits for it once the caller has left.
    """
    ended: list[str] = []

    async def get_time() -> str:
        """Tell the time."""
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 10)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return "never"

    server.answer(asks(call(0, "get_time", {})))
    with pytest.raises(KeyboardInterrupt):
        client.run_tools("What time is it?", [get_time])

    assert ended == ["cancelled"]
