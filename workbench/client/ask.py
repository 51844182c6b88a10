"""
What can be said about a request, and the request that it becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from ..records import SamplingParams
from .base import ChatRequest, Json, ToolChoice
from .messages import Messages, as_messages
from .output import Parse, as_output
from .tools import ToolLoop, as_tools


class Ask(TypedDict, total=False):
    """
    What can be said about a request besides its messages and sampling.

    Args:
        model: Another model than the client's.

        system: The system prompt, put in front.

        tools: Functions that the model may ask to call: Python functions, or
            OpenAI-style dictionaries. They are not run: see ``run_tools``.

        tool_choice: ``none``, ``auto``, ``required``, or one tool's name.

        parallel_tool_calls: Whether one answer may call several.

        output: What the answer must be: a type (a pydantic model, a dataclass,
            ``list[int]``), a JSON schema, or an ``OutputFormat``. The value is
            in ``Generation.parsed``.

        raw: Send the prompt as it is, without the model's chat template.

        tags: Names and values for telemetry; the server does not see them.
    """

    model: str | None
    system: str | None
    tools: Sequence[Callable[..., object] | Json]
    tool_choice: ToolChoice | None
    parallel_tool_calls: bool | None
    output: object
    raw: bool
    tags: Mapping[str, str]


def as_request(
    messages: Messages, params: SamplingParams | None, ask: Ask, *, model: str | None
) -> tuple[ChatRequest, Parse | None]:
    """
    Make the request that is meant, and what reads its answer into a value.

    Args:
        model: To be asked where *ask* names none; ``None``: the server's own is found out later.

    Raises:
        TypeError: There is an option that nobody would read.

        ValueError: It cannot be sent, like a raw prompt of several turns.
    """
    _check(ask)
    output, parse = None, None
    if (wanted := ask.get("output")) is not None:
        output, parse = as_output(wanted)
    turns = as_messages(messages, system=ask.get("system"))
    raw = ask.get("raw", False)
    if raw and (len(turns) > 1 or not isinstance(turns[0].content, str)):
        raise ValueError("a raw prompt is one text")
    request = ChatRequest(
        model=ask.get("model") or model or "",
        messages=turns,
        params=params or SamplingParams(),
        tools=as_tools(ask.get("tools") or ()),
        tool_choice=ask.get("tool_choice"),
        parallel_tool_calls=ask.get("parallel_tool_calls"),
        output=output,
        raw=raw,
        tags={str(name): str(value) for name, value in (ask.get("tags") or {}).items()},
    )
    return request, parse


def as_tool_loop(
    messages: Messages,
    functions: Sequence[Callable[..., object]],
    max_rounds: int,
    ask: Ask,
) -> ToolLoop:
    """Take out of *ask* what is of the first round, and put in what is of all."""
    if "tools" in ask:
        raise TypeError("run_tools takes functions; to only tell of tools there is chat")
    turns = as_messages(messages, system=ask.pop("system", None))
    choice = ask.pop("tool_choice", None)
    ask["tools"] = as_tools(functions)
    return ToolLoop(turns, functions, tool_choice=choice, max_rounds=max_rounds)


def of_round(ask: Ask, loop: ToolLoop) -> Ask:
    """Say what the next round asks for."""
    return {**ask, "tool_choice": loop.tool_choice}


def _check(ask: Ask) -> None:
    """Refuse an option that nobody would read, most likely one of sampling."""
    if unknown := sorted(ask.keys() - Ask.__annotations__.keys()):
        raise TypeError(
            f"a request has no option {', '.join(unknown)}; how to sample goes into SamplingParams"
        )
