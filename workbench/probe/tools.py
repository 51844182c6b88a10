"""
Checks of tool calls. Nothing is run: what a model asks for is only looked at.
"""

from __future__ import annotations

import json
from typing import Unpack

from ..client import Ask
from ..records import Generation, ToolCall
from .base import GREEDY, THINKS, Found, Target, fails, short, warns, works

CITY = "What is the weather in Austin?"
CITIES = "What is the weather in Austin and in Paris?"
MEMORY = "How much memory does the GPU have?"

NO_ARGUMENTS = "vLLM #21301, mended in later versions: give the tool an optional parameter."


def get_weather(city: str) -> str:
    """
    Get the current weather in a city.

    Args:
        city: The name of the city.
    """
    raise NotImplementedError(city)


def get_gpu_memory() -> str:
    """Get the memory of the GPU."""
    raise NotImplementedError


def auto(target: Target) -> Found:
    """Offer a tool, and leave it to the model."""
    return _weather(_asked(target, tool_choice="auto"), "auto")


def required(target: Target) -> Found:
    """Make the model call some tool."""
    return _forced(_asked(target, tool_choice="required"), "required")


def named(target: Target) -> Found:
    """Make the model call this tool."""
    return _forced(_asked(target, tool_choice="get_weather"), "get_weather")


def parallel(target: Target) -> Found:
    """Ask what needs two calls."""
    answer = _asked(target, CITIES, parallel_tool_calls=True)
    seen = f"{short(CITIES)} → {_calls(answer)}"
    if len(answer.tool_calls) < 2:
        return warns(seen, "The model did not call twice in one answer; a larger one may.")
    if len({call.id for call in answer.tool_calls}) < len(answer.tool_calls):
        return fails(seen, "Calls share an id: results cannot be told apart.")
    return works(seen, "One answer can call several tools.")


def streamed(target: Target) -> Found:
    """Ask with and without a stream, and compare what was assembled."""
    whole = _asked(target)
    pieces = target.client.stream(CITY, GREEDY, tools=[get_weather]).read()
    seen = f"streamed {_calls(pieces)}; whole {_calls(whole)}"
    if not whole.tool_calls:
        return warns(seen, "The model did not call the tool, so there is nothing to compare.")
    if not pieces.tool_calls:
        return fails(seen, "The call is lost in a stream: ask for whole answers with tools.")
    if _texts(pieces) == _texts(whole) or _values(pieces) == _values(whole):
        return works(seen, "Streamed calls are the same as whole ones.")
    if any(_object(call) is None for call in pieces.tool_calls):
        return fails(seen, "Streamed arguments are damaged: ask for whole answers with tools.")
    return warns(seen, "The two differ, and both can be read: the model is not repeatable here.")


def empty_arguments(target: Target) -> Found:
    """Call a tool without parameters, in both ways."""
    whole = target.client.chat(MEMORY, GREEDY, tools=[get_gpu_memory])
    pieces = target.client.stream(MEMORY, GREEDY, tools=[get_gpu_memory]).read()
    seen = f"whole {_calls(whole)}; streamed {_calls(pieces)}"
    if not (whole.tool_calls or pieces.tool_calls):
        return warns(seen, "The model did not call the tool.")
    if len(whole.tool_calls) != len(pieces.tool_calls):
        return fails(seen, "A call without arguments is lost in one of the two ways.")
    texts = [call.arguments for call in (*whole.tool_calls, *pieces.tool_calls)]
    if "" in texts:
        return fails(seen, f"The arguments are missing, where {{}} should be. {NO_ARGUMENTS}")
    if any(_object(call) != {} for call in (*whole.tool_calls, *pieces.tool_calls)):
        return warns(seen, "The model made up arguments for a tool that has none.")
    return works(seen, "Tools without parameters can be called.")


def _asked(target: Target, question: str = CITY, **ask: Unpack[Ask]) -> Generation:
    ask["tools"] = [get_weather]
    return target.client.chat(question, GREEDY, **ask)


def _weather(answer: Generation, choice: str) -> Found:
    """Judge a call that the model was free to make."""
    seen = f"tool_choice={choice} → {_calls(answer)}"
    if not answer.tool_calls:
        cut = answer.finish_reason == "length"
        return warns(seen, THINKS if cut else "The model did not call the tool; a larger one may.")
    if any(call.name != "get_weather" for call in answer.tool_calls):
        return warns(seen, "The model calls a tool that it was not offered.")
    if any("city" not in (_object(call) or {}) for call in answer.tool_calls):
        return warns(seen, "The model wrote arguments that do not fit the tool.")
    return works(seen, "The model calls tools, with arguments that can be read.")


def _forced(answer: Generation, choice: str) -> Found:
    """Judge a call that was the server's to enforce."""
    if answer.tool_calls or answer.finish_reason == "length":
        return _weather(answer, choice)
    seen = f"tool_choice={choice} → {_calls(answer)}"
    return fails(seen, "The server passes over tool_choice: a call cannot be relied on.")


def _calls(answer: Generation) -> str:
    if not answer.tool_calls:
        return f"no call, {short(answer.text or answer.reasoning)}"
    return ", ".join(f"{call.name} {short(call.arguments)[1:-1]}" for call in answer.tool_calls)


def _texts(answer: Generation) -> list[tuple[str, str]]:
    return [(call.name, call.arguments) for call in answer.tool_calls]


def _values(answer: Generation) -> list[object]:
    """Read the calls; what is no object differs from everything."""
    read = [_object(call) for call in answer.tool_calls]
    return [
        object() if value is None else (call.name, value)
        for call, value in zip(answer.tool_calls, read, strict=True)
    ]


def _object(call: ToolCall) -> dict[str, object] | None:
    """Read a call's arguments; ``None`` if they are no JSON object."""
    try:
        parsed = json.loads(call.arguments)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
