"""
Python functions as tools: described to the model, and run when it asks.

The schema comes from the signature and the docstring; arguments are checked
against the signature before the function sees them. Only functions that the
caller passed are ever run, and what goes wrong in one is told to the model,
which can correct itself.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, TypeAlias, cast

from ..errors import ToolLoopError
from ..records import ChatMessage, Generation, ToolCall, ToolRun, ToolStep
from .base import Tool, ToolChoice
from .loop_thread import LoopThread

Function: TypeAlias = Callable[..., object]

MAX_ROUNDS = 8
"""A model that has not come to an answer by then is going in circles."""

HINT_LOOP = "Look at the error's .steps; raise max_rounds if they make sense."

# OpenAI's rule for names, which vLLM's parsers rely on.
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def as_tools(tools: Sequence[Function | Tool]) -> tuple[Tool, ...]:
    """
    Return tools as the API wants them: functions described, dictionaries as they are.

    Raises:
        TypeError: It is one function and not a list, or one that cannot be a tool.

        ValueError: Two functions have one name: a call could mean either.
    """
    if callable(tools):
        raise TypeError(f"tools are a list of functions: [{getattr(tools, '__name__', '…')}]")
    names = [_name_of(tool) for tool in tools if not isinstance(tool, Mapping)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two tools are named {', '.join(twice)}")
    return tuple(tool if isinstance(tool, Mapping) else tool_schema(tool) for tool in tools)


def tool_schema(function: Function) -> Tool:
    """
    Describe a function to a model.

    Types, defaults and ``Annotated[…, Field(…)]`` come from the signature; what
    it does and what its parameters mean from the docstring, in Google's, NumPy's
    or Sphinx's style.

    Raises:
        TypeError: Its parameters cannot be given by name, or have types that
            JSON has no form for.
    """
    import docstring_parser

    name = _name_of(function)
    docs = docstring_parser.parse(inspect.getdoc(function) or "")
    parameters = _parameters(function, name)
    for parameter in docs.params:
        if described := parameters["properties"].get(parameter.arg_name):
            described.setdefault("description", parameter.description)
    words = [docs.short_description, docs.long_description]
    description = "\n\n".join(text for text in words if text)
    about = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": about}


def _name_of(function: Function) -> str:
    name = getattr(function, "__name__", "")
    if not _NAME.fullmatch(name):
        raise TypeError(f"a tool is a function with a name, not {function!r}")
    return name


def _parameters(function: Function, name: str) -> dict[str, Any]:
    import pydantic

    by_name = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in by_name:
            raise TypeError(f"{name} cannot be a tool: {parameter} has no name to be given by")
    try:
        schema = pydantic.TypeAdapter(cast(Any, function)).json_schema()
    except (pydantic.errors.PydanticUserError, NameError) as exc:
        raise TypeError(f"{name} cannot be a tool: {exc}") from exc
    schema.setdefault("properties", {})
    return schema


class ToolLoop:
    """
    Asking, running what the model asks for, and asking again, until it answers.

    Knows no client: whoever drives it asks with :attr:`messages` and
    :attr:`tool_choice`, gives the answer to :meth:`calls`, and has those run.

    Args:
        functions: What may be run, and nothing else.

        tool_choice: Of the first request. A tool that is required is required
            once; after that the model may answer, or it never would.

        max_rounds: How many answers in a row may ask for tools.
    """

    def __init__(
        self,
        messages: Sequence[ChatMessage],
        functions: Sequence[Function],
        *,
        tool_choice: ToolChoice | None = None,
        max_rounds: int = MAX_ROUNDS,
    ) -> None:
        if max_rounds < 0:
            raise ValueError(f"max_rounds is 0 or more, not {max_rounds}")
        self.messages = tuple(messages)
        self.tool_choice = tool_choice
        self.steps: list[ToolStep] = []
        self._functions = {_name_of(function): function for function in functions}
        self._rounds_left = max_rounds

    def calls(self, generation: Generation) -> tuple[ToolCall, ...]:
        """
        Take an answer; return the calls it asks for, none if it is the last.

        Raises:
            ToolLoopError: It is one answer with calls too many.
        """
        self.messages = (*self.messages, generation.message)
        self.tool_choice = None if self.tool_choice != "none" else "none"
        if generation.tool_calls and self._rounds_left <= 0:
            raise ToolLoopError(
                f"The model still asks for tools after {len(self.steps)} calls.",
                hint=HINT_LOOP,
                base_url=generation.base_url,
                request_id=generation.request_id,
                partial=generation,
                steps=tuple(self.steps),
            )
        self._rounds_left -= 1
        return generation.tool_calls

    def add(self, step: ToolStep) -> None:
        """Take what a call came to, for the model to read."""
        self.steps.append(step)
        answer = ChatMessage("tool", step.result, tool_call_id=step.call.id)
        self.messages = (*self.messages, answer)

    def done(self, generation: Generation) -> ToolRun:
        """Return the whole, with the last answer."""
        return ToolRun(generation=generation, messages=self.messages, steps=tuple(self.steps))

    def drive(
        self, ask: Callable[[], Generation], on_step: Callable[[ToolStep], object]
    ) -> ToolRun:
        """Go round on this thread until an answer asks for no tool; calls run one by one."""
        while calls := self.calls(answer := ask()):
            for call in calls:
                step = self.run(call)
                self.add(step)
                on_step(step)
        return self.done(answer)

    def run(self, call: ToolCall) -> ToolStep:
        """Run one call here and now; a coroutine function on a loop of its own."""
        began_s = perf_counter()
        try:
            result = self._called(call)
            if inspect.isawaitable(result):
                result = _finished(result)
            text, error = told(result), None
        except Exception as exc:  # the model is told, and may do better
            text, error = f"Error: {_said(exc)}", exc
        return ToolStep(call=call, result=text, duration_s=perf_counter() - began_s, error=error)

    async def arun(self, call: ToolCall) -> ToolStep:
        """Run one call beside others: a plain function on a thread."""
        began_s = perf_counter()
        try:
            function = self._functions.get(call.name)
            if inspect.iscoroutinefunction(function):
                result = await _awaited(self._called(call))
            else:
                result = await asyncio.to_thread(self._called, call)
                if inspect.isawaitable(result):  # a wrapper of a coroutine function
                    result = await result
            text, error = told(result), None
        except Exception as exc:  # the model is told, and may do better
            text, error = f"Error: {_said(exc)}", exc
        return ToolStep(call=call, result=text, duration_s=perf_counter() - began_s, error=error)

    def _called(self, call: ToolCall) -> Any:
        import pydantic

        function = self._functions.get(call.name)
        if function is None:
            known = ", ".join(self._functions) or "none"
            raise LookupError(f"there is no tool {call.name!r}; there are {known}")
        # A model that has nothing to say leaves out the braces too.
        arguments = json.loads(call.arguments or "{}")
        if not isinstance(arguments, dict):
            raise TypeError(f"arguments are a JSON object, not {call.arguments}")
        return pydantic.validate_call(function)(**arguments)


def _finished(result: Awaitable[object]) -> object:
    """Run a coroutine to its end on a thread: a notebook's own has a loop that is busy."""
    loop = LoopThread("workbench-tool", holds=None)
    try:
        return loop.submit(_awaited(result)).result()
    finally:
        loop.close()  # after Ctrl-C it still runs, and is cancelled


async def _awaited(result: Awaitable[object]) -> object:
    return await result


def told(result: object) -> str:
    """Write what a function returned as text for the model: JSON, unless it is text already."""
    if isinstance(result, str):
        return result
    import pydantic_core

    return pydantic_core.to_json(result, fallback=repr).decode()


def _said(exc: Exception) -> str:
    if isinstance(exc, json.JSONDecodeError):
        return f"the arguments are no JSON: {exc}"
    return f"{type(exc).__name__}: {exc}"
